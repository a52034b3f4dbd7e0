/*
 * PID 1 reaches everybody with kill(-1); any other process would reach far too much with it. A
 * bottle-init that is one process among others in its machine signals what stands below it: orphans
 * stay below because it is their subreaper.
 *
 * Trusted for nothing: the guest's processes may fork while the list is read, which is why SIGKILL
 * goes round again. The machine's end, not this, is what is certain.
 */
#include "guest/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

#define TREE_PROCESSES_MAX 32768
#define TREE_KILL_ROUNDS   20

struct tree_process {
	pid_t pid, parent;
	bool is_alive, is_below;
};

struct tree {
	struct tree_process *all;
	size_t count, room;
};

static bool tree_add(struct tree *t, const struct tree_process *p)
{
	if (t->count == t->room) {
		size_t room = t->room == 0 ? 64 : t->room * 2;
		struct tree_process *grown;

		if (room > TREE_PROCESSES_MAX)
			return false;
		grown = realloc(t->all, room * sizeof(*grown));
		if (grown == NULL)
			return false;
		t->all = grown;
		t->room = room;
	}
	t->all[t->count++] = *p;
	return true;
}

/* "pid (name) S ppid ...": the name may hold anything, its last parenthesis closes it. */
static bool tree_read(const char *number, struct tree_process *ret)
{
	char path[64], text[512], *end;
	BB_AUTO_CLOSE int fd = -1;
	uint64_t pid;
	ssize_t n;

	if (bb_num_parse_u64(bb_view_str(number), INT32_MAX, &pid) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%u/stat", (unsigned)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (end == NULL || strlen(end) < 5)
		return false;
	*ret = (struct tree_process){ .pid = (pid_t)pid,
				      .parent = (pid_t)strtol(end + 4, NULL, 10),
				      .is_alive = end[2] != 'Z' && end[2] != 'X' };
	return true;
}

static void tree_list(struct tree *t)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		struct tree_process p;

		if (tree_read(e->d_name, &p) && !tree_add(t, &p))
			break;
	}
	(void)closedir(dir); /* was only read */
}

static bool tree_is_below(const struct tree *t, const struct tree_process *p, pid_t root)
{
	if (p->parent == root)
		return true;
	for (size_t i = 0; i < t->count; i++)
		if (t->all[i].pid == p->parent)
			return t->all[i].is_below;
	return false;
}

/* A parent may be listed after its child: until nothing more is found. */
static void tree_mark(struct tree *t, pid_t root)
{
	bool is_changed = true;

	while (is_changed) {
		is_changed = false;
		for (size_t i = 0; i < t->count; i++) {
			struct tree_process *p = &t->all[i];

			if (!p->is_below && tree_is_below(t, p, root)) {
				p->is_below = true;
				is_changed = true;
			}
		}
	}
}

static size_t tree_signal_once(int number)
{
	struct tree t = { 0 };
	size_t count = 0;

	tree_list(&t);
	tree_mark(&t, getpid());
	for (size_t i = 0; i < t.count; i++) {
		if (t.all[i].is_below && t.all[i].is_alive && kill(t.all[i].pid, number) == 0)
			count++;
	}
	free(t.all);
	return count;
}

void tree_signal(int number)
{
	int rounds = number == SIGKILL ? TREE_KILL_ROUNDS : 1;

	while (rounds-- > 0 && tree_signal_once(number) > 0)
		;
}
