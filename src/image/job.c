/*
 * Running the programs a build needs (mmdebstrap, mkfs.erofs, npm, ...). They are the operator's
 * own, found in PATH and given the operator's environment, because apt and npm are configured
 * there. Each runs in a session of its own, so that a Ctrl-C reaches the builder first, which then
 * ends the whole session and cleans up. Their output is kept only as far as an error message needs
 * it.
 */
#include "image/job.h"

#include <fcntl.h>
#include <fts.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "sys/spawn.h"

#define JOB_TOOLS_MAX 2
#define JOB_LINE_MAX  4096  /* bytes of one line of output; longer ones are cut */
#define JOB_WORDS_MAX 400   /* bytes of last words in an error message */
#define JOB_GRACE_MS  10000 /* mmdebstrap removes its own tree when it is told to end */
#define JOB_DISK_RESERVE \
	(16 * 1024 * 1024) /* bytes free below which a failure is put down to a full disk */

struct run {
	struct image_job *job;
	const struct job_tool *tools[JOB_TOOLS_MAX];
	struct spawn_child children[JOB_TOOLS_MAX];
	bool is_running[JOB_TOOLS_MAX];
	int codes[JOB_TOOLS_MAX];
	size_t count;
	int log_fd, out_fd;        /* read ends; -1: at its end */
	struct bb_buf log;         /* the line being read */
	char words[JOB_WORDS_MAX]; /* the last lines worth showing */
	bool is_disk_full, is_interrupted;
	uint64_t kill_at_ms; /* 0: not being ended */
};

void job_step(struct image_job *job, int span, const char *text)
{
	job->percent += job->span;
	job->span = span;
	job_move(job, 0, text);
}

void job_move(struct image_job *job, int done, const char *text)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "%s: %s", job->name, text); /* cut when too long */
	if (job->report != NULL)
		job->report(job->arg, line, job->percent + job->span * done / 1000);
}

/* The path of a program, on the heap, or NULL. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	BB_AUTO_FREE char *all =
		bb_text_printf("%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			       path == NULL ? "" : path);
	char *rest = all;

	for (char *dir = strsep(&rest, ":"); dir != NULL; dir = strsep(&rest, ":")) {
		BB_AUTO_FREE char *file = dir[0] == '/' ? bb_text_printf("%s/%s", dir, name) : NULL;

		if (file != NULL && access(file, X_OK) == 0)
			return bb_take_ptr(&file);
	}
	return NULL;
}

int job_need_program(const char *name, const char *package, struct bb_err *err)
{
	BB_AUTO_FREE char *path = find_program(name);

	if (path != NULL)
		return 0;
	return bb_err_set(err, BB_E_MISSING, "'%s' is not installed; run: apt install %s", name,
			  package);
}

/* A line of a program's standard error is complete. */
static void run_line(struct run *run)
{
	BB_AUTO_FREE char *line = bb_buf_dup_str(&run->log);
	char shown[JOB_WORDS_MAX / 2];
	size_t kept;

	if (line == NULL || line[0] == '\0')
		return;
	if (strstr(line, strerror(ENOSPC)) != NULL)
		run->is_disk_full = true;
	for (size_t i = 0; i < run->count; i++)
		if (run->tools[i]->line != NULL)
			run->tools[i]->line(run->job, line);

	(void)bb_text_escape(shown, sizeof(shown), bb_buf_peek(&run->log), 120);
	kept = strlen(run->words) + strlen(shown) + 3;
	if (kept >= sizeof(run->words)) /* keeps the newest: the cause stands at the end */
		run->words[0] = '\0';
	kept = strlen(run->words);
	(void)snprintf(run->words + kept, sizeof(run->words) - kept, "%s%s", kept == 0 ? "" : "; ",
		       shown);
}

/* Cuts what was read into lines; a carriage return ends one too (progress meters). */
static void run_log(struct run *run, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || p[i] == '\r') {
			run_line(run);
			bb_buf_reset(&run->log);
		} else {
			(void)bb_buf_append_byte(&run->log,
						 p[i]); /* a line that is too long is cut */
		}
	}
}

/* Reads what is there; at the end closes the descriptor. */
static void run_read(struct run *run, int *fd, bool is_log)
{
	uint8_t chunk[8192];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		(void)close(*fd);
		*fd = -1;
	} else if (is_log) {
		run_log(run, chunk, (size_t)n);
	} else {
		for (size_t i = 0; i < run->count; i++)
			if (run->tools[i]->out != NULL)
				(void)bb_buf_append(run->tools[i]->out, chunk,
						    (size_t)n); /* the rest is dropped */
	}
}

