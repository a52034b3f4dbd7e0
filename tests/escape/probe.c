/*
 * Runs inside ("attack bottle"): every attack and deed, each in a process of its own, one line
 * each: "attack NAME RESULT" or "deed NAME RESULT", where RESULT is 0, an errno, or 1000 + the
 * signal that killed it. Static, so that it needs nothing of the place it runs in. With other words
 * it is the greedy program of the limit tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"

static int run_apart(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run() & 0xff);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return ECHILD;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Outside of a bottle only what does no harm there: "isolated" where names and mounts are its own,
 * "plain" on the host itself. Everything else runs in a bottle only. */
static bool is_wanted(const struct attack *a, const char *place)
{
	if (strcmp(place, "plain") == 0)
		return a->control == CONTROL_PLAIN || a->control == CONTROL_ROOT;
	if (strcmp(place, "isolated") == 0)
		return a->control == CONTROL_ISOLATED || a->defence == BY_FILTER;
	return true;
}

static void run_all(const char *place)
{
	for (size_t i = 0; i < attack_count; i++) {
		if (is_wanted(&attacks[i], place))
			printf("attack %s %d\n", attacks[i].name, run_apart(attacks[i].run));
	}
	for (size_t i = 0; i < deed_count && strcmp(place, "bottle") == 0; i++)
		printf("deed %s %d\n", deeds[i].name, run_apart(deeds[i].run));
}

/* Children that stay, until fork refuses or `most` are there; how many. */
static long fork_many(long most)
{
	long n = 0;

	while (n < most) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)pause();
			_exit(0);
		}
		if (pid < 0)
			break;
		n++;
	}
	return n;
}

/* Touches memory by the megabyte; how many there were, unless the kernel ends us first. */
static long eat_memory(long megabytes)
{
	for (long i = 0; i < megabytes; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return i;
		memset(p, 1, 1 << 20);
	}
	return megabytes;
}

/* Writes to path by the megabyte until it fails; how many there were. */
static long fill_file(const char *path, long megabytes)
{
	static char block[1 << 20];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	long i = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	while (i < megabytes) {
		ssize_t n = write(fd, block, sizeof(block));

		if (n < 0) {
			printf("errno %d\n", errno);
			break;
		}
		if (n == (ssize_t)sizeof(block)) /* else the last of it; the next says why */
			i++;
	}
	return i;
}

static long fill_directory(const char *path, long files)
{
	long i = 0;

	for (; i < files; i++) {
		char name[256];
		int fd;

		(void)snprintf(name, sizeof(name), "%s/%ld", path, i);
		fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			printf("errno %d\n", errno);
			break;
		}
		(void)close(fd);
	}
	return i;
}

static long open_many(long most)
{
	long n = 0;

	while (n < most && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		n++;
	return n;
}

int main(int argc, char **argv)
{
	long most = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	const char *what = argc > 1 ? argv[1] : "";

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "attack") == 0 && argc > 2)
		run_all(argv[2]);
	else if (strcmp(what, "fork") == 0)
		printf("count %ld\n", fork_many(most));
	else if (strcmp(what, "memory") == 0)
		printf("count %ld\n", eat_memory(most));
	else if (strcmp(what, "file") == 0)
		printf("count %ld\n", fill_file(argv[3], most));
	else if (strcmp(what, "files") == 0)
		printf("count %ld\n", fill_directory(argv[3], most));
	else if (strcmp(what, "open") == 0)
		printf("count %ld\n", open_many(most));
	else if (strcmp(what, "daemon") == 0) {
		/* Leaves the session and its parent, holds descriptor 3 and stays. */
		if (fork() == 0 && setsid() > 0 && fork() == 0)
			for (;;)
				(void)pause();
		printf("count 0\n");
		for (;;)
			(void)pause();
	}
	return 0;
}
