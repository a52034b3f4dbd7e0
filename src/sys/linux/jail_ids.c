/*
 * Who the jailed process is. Three ways (jail_impl.h), one result: inside, the agent's uid;
 * outside, never the host's uid 0.
 *
 * Ordinary user: the set-up namespace maps its 0 to the user (devpts wants a mapped 0), the inner
 * one maps the agent to that 0. With a subuid range the inner namespace knows 0..65535: the agent
 * is the user, all others come from the range. Real root: the inner namespace maps onto a high
 * range of the host, root's own in /etc/subuid or a fixed one that no distribution gives away.
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"
#include "sys/linux/caps.h"
#include "sys/linux/jail_impl.h"

#define RANGE_SIZE 65536U
/* Above what Debian, systemd (524288..1879048191) and the usual container tools hand out, below
 * 2^31. */
#define ROOT_RANGE_START 0x78000000U

#define IDMAP_TIMEOUT_MS 5000
#define CAPS_OF_REAL_ROOT                                                                        \
	(1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SETUID | 1ULL << CAP_SETGID | 1ULL << CAP_SETPCAP | \
	 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_NET_ADMIN | 1ULL << CAP_SETFCAP)

/* Does this process's user namespace know the ids of the fixed range? Only then is it the host's
 * root, and not the root of some container that has a few ids. */
static bool knows_high_ids(const char *map_path)
{
	BB_AUTO_FCLOSE FILE *f = fopen(map_path, "re");
	char line[128];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *at = line; /* three numbers: inside, outside, count */
		unsigned long inside = strtoul(at, &at, 10);
		unsigned long count = (strtoul(at, &at, 10), strtoul(at, &at, 10));

		if (inside <= ROOT_RANGE_START && count > ROOT_RANGE_START - inside &&
		    count - (ROOT_RANGE_START - inside) >= RANGE_SIZE)
			return true;
	}
	return false;
}

/* "name:start:count" or "uid:start:count": the first range of a whole 65536. */
static bool parse_subid_line(const char *line, const char *user, uint32_t uid,
			     struct jail_range *ret)
{
	char number[16];
	size_t n = strcspn(line, ":");
	unsigned long start, count;
	char *at;

	(void)snprintf(number, sizeof(number), "%u", uid);
	if (line[n] != ':' || !((strlen(user) == n && strncmp(line, user, n) == 0) ||
				(strlen(number) == n && strncmp(line, number, n) == 0)))
		return false;
	start = strtoul(line + n + 1, &at, 10);
	if (*at != ':')
		return false;
	count = strtoul(at + 1, NULL, 10);
	if (start == 0 || start > INT_MAX || count < RANGE_SIZE)
		return false;
	*ret = (struct jail_range){ .start = (uint32_t)start, .count = RANGE_SIZE };
	return true;
}

static struct jail_range find_subid(const char *path, uint32_t uid)
{
	BB_AUTO_FCLOSE FILE *f = fopen(path, "re");
	const struct passwd *pw = getpwuid(uid);
	struct jail_range range = { 0 };
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (parse_subid_line(line, pw != NULL ? pw->pw_name : "", uid, &range))
			break;
	}
	return range;
}

static void write_inner_map(char dst[JAIL_MAP_MAX], const struct jail_ids *ids,
			    struct jail_range range, uint32_t id, bool wants_range)
{
	switch (ids->mode) {
	case JAIL_IDS_SINGLE:
		(void)snprintf(dst, JAIL_MAP_MAX, "%u 0 1\n", id);
		break;
	case JAIL_IDS_RANGE: /* the set-up namespace: 0 is the user, 1.. the range */
		if (id == 0)
			(void)snprintf(dst, JAIL_MAP_MAX, "0 0 %u\n", RANGE_SIZE);
		else
			(void)snprintf(dst, JAIL_MAP_MAX, "0 1 %u\n%u 0 1\n%u %u %u\n", id, id,
				       id + 1, id + 1, RANGE_SIZE - 1 - id);
		break;
	case JAIL_IDS_ROOT:
		if (wants_range)
			(void)snprintf(dst, JAIL_MAP_MAX, "0 %u %u\n", range.start, RANGE_SIZE);
		else
			(void)snprintf(dst, JAIL_MAP_MAX, "%u %u 1\n", id, range.start + id);
		break;
	}
}

