/* pack-find ARCHIVE CONTENT-ID: prints the path of the pack. Its standard input is what interrupts
 * it: hung up, it gives up. */
#include <stdio.h>
#include <unistd.h>

#include "backend/smolmachines/pack.h"
#include "sys/netns.h"

int main(int argc, char **argv)
{
	struct smolvm vm;
	struct bb_err err = { 0 };
	char *pack = NULL;
	int r;

	if (argc != 3)
		return 2;
	r = smolvm_open(smolvm_own_environment, &vm, &err);
	vm.interrupt_fd = STDIN_FILENO;
	if (r == 0)
		r = smolpack_find(&vm, argv[1], argv[2], netns_enter, &pack, &err);
	if (r < 0)
		(void)fprintf(stderr, "pack-find: %s\n", err.msg);
	else
		(void)puts(pack);
	free(pack);
	smolvm_done(&vm);
	return r < 0 ? 1 : 0;
}
