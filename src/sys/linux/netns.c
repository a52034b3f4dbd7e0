/*
 * Entering a network namespace; see netns.h. Who maps the ids: a child that stays outside, made
 * before, because only from there may newuidmap be run, and only its word may name other ids.
 */
#include "sys/netns.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/caps.h"
#include "sys/linux/jail_impl.h"
#include "sys/loopback.h"

#define ALREADY_ALLOWED (1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN)

static int explain(int error, enum jail_id_mode mode, struct bb_err *err)
{
	struct bb_err why = { 0 };

	(void)jail_ids_explain(mode, error, &why);
	return bb_err_set(err, BB_E_MISSING, "a network namespace cannot be had: %s", why.msg);
}

/* In the child: waits for the namespace, then gives it its ids. Exit code: 0, or an errno. */
static _Noreturn void map_parent(const struct jail_ids *ids, pid_t parent, int go_fd)
{
	struct bb_err err = { 0 };
	char go;
	int r;

	if (read(go_fd, &go, 1) != 1)
		_exit(EIO);
	r = ids->mode == JAIL_IDS_RANGE ? jail_ids_map_range(ids, parent, &err)
					: jail_ids_map_self(ids, parent, &err);
	_exit(r == 0 ? 0 : r > -256 && r < 0 ? -r : EIO);
}

static int unshare_user(const struct jail_ids *ids, struct bb_err *err)
{
	BB_AUTO_CLOSE int go_read = -1;
	BB_AUTO_CLOSE int go_write = -1;
	pid_t parent = getpid(), helper;
	int ends[2], status, error = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "network namespace: pipe");
	go_read = ends[0];
	go_write = ends[1];
	helper = fork();
	if (helper < 0)
		return bb_err_errno(err, "network namespace: fork");
	if (helper == 0) {
		(void)close(go_write);
		map_parent(ids, parent, go_read);
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		error = errno;
	else
		(void)!write(go_write, "g", 1); /* a helper that is gone is seen below */
	(void)close(bb_take_fd(&go_write));
	if (waitpid(helper, &status, 0) < 0)
		return bb_err_errno(err, "network namespace: wait");
	if (error != 0)
		return explain(error, ids->mode, err);
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return errno == 0 ? 0 : bb_err_errno(err, "network namespace: the id map");
}

/* The files of a process without dumps belong to the host's root: without newuidmap, which is that,
 * the maps can be written only while it is an ordinary one. */
static int enter_user(const struct jail_ids *ids, struct bb_err *err)
{
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	int r;

	if (dumpable == 0)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* cannot fail for 0 and 1 */
	r = unshare_user(ids, err);
	if (dumpable == 0)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return r;
}

int netns_enter(struct bb_err *err)
{
	static const struct jail_plan who = { .name = "netns", .wants_uid_range = true };
	struct jail_ids ids = { 0 };
	int r;

	if (caps_has(ALREADY_ALLOWED)) {
		if (unshare(CLONE_NEWNET) < 0)
			return explain(errno, JAIL_IDS_ROOT, err);
		return loopback_raise(err);
	}
	r = jail_ids_choose(&who, &ids, err);
	if (r == 0)
		r = enter_user(&ids, err);
	return r < 0 ? r : loopback_raise(err);
}

int netns_probe(struct bb_err *err)
{
	BB_AUTO_CLOSE int reader = -1;
	BB_AUTO_CLOSE int writer = -1;
	struct bb_err said = { 0 };
	pid_t pid;
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "network namespace: pipe");
	reader = ends[0];
	writer = ends[1];
	pid = fork();
	if (pid < 0)
		return bb_err_errno(err, "network namespace: fork");
	if (pid == 0) {
		(void)netns_enter(&said);
		(void)!write(writer, &said, sizeof(said));
		_exit(0);
	}
	(void)close(bb_take_fd(&writer));
	do
		n = read(reader, &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	(void)waitpid(pid, NULL, 0);
	if (n != (ssize_t)sizeof(said))
		return bb_err_set(err, BB_E_PART,
				  "network namespace: the try ended without a word");
	if (said.code == 0)
		return 0;
	said.msg[sizeof(said.msg) - 1] = '\0';
	return bb_err_set(err, said.code, "%s", said.msg);
}
