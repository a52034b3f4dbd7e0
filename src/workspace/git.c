/* See git.h. Standard input is a sealed memory file, so that nothing has to be fed while output and
 * errors are read. */
#include "workspace/git.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "sys/spawn.h"
#include "sys/tools.h"

#define FIRST_FD  3
#define WORDS_CAP 16384

struct run {
	const struct git_call *call;
	int dirs[GIT_DIRS_MAX];
	int in, out_write, words_write;
	int out, words; /* what is read; -1: at its end */
	struct spawn_child child;
	struct bb_buf text;
};

static void run_done(struct run *r)
{
	int *fds[] = { &r->in, &r->out_write, &r->words_write, &r->out, &r->words };

	for (size_t i = 0; i < GIT_DIRS_MAX; i++)
		bb_cleanup_fd(&r->dirs[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(fds); i++)
		bb_cleanup_fd(fds[i]);
	if (r->child.pidfd >= 0)
		(void)spawn_wait(&r->child, 0); /* kills */
	bb_buf_done(&r->text);
}

static int open_dirs(struct run *r, struct bb_err *err)
{
	for (size_t i = 0; r->call->access[i] != '\0'; i++) {
		r->dirs[i] = open(r->call->dirs[i], O_PATH | O_CLOEXEC);
		if (r->dirs[i] < 0)
			return bb_err_errno(err, "cannot open '%s'", r->call->dirs[i]);
	}
	return 0;
}

static int open_pipe(int *ret_read, int *ret_write, struct bb_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	*ret_read = ends[0];
	*ret_write = ends[1];
	(void)bb_fd_set_nonblock(ends[0], 1);
	return 0;
}

static int start(struct run *r, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_path_sibling("bot-bottle-git", err);
	BB_AUTO_STRV char **argv = NULL;
	struct spawn_fd fds[3 + GIT_DIRS_MAX];
	size_t count = 0;
	struct spawn_plan plan = {
		.path = path, .envp = r->call->env, .fds = fds, .dies_with_parent = true
	};
	int failed = path == NULL ? err->code : bb_strv_push(&argv, strdup("bot-bottle-git"));

	if (path == NULL)
		return failed;
	if (failed == 0)
		failed = bb_strv_push(&argv, strdup(r->call->access));
	for (size_t i = 0; failed == 0 && r->call->args[i] != NULL; i++)
		failed = bb_strv_push(&argv, strdup(r->call->args[i]));
	if (failed < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (r->in >= 0 || r->call->in_fd > 0)
		fds[count++] = (struct spawn_fd){ r->in >= 0 ? r->in : r->call->in_fd, 0 };
	if (r->out_write >= 0 || r->call->out_fd > 0)
		fds[count++] =
			(struct spawn_fd){ r->out_write >= 0 ? r->out_write : r->call->out_fd, 1 };
	fds[count++] = (struct spawn_fd){ r->words_write, 2 };
	for (size_t i = 0; r->call->access[i] != '\0'; i++)
		fds[count++] = (struct spawn_fd){ r->dirs[i], FIRST_FD + (int)i };
	plan.argv = argv;
	plan.fd_count = count;
	failed = spawn_start(&plan, &r->child, err);
	if (failed < 0)
		r->child.pidfd = -1;
	return failed;
}

/* Reads what is there; closes at the end. What passes the cap of `to` is an error for the output
 * and dropped for the words. */
static int take(int *fd, struct bb_buf *to, bool is_words, struct bb_err *err)
{
	uint8_t bytes[65536];
	ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		(void)close(bb_take_fd(fd));
		return 0;
	}
	if (to == NULL || bb_buf_append(to, bytes, (size_t)n) == 0 || is_words)
		return 0;
	return bb_err_set(err, BB_E_LIMIT, "git's answer is longer than can be read");
}

static int watch(int both, int fd, struct bb_err *err)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return fd >= 0 && epoll_ctl(both, EPOLL_CTL_ADD, fd, &e) < 0
		       ? bb_err_errno(err, "cannot wait for git")
		       : 0;
}

