/* bot-bottle: the operator's program. Finds the command and runs it. */
#include <signal.h>

#include "base/log.h"
#include "cli/run.h"

int main(int argc, char **argv)
{
	bb_log_init("bot-bottle");
	(void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error code, not a death */
	return cli_run(argc, argv);
}
