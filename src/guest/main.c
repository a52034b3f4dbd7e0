/*
 * bottle-init: the one program of ours inside a bottle. As the init of a microVM it boots the
 * machine first; as the init of a namespace bottle it finds everything made and the stream as
 * descriptor 3.
 *
 *   bottle-init              decides by what it finds
 *   bottle-init --boot       boots (the initramfs says this where detection could be fooled)
 *   bottle-init --namespace  serves on descriptor 3
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/boot.h"
#include "guest/guest.h"

#define MAIN_STREAM_FD 3

/* The jail passes the stream as descriptor 3 and has mounted /proc; a kernel starts its init with
 * nothing mounted and three descriptors at most. */
static bool main_must_boot(int argc, char **argv)
{
	struct stat st;

	if (argc > 1 && strcmp(argv[1], "--boot") == 0)
		return true;
	if (argc > 1 && strcmp(argv[1], "--namespace") == 0)
		return false;
	return getpid() == 1 && fcntl(MAIN_STREAM_FD, F_GETFD) < 0 && stat("/proc/self", &st) < 0;
}

static int main_serve(enum guest_mode mode, int stream_fd)
{
	static struct guest guest;
	struct bb_err err = { 0 };
	int r = guest_init(&guest, mode, stream_fd, &err);

	if (r < 0) {
		fprintf(stderr, "bottle-init: %s\n", err.msg);
		return 1;
	}
	r = guest_run(&guest);
	if (r < 0)
		fprintf(stderr, "bottle-init: %s\n", guest.failure.msg);
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct bb_err err = { 0 };
	int fd = MAIN_STREAM_FD, r;

	if (!main_must_boot(argc, argv))
		return main_serve(GUEST_NAMESPACE, fd);

	r = boot_machine(&fd, &err);
	if (r < 0)
		fprintf(stderr, "bottle-init: boot: %s\n", err.msg);
	else
		(void)main_serve(GUEST_MICROVM, fd); /* has said what went wrong */
	boot_end();
}
