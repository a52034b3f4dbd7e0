/*
 * The process side of a session: its descriptors, ring, signals and end.
 *
 * End: the code is known when the process is reaped; output is complete when its pipes (or
 * terminal) are closed by everybody, or when they were idle for SESSION_IDLE_MS after the exit: a
 * background child that keeps a pipe open must not keep the operator waiting. One that keeps
 * writing is heard for SESSION_END_MS; what the process itself left in its pipes is always
 * delivered. Whoever writes later gets SIGPIPE.
 */
#include "guest/session_impl.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limit.h"
#include "guest/lifecycle.h"

#define SESSION_IDLE_MS 100
#define SESSION_END_MS  2000
#define SESSION_KILL_MS 2000 /* between the hang-up and the kill after the loss of the owner */
#define SESSION_READS   4    /* chunks taken in one turn: the others want their turn too */

void session_close(struct session *s, struct poll_watch *w, int *fd)
{
	poll_del(&s->guest->loop, w);
	bb_cleanup_fd(fd);
	*fd = -1;
}

static void session_free(struct session *s)
{
	struct guest *g = s->guest;

	session_close(s, &s->in, &s->process.in_fd);
	session_close(s, &s->out, &s->process.out_fd);
	session_close(s, &s->err, &s->process.err_fd);
	session_close(s, &s->status, &s->process.status_fd);
	poll_timer_stop(&g->loop, &s->drain);
	poll_timer_stop(&g->loop, &s->kill);
	bb_buf_done(&s->input);
	ring_done(&s->ring);
	for (struct session **p = &g->sessions; *p != NULL; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	free(s);
}

void session_collect(struct session *s)
{
	bool is_kept = (s->flags & (EXEC_FLAG_KEEP | EXEC_FLAG_MAIN)) != 0 && !s->is_failed;

	if (s->state == SESSION_FINISHED && s->has_exited && s->attached == NULL && !is_kept)
		session_free(s);
}

/* The lowest and highest position of an attachment in the ring. */
static void session_positions(const struct session *s, uint64_t *floor, uint64_t *ceiling)
{
	*floor = UINT64_MAX;
	*ceiling = 0;
	for (const struct attach *a = s->attached; a != NULL; a = a->next) {
		if (a->position < *floor)
			*floor = a->position;
		if (a->position > *ceiling)
			*ceiling = a->position;
	}
}

static void session_finish(struct session *s)
{
	struct guest *g = s->guest;

	if (s->state == SESSION_FINISHED)
		return;
	s->state = SESSION_FINISHED;
	poll_timer_stop(&g->loop, &s->drain);
	session_close(s, &s->in, &s->process.in_fd);
	session_close(s, &s->out, &s->process.out_fd);
	session_close(s, &s->err, &s->process.err_fd);
	session_close(s, &s->status, &s->process.status_fd);
	attach_session_changed(s);
	if (s->flags & EXEC_FLAG_MAIN)
		lifecycle_main_exit(g, s->code);
}

static size_t session_pending(int fd)
{
	int n = 0;

	return fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void session_check_end(struct session *s)
{
	if (s->state != SESSION_RUNNING || !s->has_exited)
		return;
	if ((s->process.out_fd < 0 && s->process.err_fd < 0) ||
	    (s->owed == 0 && bb_clock_left_ms(s->end_deadline_ms) == 0)) {
		session_finish(s);
		return;
	}
	poll_timer_set(&s->guest->loop, &s->drain, SESSION_IDLE_MS);
}

static void session_on_idle(void *arg)
{
	struct session *s = arg;

	/* Not idle: nobody has room for what it says; or this machine is so busy that the timer ran
	 * out before we came to look at the pipes. */
	if (s->is_throttled || session_pending(s->process.out_fd) > 0 ||
	    session_pending(s->process.err_fd) > 0) {
		poll_timer_set(&s->guest->loop, &s->drain, SESSION_IDLE_MS);
		return;
	}
	session_finish(s);
	session_collect(s);
}

static void session_throttle(struct session *s)
{
	s->is_throttled = true;
	poll_set(&s->guest->loop, &s->out, 0);
	poll_set(&s->guest->loop, &s->err, 0);
}

void session_resume(struct session *s)
{
	uint64_t floor, ceiling;

	if (!s->is_throttled)
		return;
	session_positions(s, &floor, &ceiling);
	if (!ring_make_room(&s->ring, RING_CHUNK, floor))
		return;
	s->is_throttled = false;
	poll_set(&s->guest->loop, &s->out, POLL_READ);
	poll_set(&s->guest->loop, &s->err, POLL_READ);
}

/* True when there may be more to read. */
static bool session_read_chunk(struct session *s, struct poll_watch *w, int *fd, uint8_t type)
{
	uint8_t chunk[RING_CHUNK];
	uint64_t floor, ceiling;
	ssize_t n;

	session_positions(s, &floor, &ceiling);
	if (!ring_make_room(&s->ring, RING_CHUNK, floor)) {
		session_throttle(s);
		return false;
	}
	n = read(*fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* EIO: the last descriptor of the terminal's other side was closed. */
	if (n <= 0 || ring_append(&s->ring, type, chunk, (size_t)n, ceiling) < 0) {
		session_close(s, w, fd);
		return false;
	}
	s->owed -= (size_t)n < s->owed ? (size_t)n : s->owed;
	for (struct attach *a = s->attached; a != NULL; a = a->next)
		attach_pump(a);
	return (size_t)n == sizeof(chunk);
}

static void session_read(struct session *s, struct poll_watch *w, int *fd, uint8_t type)
{
	for (int i = 0; i < SESSION_READS; i++)
		if (!session_read_chunk(s, w, fd, type))
			break;
	session_check_end(s);
	session_collect(s);
}

static void session_on_out(void *arg, int events)
{
	struct session *s = arg;

	(void)events; /* read() says what it is */
	session_read(s, &s->out, &s->process.out_fd, EXEC_STDOUT);
}

static void session_on_err(void *arg, int events)
{
	struct session *s = arg;

	(void)events; /* read() says what it is */
	session_read(s, &s->err, &s->process.err_fd, EXEC_STDERR);
}

/* The group that a terminal's keys reach; without a terminal there is only the process's own. */
static pid_t session_foreground(const struct session *s)
{
	pid_t group = s->has_pty && s->process.in_fd >= 0 ? tcgetpgrp(s->process.in_fd) : 0;

	return group > 1 ? group : s->process.pid;
}

void session_signal(struct session *s, int number)
{
	if (s->has_exited || number < 1 || number >= NSIG)
		return;
	/* Before its setsid() the child is not yet a group. */
	if (kill(-session_foreground(s), number) < 0 && errno == ESRCH)
		(void)kill(s->process.pid, number);
}

/* The leader's group beside the foreground one. Nobody gets it twice: to many programs a second
 * TERM means "at once". */
static void session_kill_group(struct session *s, int number)
{
	bool is_apart = session_foreground(s) != s->process.pid;

	session_signal(s, number);
	if (is_apart && !s->has_exited)
		(void)kill(-s->process.pid, number);
}

static void session_on_kill(void *arg)
{
	session_kill_group(arg, SIGKILL);
}

void session_owner_lost(struct session *s)
{
	if ((s->flags & (EXEC_FLAG_KEEP | EXEC_FLAG_MAIN)) != 0 || s->has_exited)
		return;
	session_kill_group(s, SIGHUP);
	session_kill_group(s, SIGCONT);
	poll_timer_set(&s->guest->loop, &s->kill, SESSION_KILL_MS);
}

static void session_failed(struct session *s, const struct process_failure *f)
{
	s->is_failed = true;
	s->code = (uint32_t)f->code;
	(void)snprintf(s->failure, sizeof(s->failure), "%.15s: %s", f->what,
		       bb_err_name(-f->number));
	session_finish(s);
}

/* Exec has happened (end of the pipe) or a failure report came. */
static void session_read_status(struct session *s)
{
	struct process_failure f = { 0 };
	ssize_t n;

	if (s->state != SESSION_STARTING)
		return;
	do
		n = read(s->process.status_fd, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return;
	session_close(s, &s->status, &s->process.status_fd);
	if (n == sizeof(f)) {
		session_failed(s, &f);
		return;
	}
	s->state = SESSION_RUNNING;
	attach_session_changed(s);
	poll_set(&s->guest->loop, &s->out, POLL_READ);
	poll_set(&s->guest->loop, &s->err, POLL_READ);
	session_take_input(s);
}

static void session_on_status(void *arg, int events)
{
	struct session *s = arg;

	(void)events; /* read() says what it is */
	session_read_status(s);
	session_collect(s);
}

/* Room for one more: a finished session that is only kept for a later attach gives way. */
static int session_reserve(struct guest *g, struct bb_err *err)
{
	struct session *oldest = NULL;
	size_t count = 0;

	for (struct session *s = g->sessions; s != NULL; s = s->next) {
		count++;
		if (s->state == SESSION_FINISHED && s->has_exited && s->attached == NULL &&
		    (s->flags & EXEC_FLAG_MAIN) == 0)
			oldest = s; /* new ones are put in front */
	}
	if (count < LIMIT_EXEC_SESSIONS)
		return 0;
	if (oldest == NULL)
		return bb_err_set(err, BB_E_LIMIT, "%d processes are running already",
				  LIMIT_EXEC_SESSIONS);
	session_free(oldest);
	return 0;
}

struct session *session_start(struct guest *g, const struct process_plan *plan, uint32_t flags,
			      struct bb_err *err)
{
	struct session *s;

	if (session_reserve(g, err) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		(void)bb_err_set(err, -ENOMEM, "process: out of memory");
		return NULL;
	}
	if (process_start(g, plan, &s->process, err) < 0) {
		free(s);
		return NULL;
	}
	s->guest = g;
	s->id = ++g->last_session;
	s->flags = flags;
	s->has_pty = plan->has_pty;
	bb_buf_init(&s->input, LIMIT_EXEC_STDIN + LIMIT_PROTO_FRAME);
	ring_init(&s->ring);
	s->in = (struct poll_watch){ .cb = session_on_input, .arg = s };
	s->out = (struct poll_watch){ .cb = session_on_out, .arg = s };
	s->err = (struct poll_watch){ .cb = session_on_err, .arg = s };
	s->status = (struct poll_watch){ .cb = session_on_status, .arg = s };
	s->drain = (struct poll_timer){ .cb = session_on_idle, .arg = s };
	s->kill = (struct poll_timer){ .cb = session_on_kill, .arg = s };
	(void)poll_add(&g->loop, &s->in, s->process.in_fd, 0);   /* nothing is watched */
	(void)poll_add(&g->loop, &s->out, s->process.out_fd, 0); /* before exec has */
	(void)poll_add(&g->loop, &s->err, s->process.err_fd, 0); /* worked */
	(void)poll_add(&g->loop, &s->status, s->process.status_fd, POLL_READ);
	s->next = g->sessions;
	g->sessions = s;
	return s;
}

struct session *session_find(struct guest *g, uint32_t id)
{
	for (struct session *s = g->sessions; s != NULL; s = s->next)
		if (id == 0 ? (s->flags & EXEC_FLAG_MAIN) != 0 : s->id == id)
			return s;
	return NULL;
}

bool session_reaped(struct guest *g, pid_t pid, int wait_status)
{
	struct session *s = g->sessions;

	while (s != NULL && (s->has_exited || s->process.pid != pid))
		s = s->next;
	if (s == NULL)
		return false;
	session_read_status(s); /* its report came before its end */
	s->has_exited = true;
	s->owed = session_pending(s->process.out_fd) + session_pending(s->process.err_fd);
	s->end_deadline_ms = bb_clock_ms() + SESSION_END_MS;
	poll_timer_stop(&g->loop, &s->kill);
	if (!s->is_failed)
		s->code = WIFSIGNALED(wait_status) ? 128U + (uint32_t)WTERMSIG(wait_status)
						   : (uint32_t)WEXITSTATUS(wait_status);
	session_check_end(s);
	session_collect(s);
	return true;
}

void session_hang_up(struct guest *g)
{
	for (struct session *s = g->sessions; s != NULL; s = s->next)
		if (!s->has_exited && s->has_pty)
			session_kill_group(s, SIGHUP);
}

bool session_has_output(const struct guest *g)
{
	for (const struct session *s = g->sessions; s != NULL; s = s->next)
		for (const struct attach *a = s->attached; a != NULL; a = a->next)
			if (!a->is_finished)
				return true;
	return false;
}
