/*
 * bottle-init: the one program of ours inside a bottle. As the init of a microVM it boots the
 * machine first; as the init of a namespace bottle it finds everything made and the stream as
 * descriptor 3; in a machine that smolvm booted it is one program among others and fetches its
 * stream itself.
 *
 *   bottle-init                decides by what it finds
 *   bottle-init --boot         boots (the initramfs says this where detection could be fooled)
 *   bottle-init --namespace    serves on descriptor 3
 *   bottle-init --socket PATH  serves on a Unix socket that the machine has mounted
 *   bottle-init --connect      reads "ADDRESS PORT CREDENTIAL" and serves on a TCP connection
 *   bottle-init --idle         keeps a machine alive into which a bottle comes later
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/boot.h"
#include "guest/guest.h"
#include "guest/stream.h"
#include "guest/workload.h"

#define MAIN_STREAM_FD 3

/* The jail passes the stream as descriptor 3 and has mounted /proc; a kernel starts its init with
 * nothing mounted and three descriptors at most. */
static bool main_is_kernels_init(void)
{
	struct stat st;

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

static int main_namespace(const char *argument)
{
	(void)argument;
	return main_serve(GUEST_NAMESPACE, MAIN_STREAM_FD);
}

static int main_boot(const char *argument)
{
	struct bb_err err = { 0 };
	int fd = -1;

	(void)argument;
	if (boot_machine(&fd, &err) < 0)
		fprintf(stderr, "bottle-init: boot: %s\n", err.msg);
	else
		(void)main_serve(GUEST_MICROVM, fd); /* has said what went wrong */
	boot_end();
}

/* The stream is there: whoever started us may wait for this line. Nothing more is read from
 * standard input, and programs must not find it. */
static int main_serve_opened(enum guest_mode mode, int r, int fd, const struct bb_err *err)
{
	int null;

	if (r < 0) {
		fprintf(stderr, "bottle-init: %s\n", err->msg);
		return 1;
	}
	null = open("/dev/null", O_RDWR);
	if (null > 0) {
		(void)dup2(null, STDIN_FILENO); /* without it, standard input stays open */
		(void)close(null);              /* the copy stays */
	}
	(void)puts("bottle-init: connected"); /* nobody may be listening */
	(void)fflush(stdout);
	return main_serve(mode, fd);
}

static int main_socket(const char *path)
{
	struct bb_err err = { 0 };
	int fd = -1;
	int r = path == NULL ? bb_err_set(&err, -EINVAL, "--socket needs a path")
			     : stream_open_socket(path, &fd, &err);

	return main_serve_opened(GUEST_SOCKET, r, fd, &err);
}

static int main_connect(const char *argument)
{
	struct bb_err err = { 0 };
	int fd = -1;
	int r = stream_open_tcp(STDIN_FILENO, &fd, &err);

	(void)argument;
	return main_serve_opened(GUEST_CONNECT, r, fd, &err);
}

static int main_idle(const char *argument)
{
	(void)argument;
	workload_idle();
}

static const struct {
	const char *word;
	int (*run)(const char *argument);
} main_words[] = {
	{ "--boot", main_boot },     { "--namespace", main_namespace },
	{ "--socket", main_socket }, { "--connect", main_connect },
	{ "--idle", main_idle },
};

int main(int argc, char **argv)
{
	/* A kernel hands its init the arguments that it does not know itself: no error. */
	for (size_t i = 0; argc > 1 && i < BB_ARRAY_LEN(main_words); i++)
		if (strcmp(argv[1], main_words[i].word) == 0)
			return main_words[i].run(argc > 2 ? argv[2] : NULL);
	return main_is_kernels_init() ? main_boot(NULL) : main_namespace(NULL);
}