static int follow(struct run *r, struct bb_err *err)
{
	BB_AUTO_CLOSE int both = epoll_create1(EPOLL_CLOEXEC);
	int failed = both < 0 ? bb_err_errno(err, "cannot wait for git") : 0;

	if (failed == 0)
		failed = watch(both, r->out, err);
	if (failed == 0)
		failed = watch(both, r->words, err);
	while (failed == 0 && (r->out >= 0 || r->words >= 0)) {
		failed = r->call->wait(both, POLLIN, -1, err);
		failed = failed < 0 ? failed : 0;
		if (failed == 0 && r->out >= 0)
			failed = take(&r->out, r->call->out, false, err);
		if (failed == 0 && r->words >= 0)
			failed = take(&r->words, &r->text, true, err);
	}
	return failed;
}

/* git's last lines say most: "fatal: ..." */
static int explain(struct run *r, int code, struct bb_err *err)
{
	struct bb_view v = bb_buf_peek(&r->text);
	const char *verb = r->call->args[0];

	while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == ' '))
		v.n--;
	for (size_t i = v.n; i > 0; i--) {
		if (v.p[i - 1] == '\n' && v.n - i > 8) {
			v = bb_view_from(v, i);
			break;
		}
	}
	if (v.n > 7 && memcmp(v.p, "fatal: ", 7) == 0)
		v = bb_view_from(v, 7);
	if (code == 125)
		return bb_err_set(err, BB_E_PART, "%s",
				  bb_text_escape((char[600]){ 0 }, 600, v, 500));
	return bb_err_set(err, BB_E_REFUSED, "git %s: %s", verb,
			  v.n > 0 ? bb_text_escape((char[600]){ 0 }, 600, v, 500)
				  : "it failed without a word");
}

static int run(struct run *r, struct bb_err *err)
{
	int failed = open_dirs(r, err);
	int code;

	if (failed == 0 && r->call->input.n > 0) {
		r->in = bb_fd_sealed("git-input", r->call->input.p, r->call->input.n);
		if (r->in < 0)
			return bb_err_set(err, r->in, "cannot hand git its list");
	}
	if (failed == 0 && r->call->out != NULL)
		failed = open_pipe(&r->out, &r->out_write, err);
	if (failed == 0)
		failed = open_pipe(&r->words, &r->words_write, err);
	if (failed == 0)
		failed = start(r, err);
	if (failed < 0)
		return failed;
	bb_cleanup_fd(&r->out_write);
	bb_cleanup_fd(&r->words_write);
	r->out_write = r->words_write = -1;
	failed = follow(r, err);
	if (failed < 0)
		return failed;
	failed = r->call->wait(r->child.pidfd, POLLIN, -1, err);
	if (failed < 0)
		return failed;
	code = spawn_reap(&r->child);
	r->child.pidfd = -1;
	if (code == 0 || (code == 1 && r->call->may_fail))
		return code;
	return explain(r, code, err);
}

int git_run(const struct git_call *call, struct bb_err *err)
{
	__attribute__((cleanup(run_done))) struct run r = {
		.call = call,
		.in = -1,
		.out_write = -1,
		.words_write = -1,
		.out = -1,
		.words = -1,
		.child = { .pidfd = -1 },
	};

	for (size_t i = 0; i < GIT_DIRS_MAX; i++)
		r.dirs[i] = -1;
	bb_buf_init(&r.text, WORDS_CAP);
	return run(&r, err);
}

bool git_is_there(void)
{
	static const char *const paths[] = TOOLS_GIT;

	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return true;
	return false;
}

bool git_next(struct bb_view *v, const char **ret)
{
	const uint8_t *end = v->n == 0 ? NULL : memchr(v->p, '\0', v->n);

	if (end == NULL)
		return false;
	*ret = (const char *)v->p;
	*v = bb_view_from(*v, (size_t)(end - v->p) + 1);
	return true;
}