static void choose_root(struct jail_ids *ids)
{
	const struct jail_range fixed = { .start = ROOT_RANGE_START, .count = RANGE_SIZE };
	struct jail_range uids = find_subid("/etc/subuid", 0);
	struct jail_range gids = find_subid("/etc/subgid", 0);

	ids->mode = JAIL_IDS_ROOT;
	ids->uids = uids.count > 0 && gids.count > 0 ? uids : fixed;
	ids->gids = uids.count > 0 && gids.count > 0 ? gids : fixed;
}

static void choose_range(struct jail_ids *ids)
{
	if (access("/usr/bin/newuidmap", X_OK) < 0 || access("/usr/bin/newgidmap", X_OK) < 0)
		return;
	/* A set-id program gains nothing under no_new_privs. */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		return;
	ids->uids = find_subid("/etc/subuid", ids->host_uid);
	ids->gids = find_subid("/etc/subgid", ids->host_uid);
	if (ids->uids.count > 0 && ids->gids.count > 0)
		ids->mode = JAIL_IDS_RANGE;
}

int jail_ids_choose(const struct jail_plan *plan, struct jail_ids *ret, struct bb_err *err)
{
	struct jail_ids ids = { .mode = JAIL_IDS_SINGLE,
				.host_uid = geteuid(),
				.host_gid = getegid() };

	if (plan->uid >= RANGE_SIZE - 1 || plan->gid >= RANGE_SIZE - 1)
		return bb_err_set(err, -EINVAL, "jail '%s': uid %u or gid %u is above %u",
				  plan->name, plan->uid, plan->gid, RANGE_SIZE - 2);
	if (ids.host_uid == 0 && knows_high_ids("/proc/self/uid_map")) {
		if (!caps_has(CAPS_OF_REAL_ROOT))
			return bb_err_set(err, -EPERM,
					  "root without CAP_SYS_ADMIN cannot make a bottle: run "
					  "bot-bottle as an ordinary user");
		choose_root(&ids);
	} else if (plan->wants_uid_range) {
		choose_range(&ids);
	}
	if (ids.mode == JAIL_IDS_ROOT) {
		ids.agent_uid = ids.uids.start + plan->uid;
		ids.agent_gid = ids.gids.start + plan->gid;
	}
	write_inner_map(ids.inner_uids, &ids, ids.uids, plan->uid, plan->wants_uid_range);
	write_inner_map(ids.inner_gids, &ids, ids.gids, plan->gid, plan->wants_uid_range);
	*ret = ids;
	return 0;
}

static bool sysctl_is(const char *path, char value)
{
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 0;

	return fd >= 0 && read(fd, &c, 1) == 1 && c == value;
}