static bool run_is_over(const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->is_running[i])
			return false;
	return true;
}

static void run_signal(const struct run *run, int signal)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->is_running[i]) /* the leader is not reaped yet, so the number is still its
					   session's */
			(void)kill(-run->children[i].pid, signal);
}

static void run_end(struct run *run)
{
	if (run->kill_at_ms != 0)
		return;
	run_signal(run, SIGTERM);
	run->kill_at_ms = bb_clock_ms() + JOB_GRACE_MS;
}

static void run_reap(struct run *run, size_t i)
{
	int code = spawn_reap(&run->children[i]);

	if (code == -EAGAIN)
		return;
	run->is_running[i] = false;
	run->codes[i] = code;
	if (code != 0) /* its neighbour cannot end well any more */
		run_end(run);
}

static void run_interrupt(struct run *run)
{
	struct signalfd_siginfo info;

	(void)!read(run->job->signal_fd, &info,
		    sizeof(info)); /* which of the two does not matter */
	run->is_interrupted = true;
	run_end(run);
}

static void run_turn(struct run *run)
{
	struct pollfd p[3 + JOB_TOOLS_MAX] = {
		{ .fd = run->job->signal_fd, .events = POLLIN },
		{ .fd = run->log_fd, .events = POLLIN },
		{ .fd = run->out_fd, .events = POLLIN },
	};
	int timeout = run->kill_at_ms == 0 ? -1 : bb_clock_left_ms(run->kill_at_ms);

	for (size_t i = 0; i < run->count; i++)
		p[3 + i] = (struct pollfd){ .fd = run->is_running[i] ? run->children[i].pidfd : -1,
					    .events = POLLIN };
	if (poll(p, 3 + run->count, timeout) < 0)
		return;
	if (run->kill_at_ms != 0 && bb_clock_left_ms(run->kill_at_ms) == 0) {
		run_signal(run, SIGKILL);
		run->kill_at_ms = bb_clock_ms() + JOB_GRACE_MS;
	}
	if (p[0].revents != 0)
		run_interrupt(run);
	if (p[1].revents != 0)
		run_read(run, &run->log_fd, true);
	if (p[2].revents != 0)
		run_read(run, &run->out_fd, false);
	for (size_t i = 0; i < run->count; i++)
		if (p[3 + i].revents != 0)
			run_reap(run, i);
}

/* Our environment and the tool's additions in front of it: the first of two equal names counts. */
static char **run_environment(const struct job_tool *tool)
{
	char **env = NULL;

	for (size_t i = 0; tool->env != NULL && tool->env[i] != NULL; i++) {
		char *copy = strdup(tool->env[i]);

		if (copy == NULL || bb_strv_push(&env, copy) < 0)
			return env;
	}
	for (size_t i = 0; environ[i] != NULL; i++) {
		char *copy = strdup(environ[i]);

		if (copy == NULL || bb_strv_push(&env, copy) < 0)
			return env;
	}
	return env;
}

static int run_start(struct run *run, size_t i, int in_fd, int out_fd, int log_fd,
		     struct bb_err *err)
{
	const struct job_tool *tool = run->tools[i];
	BB_AUTO_FREE char *path = find_program(tool->argv[0]);
	BB_AUTO_STRV char **argv = NULL;
	BB_AUTO_STRV char **envp = NULL;
	struct spawn_fd fds[3] = { { log_fd, 2 },
				   { out_fd >= 0 ? out_fd : log_fd, 1 },
				   { in_fd, 0 } };
	struct spawn_plan plan = { .fds = fds,
				   .fd_count = in_fd >= 0 ? 3 : 2,
				   .cwd = tool->cwd,
				   .dies_with_parent = true,
				   .new_session = true };
	int r;

	if (path == NULL)
		return job_need_program(tool->argv[0], tool->package, err);
	for (size_t k = 0; tool->argv[k] != NULL; k++) {
		char *copy = strdup(tool->argv[k]);

		if (copy == NULL || bb_strv_push(&argv, copy) < 0)
			return bb_err_set(err, -ENOMEM, "out of memory");
	}
	envp = run_environment(tool);
	plan.path = path;
	plan.argv = argv;
	plan.envp = envp;
	r = spawn_start(&plan, &run->children[i], err);
	run->is_running[i] = r == 0;
	return r;
}

