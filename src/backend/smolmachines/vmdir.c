/* See vmdir.h. A process is looked at twice: before and after it is held by a pidfd. */
#include "backend/smolmachines/vmdir.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/text.h"
#include "sys/spawn.h"

#define END_MS        5000 /* after SIGKILL */
#define ARGUMENTS_MAX 65536
#define COMM_MAX      64
#define AGE_SLACK_S   2 /* of clocks that count whole seconds */
#define NAME_MAX_SIZE 256

/* The beginning of a file; "" when it cannot be read. */
static struct bb_view read_some(const char *folder, const char *name, char *dst, size_t cap)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", folder, name);
	BB_AUTO_CLOSE int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t used = 0;

	while (fd >= 0 && used + 1 < cap) {
		ssize_t n = read(fd, dst + used, cap - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	dst[used] = '\0';
	return bb_view_of(dst, used);
}

static bool has_word(struct bb_view arguments, const char *word)
{
	return memmem(arguments.p, arguments.n, word, strlen(word)) != NULL;
}

/* Seconds since the process began. */
static double age(const char *process)
{
	char stat[1024];
	const char *at;
	struct timespec now;
	unsigned long long ticks = 0;

	(void)read_some(process, "stat", stat, sizeof(stat));
	at = strrchr(stat, ')'); /* field 2; the start is field 22 */
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return 0;
	ticks = strtoull(at, NULL, 10);
	return (double)now.tv_sec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* A number that was written before the process began means another one. */
static bool is_written(const char *process, pid_t pid, const char *dir)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/agent.pid", dir);
	char text[32];
	struct stat st;

	(void)read_some(dir, "agent.pid", text, sizeof(text));
	return strtol(text, NULL, 10) == pid && path != NULL && lstat(path, &st) == 0 &&
	       (double)(time(NULL) - st.st_mtime) <= age(process) + AGE_SLACK_S;
}

static bool is_machine(const char *process, pid_t pid, const char *dir)
{
	static char arguments[ARGUMENTS_MAX];
	char comm[COMM_MAX];
	struct bb_view all = read_some(process, "cmdline", arguments, sizeof(arguments));

	(void)read_some(process, "comm", comm, sizeof(comm));
	if (strcmp(comm, "libkrun VM\n") != 0 && strncmp(comm, "VM:", 3) != 0 &&
	    !has_word(all, "_boot-vm"))
		return false;
	return has_word(all, dir) || is_written(process, pid, dir);
}

static bool ends(int pidfd, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, bb_clock_left_ms(deadline_ms));
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* 1: was there and is gone, 0: is none of ours, negative: does not die. */
static int end_one(const char *number, const char *dir, uint64_t deadline_ms, struct bb_err *err)
{
	BB_AUTO_FREE char *process = bb_text_printf("/proc/%s", number);
	pid_t pid = (pid_t)strtol(number, NULL, 10);
	struct spawn_child child = { .pid = -1, .pidfd = -1 };
	BB_AUTO_CLOSE int pidfd = -1;

	if (process == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (!is_machine(process, pid, dir))
		return 0;
	pidfd = spawn_watch(pid);
	if (pidfd < 0 || !is_machine(process, pid, dir))
		return 0;
	child.pidfd = pidfd;
	spawn_kill(&child, SIGKILL);
	if (!ends(pidfd, deadline_ms))
		return bb_err_set(err, BB_E_DEADLINE, "process %s of the machine does not die",
				  number);
	return 1;
}

int vmdir_end_processes(const char *dir, struct bb_err *err)
{
	uint64_t deadline_ms = bb_clock_ms() + END_MS;
	DIR *d = opendir("/proc");
	int count = 0, r = 0;

	if (d == NULL)
		return bb_err_errno(err, "cannot read '/proc'");
	for (const struct dirent *e = readdir(d); r >= 0 && e != NULL; e = readdir(d)) {
		r = isdigit((unsigned char)e->d_name[0]) ? end_one(e->d_name, dir, deadline_ms, err)
							 : 0;
		count += r > 0;
	}
	(void)closedir(d);
	return r < 0 ? r : count;
}

int vmdir_discard(const char *dir, const char *machine, struct bb_err *err)
{
	char name[NAME_MAX_SIZE];

	(void)read_some(dir, "name", name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, machine) == 0 ? bb_path_remove_tree(dir, err) : 0;
}
