/*
 * fork and exec of a session's process. What happens between the two uses no heap: all strings are
 * made before. Failures after the fork come back over a close-on-exec pipe, so the loop never waits
 * for an exec.
 */
#include "guest/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define PROCESS_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool process_same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strcspn(b, "=") == n && memcmp(a, b, n) == 0;
}

/* Takes entry. */
static int process_env_set(char ***env, char *entry)
{
	if (entry == NULL)
		return -ENOMEM;
	for (char **e = *env; e != NULL && *e != NULL; e++) {
		if (process_same_name(*e, entry)) {
			free(*e);
			*e = entry;
			return 0;
		}
	}
	return bb_strv_push(env, entry);
}

char **process_environment(const struct guest_user *user, char *const *base,
			   const struct bb_view *added, size_t added_count)
{
	BB_AUTO_STRV char **env = NULL;
	int r = process_env_set(&env, bb_text_printf("PATH=%s", PROCESS_PATH));

	if (r == 0)
		r = process_env_set(&env, bb_text_printf("HOME=%s", user->home));
	if (r == 0)
		r = process_env_set(&env, bb_text_printf("USER=%s", user->name));
	if (r == 0)
		r = process_env_set(&env, bb_text_printf("LOGNAME=%s", user->name));
	for (size_t i = 0; r == 0 && base != NULL && base[i] != NULL; i++) {
		/* The base environment is the agent's; another user keeps a home of its own. */
		if (user->uid == 0 && user->must_switch && strncmp(base[i], "HOME=", 5) == 0)
			continue;
		r = process_env_set(&env, strdup(base[i]));
	}
	for (size_t i = 0; r == 0 && i < added_count; i++)
		r = process_env_set(&env, strndup((const char *)added[i].p, added[i].n));
	return r < 0 ? NULL : bb_take_ptr(&env);
}

/* Everything the child needs, made before the fork. */
struct process_child {
	char **argv, **env;
	char **candidates; /* paths to try, in order */
	char *cwd;
	const char *home;
	const struct guest_user *user;
	uint32_t pids;
	bool has_pty;
	int in_fd, out_fd, err_fd, status_fd;
};

static void process_child_done(struct process_child *c)
{
	bb_strv_free(c->argv);
	bb_strv_free(c->env);
	bb_strv_free(c->candidates);
	free(c->cwd);
}

/* "name" is looked up in the PATH that the process will have, not in ours. */
static int process_find(struct process_child *c)
{
	const char *path = NULL, *name = c->argv[0];

	if (strchr(name, '/') != NULL)
		return bb_strv_push(&c->candidates, strdup(name));
	for (char **e = c->env; *e != NULL; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	while (path != NULL && *path != '\0') {
		size_t n = strcspn(path, ":");
		int r = bb_strv_push(&c->candidates,
				     n == 0 ? bb_text_printf("./%s", name)
					    : bb_text_printf("%.*s/%s", (int)n, path, name));

		if (r < 0)
			return r;
		path += n + (path[n] == ':');
	}
	return 0;
}

static _Noreturn void process_fail(const struct process_child *c, int code, const char *what)
{
	struct process_failure f = { .code = code, .number = errno };

	(void)snprintf(f.what, sizeof(f.what), "%s", what);
	(void)!write(c->status_fd, &f, sizeof(f)); /* whole: it is below PIPE_BUF */
	_exit(code);
}

static void process_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* fails for KILL and STOP only */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void process_limit(uint32_t pids)
{
	struct rlimit limit;

	if (pids == 0 || getrlimit(RLIMIT_NPROC, &limit) < 0)
		return;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > pids)
		limit.rlim_max = pids;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NPROC, &limit); /* lowering is always allowed */
}

/* As execvp: a candidate that may not be run does not hide a later one that may. */
static _Noreturn void process_exec(const struct process_child *c)
{
	int saved = ENOENT;

	for (char **p = c->candidates; p != NULL && *p != NULL; p++) {
		(void)execve(*p, c->argv, c->env);
		if (errno != ENOENT && errno != ENOTDIR)
			saved = errno;
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			break;
	}
	errno = saved;
	process_fail(c, saved == ENOENT ? 127 : 126, "exec");
}

static _Noreturn void process_run(struct process_child *c)
{
	process_reset_signals();
	(void)umask(022);
	(void)setsid(); /* a fresh child is never a group leader */
	if (c->has_pty && ioctl(c->in_fd, TIOCSCTTY, 0) < 0)
		process_fail(c, 125, "terminal");
	if (dup2(c->in_fd, 0) < 0 || dup2(c->out_fd, 1) < 0 || dup2(c->err_fd, 2) < 0)
		process_fail(c, 125, "descriptors");
	process_limit(c->pids);
	if (c->user->must_switch && guest_user_become(c->user) < 0)
		process_fail(c, 125, "user");
	if (c->cwd != NULL ? chdir(c->cwd) < 0 : chdir(c->home) < 0 && chdir("/") < 0)
		process_fail(c, 125, "directory");
	process_exec(c);
}