int jail_ids_explain(enum jail_id_mode mode, int error, struct bb_err *err)
{
	if (sysctl_is("/proc/sys/user/max_user_namespaces", '0') || error == ENOSPC)
		return bb_err_set(
			err, -error,
			"this host allows no further user namespaces: raise it with 'sysctl "
			"user.max_user_namespaces=16384'");
	if (sysctl_is("/proc/sys/kernel/unprivileged_userns_clone", '0'))
		return bb_err_set(
			err, -error,
			"this host forbids user namespaces to ordinary users: allow them with "
			"'sysctl kernel.unprivileged_userns_clone=1'");
	if (sysctl_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
		return bb_err_set(
			err, -error,
			"AppArmor restricts user namespaces on this host: give bot-bottle a "
			"profile with 'userns', or run 'sysctl "
			"kernel.apparmor_restrict_unprivileged_userns=0'");
	errno = error;
	return bb_err_errno(err,
			    "cannot make namespaces%s: a container's seccomp profile or a "
			    "security module forbids it",
			    mode == JAIL_IDS_ROOT ? "" : " as an ordinary user");
}

/* "newuidmap PID 0 HOST 1 1 START 65535" */
static int run_idmap(const char *path, pid_t pid, uint32_t host_id, struct jail_range range,
		     struct bb_err *err)
{
	char words[6][16];
	char *argv[9] = { (char *)(uintptr_t)path };
	BB_AUTO_BUF struct bb_buf out;
	struct spawn_plan plan = { .path = path, .argv = argv };
	const uint32_t numbers[] = { 0, host_id, 1, 1, range.start, RANGE_SIZE - 1 };
	char pid_word[16];
	int r;

	(void)snprintf(pid_word, sizeof(pid_word), "%d", pid);
	argv[1] = pid_word;
	for (size_t i = 0; i < BB_ARRAY_LEN(numbers); i++) {
		(void)snprintf(words[i], sizeof(words[i]), "%u", numbers[i]);
		argv[2 + i] = words[i];
	}
	bb_buf_init(&out, 1024);
	r = spawn_run(&plan, IDMAP_TIMEOUT_MS, &out, err);
	if (r > 0)
		return bb_err_set(err, -EPERM,
				  "'%s' refused ids %u to %u: check /etc/subuid and /etc/subgid",
				  path, range.start, range.start + RANGE_SIZE - 2);
	return r;
}

int jail_ids_map_range(const struct jail_ids *ids, pid_t pid, struct bb_err *err)
{
	int r;

	if (ids->mode != JAIL_IDS_RANGE)
		return 0;
	r = run_idmap("/usr/bin/newuidmap", pid, ids->host_uid, ids->uids, err);
	if (r < 0)
		return r;
	return run_idmap("/usr/bin/newgidmap", pid, ids->host_gid, ids->gids, err);
}

static int write_at(int dir_fd, const char *name, const char *text, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return bb_err_errno(err, "id map: '%s'", name);
	return 0;
}

int jail_ids_map_self(const struct jail_ids *ids, pid_t pid, struct bb_err *err)
{
	BB_AUTO_CLOSE int dir = -1;
	char text[64];
	int r;

	(void)snprintf(text, sizeof(text), "/proc/%d", pid);
	dir = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return bb_err_errno(err, "'%s'", text);
	r = write_at(dir, "setgroups", "deny", err);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%u %u 1\n", ids->host_uid, ids->host_uid);
	r = write_at(dir, "uid_map", text, err);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%u %u 1\n", ids->host_gid, ids->host_gid);
	return write_at(dir, "gid_map", text, err);
}

int jail_ids_enter_setup(const struct jail_ids *ids, struct bb_err *err)
{
	BB_AUTO_CLOSE int self = -1;
	char map[64];
	int r;

	if (ids->mode == JAIL_IDS_ROOT) {
		if (setgroups(0, NULL) < 0)
			return bb_err_errno(err, "supplementary groups");
		return 0;
	}
	if (ids->mode == JAIL_IDS_RANGE) {
		if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
			return bb_err_errno(err, "set-up ids");
		return 0;
	}
	self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return bb_err_errno(err, "'/proc/self'");
	r = write_at(self, "setgroups", "deny", err);
	if (r < 0)
		return r;
	(void)snprintf(map, sizeof(map), "0 %u 1\n", ids->host_uid);
	r = write_at(self, "uid_map", map, err);
	if (r < 0)
		return r;
	(void)snprintf(map, sizeof(map), "0 %u 1\n", ids->host_gid);
	return write_at(self, "gid_map", map, err);
}

/* Runs in a child that stays in the set-up namespace: only from there may a map name other ids than
 * the writer's own. */
static int map_inner(const struct jail_ids *ids, int proc_self_fd)
{
	struct bb_err err = { 0 };

	/* The agent has no capability to call setgroups() with; where it was denied before, it has
	 * to be denied here too. */
	if (ids->mode == JAIL_IDS_SINGLE && write_at(proc_self_fd, "setgroups", "deny", &err) < 0)
		return -err.code;
	if (write_at(proc_self_fd, "uid_map", ids->inner_uids, &err) < 0 ||
	    write_at(proc_self_fd, "gid_map", ids->inner_gids, &err) < 0)
		return -err.code;
	return 0;
}

int jail_ids_enter_inner(const struct jail_ids *ids, const struct jail_plan *plan, int proc_self_fd,
			 struct bb_err *err)
{
	BB_AUTO_CLOSE int go_read = -1;
	BB_AUTO_CLOSE int go_write = -1;
	int ends[2], status, unshare_error = 0;
	pid_t helper;
	char go;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "id map: pipe");
	go_read = ends[0];
	go_write = ends[1];
	helper = fork();
	if (helper < 0)
		return bb_err_errno(err, "id map: fork");
	if (helper == 0) {
		(void)close(go_write);
		_exit(read(go_read, &go, 1) == 1 ? map_inner(ids, proc_self_fd) & 0xff : 255);
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		unshare_error = errno;
	else
		(void)!write(go_write, "g", 1); /* without it the helper ends with 255 */
	(void)close(bb_take_fd(&go_write));
	if (waitpid(helper, &status, 0) < 0)
		return bb_err_errno(err, "id map: wait");
	errno = unshare_error;
	if (unshare_error != 0)
		return bb_err_errno(err, "inner user namespace");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
		return bb_err_errno(err, "id map of the inner user namespace");
	}
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
	    setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return bb_err_errno(err, "uid %u, gid %u", plan->uid, plan->gid);
	return 0;
}