static bool is_disk_full(const struct image_job *job)
{
	struct statvfs st;

	return statvfs(job->dir, &st) == 0 && st.f_bavail * st.f_frsize < JOB_DISK_RESERVE;
}

static int run_result(const struct run *run, struct bb_err *err)
{
	if (run->is_interrupted)
		return bb_err_set(err, -EINTR, "interrupted; nothing was kept");
	for (size_t i = 0; i < run->count; i++) {
		if (run->codes[i] == 0)
			continue;
		if (run->is_disk_full || is_disk_full(run->job))
			return bb_err_set(
				err, -ENOSPC,
				"the disk that holds '%s' is full; free some space or move it with "
				"XDG_CACHE_HOME",
				run->job->images);
		return bb_err_set(err, -EIO, "'%s' failed with code %d: %s", run->tools[i]->argv[0],
				  run->codes[i],
				  run->words[0] == '\0' ? "it said nothing" : run->words);
	}
	return 0;
}

static int run_all(struct run *run, struct bb_err *err)
{
	BB_AUTO_CLOSE int log_in = -1;
	BB_AUTO_CLOSE int join_out = -1; /* read end between the two */
	int pair[2], r = 0;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	run->log_fd = pair[0];
	log_in = pair[1];
	for (size_t i = 0; i < run->count && r == 0; i++) {
		BB_AUTO_CLOSE int in = bb_take_fd(&join_out);
		BB_AUTO_CLOSE int out = -1;
		bool is_joined = i + 1 < run->count;

		if (is_joined || run->tools[i]->out != NULL) {
			if (pipe2(pair, O_CLOEXEC) < 0)
				return bb_err_errno(err, "cannot make a pipe");
			*(is_joined ? &join_out : &run->out_fd) = pair[0];
			out = pair[1];
		} else if (run->tools[i]->out_file != NULL) {
			out = fcntl(*run->tools[i]->out_file, F_DUPFD_CLOEXEC, 3);
			if (out < 0)
				return bb_err_errno(err, "cannot hand out a descriptor");
		}
		r = run_start(run, i, in, out, log_in, err);
	}
	(void)close(bb_take_fd(&log_in)); /* ours: the children's copies decide when the log ends */
	if (r < 0)
		run_end(run);
	while (!run_is_over(run))
		run_turn(run);
	for (int left = 64; left > 0 && run->out_fd >= 0; left--)
		run_read(run, &run->out_fd, false); /* its only writer is gone: reaches the end */
	if (run->log_fd >= 0 && bb_fd_set_nonblock(run->log_fd, 1) == 0)
		for (int left = 64; left > 0 && run->log_fd >= 0; left--)
			run_read(run, &run->log_fd, true);
	return r < 0 ? r : run_result(run, err);
}

static int run_tools(struct image_job *job, const struct job_tool *const *tools, size_t count,
		     struct bb_err *err)
{
	struct run run = { .job = job, .count = count, .log_fd = -1, .out_fd = -1 };
	int r;

	bb_buf_init(&run.log, JOB_LINE_MAX);
	for (size_t i = 0; i < count; i++) {
		run.tools[i] = tools[i];
		run.children[i].pidfd = -1;
	}
	r = run_all(&run, err);
	bb_buf_done(&run.log);
	bb_cleanup_fd(&run.log_fd);
	bb_cleanup_fd(&run.out_fd);
	return r;
}

int job_run(struct image_job *job, const struct job_tool *tool, struct bb_err *err)
{
	return run_tools(job, &tool, 1, err);
}

int job_pipe(struct image_job *job, const struct job_tool *from, const struct job_tool *to,
	     struct bb_err *err)
{
	return run_tools(job, (const struct job_tool *const[]){ from, to }, 2, err);
}

char *job_find_file(const char *dir, const char *suffix)
{
	BB_AUTO_FREE char *copy = strdup(dir);
	char *const paths[] = { copy, NULL };
	FTS *tree = copy == NULL ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t end = strlen(suffix);
	char *found = NULL;

	for (FTSENT *e = tree == NULL ? NULL : fts_read(tree); e != NULL; e = fts_read(tree))
		if (e->fts_info == FTS_F && e->fts_namelen > end &&
		    strcmp(e->fts_name + e->fts_namelen - end, suffix) == 0 && found == NULL)
			found = strdup(e->fts_path);
	if (tree != NULL)
		(void)fts_close(tree);
	return found;
}