/* Parent's and child's ends of what stands for standard input, output and error. */
struct process_ends {
	int ours[3], theirs[3];
};

static void process_ends_done(struct process_ends *e)
{
	for (int i = 0; i < 3; i++) {
		bb_cleanup_fd(&e->ours[i]);
		bb_cleanup_fd(&e->theirs[i]);
	}
}

static int process_open_pty(const struct process_plan *plan, struct process_ends *e,
			    struct bb_err *err)
{
	struct winsize size = { .ws_row = plan->rows, .ws_col = plan->columns };
	int unlock = 0, number = 0;
	char name[32];

	e->ours[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (e->ours[0] < 0)
		return bb_err_errno(err, "terminal '/dev/ptmx'");
	if (ioctl(e->ours[0], TIOCSPTLCK, &unlock) < 0 || ioctl(e->ours[0], TIOCGPTN, &number) < 0)
		return bb_err_errno(err, "terminal");
	(void)snprintf(name, sizeof(name), "/dev/pts/%d", number);
	e->theirs[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (e->theirs[0] < 0)
		return bb_err_errno(err, "terminal '%s'", name);
	if (ioctl(e->theirs[0], TIOCSWINSZ, &size) < 0)
		return bb_err_errno(err, "terminal size");
	e->ours[1] = fcntl(e->ours[0], F_DUPFD_CLOEXEC, 3);
	e->theirs[1] = fcntl(e->theirs[0], F_DUPFD_CLOEXEC, 3);
	e->theirs[2] = fcntl(e->theirs[0], F_DUPFD_CLOEXEC, 3);
	if (e->ours[1] < 0 || e->theirs[1] < 0 || e->theirs[2] < 0)
		return bb_err_errno(err, "terminal");
	if (plan->user.must_switch)
		(void)!fchown(e->theirs[0], plan->user.uid, (gid_t)-1); /* as login does */
	return 0;
}

static int process_open_pipes(struct process_ends *e, struct bb_err *err)
{
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return bb_err_errno(err, "pipe");
		e->ours[i] = i == 0 ? p[1] : p[0];
		e->theirs[i] = i == 0 ? p[0] : p[1];
		if (bb_fd_set_nonblock(e->ours[i], 1) < 0)
			return bb_err_errno(err, "pipe");
	}
	return 0;
}

static int process_child_init(struct process_child *c, const struct guest *g,
			      const struct process_plan *plan)
{
	int r = 0;

	c->user = &plan->user;
	c->home = plan->user.home;
	c->pids = g->provision.pids;
	c->has_pty = plan->has_pty;
	c->env = process_environment(&plan->user, g->provision.env, plan->env, plan->env_count);
	if (c->env == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < plan->arg_count; i++)
		r = bb_strv_push(&c->argv, strndup((const char *)plan->args[i].p, plan->args[i].n));
	if (r == 0 && c->argv == NULL)
		r = -EINVAL;
	if (r == 0 && plan->cwd.n > 0) {
		c->cwd = strndup((const char *)plan->cwd.p, plan->cwd.n);
		r = c->cwd == NULL ? -ENOMEM : 0;
	}
	return r < 0 ? r : process_find(c);
}

int process_start(const struct guest *g, const struct process_plan *plan, struct process *ret,
		  struct bb_err *err)
{
	__attribute__((cleanup(process_child_done))) struct process_child c = { 0 };
	__attribute__((cleanup(process_ends_done))) struct process_ends e = { { -1, -1, -1 },
									      { -1, -1, -1 } };
	int status[2];
	pid_t pid;
	int r = process_child_init(&c, g, plan);

	if (r < 0)
		return bb_err_set(err, r, "process: %s", bb_err_name(r));
	r = plan->has_pty ? process_open_pty(plan, &e, err) : process_open_pipes(&e, err);
	if (r < 0)
		return r;
	if (pipe2(status, O_CLOEXEC) < 0)
		return bb_err_errno(err, "pipe");
	c.in_fd = e.theirs[0];
	c.out_fd = e.theirs[1];
	c.err_fd = e.theirs[2];
	c.status_fd = status[1];

	pid = fork();
	if (pid == 0)
		process_run(&c);
	(void)close(status[1]); /* the child's */
	if (pid < 0) {
		r = bb_err_errno(err, "fork");
		(void)close(status[0]); /* nothing comes */
		return r;
	}
	(void)bb_fd_set_nonblock(status[0], 1);
	*ret = (struct process){ .pid = pid,
				 .in_fd = bb_take_fd(&e.ours[0]),
				 .out_fd = bb_take_fd(&e.ours[1]),
				 .err_fd = bb_take_fd(&e.ours[2]),
				 .status_fd = status[0] };
	return 0;
}
