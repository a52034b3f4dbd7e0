/*
 * FILE streams. The work is a child's: it may wait for disks, meet a full file system or die, and
 * it runs as the user the files are for. The child's one end is a pipe of archive bytes, the other
 * a pipe for one line that says what went wrong; no line and exit code 0 is success.
 */
#include "guest/copy.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limit.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "guest/boot.h"
#include "guest/frames.h"
#include "guest/pack.h"
#include "guest/provision.h"
#include "guest/unpack.h"

#define COPY_EXCLUDES    64
#define COPY_CHUNK       32768
#define COPY_TURNS       4
#define CHILD_CHANGES_FD 2 /* in the child */

struct copy {
	struct peer peer;
	struct guest *guest;
	struct copy *next;
	uint32_t op;
	pid_t pid; /* 0: reaped, or never started */
	int data_fd, result_fd;
	struct poll_watch watch;
	struct frames in;
	struct bb_buf data; /* PUT: archive bytes the child has not taken */
	struct bb_buf out;  /* frames not sent */
	bool has_end;       /* PUT: FILE_END came */
	bool has_exited;
	int wait_status;
	bool is_finished; /* the result is in out: only the host's close is awaited */
};

struct copy_request {
	uint32_t op, flags;
	char *path;
	char *excludes[COPY_EXCLUDES + 1];
	char *only[COPY_EXCLUDES + 1];
	struct guest_user user;
	enum guest_mode mode;
};

static void copy_request_done(struct copy_request *rq)
{
	free(rq->path);
	for (size_t i = 0; rq->excludes[i] != NULL; i++)
		free(rq->excludes[i]);
	for (size_t i = 0; rq->only[i] != NULL; i++)
		free(rq->only[i]);
}

static int copy_views(const struct bb_view *views, size_t count, char **dst, struct bb_err *err)
{
	for (size_t i = 0; i < count; i++) {
		dst[i] = strndup((const char *)views[i].p, views[i].n);
		if (dst[i] == NULL)
			return bb_err_set(err, -ENOMEM, "copy: out of memory");
	}
	return 0;
}

/* A layer is whose its entries say, so bottle-init itself reads and makes it. */
static int copy_check_layer(const struct guest *g, struct copy_request *rq, struct bb_err *err)
{
	if ((rq->flags & FILE_FLAG_LAYER) == 0)
		return 0;
	rq->mode = g->mode;
	rq->user.must_switch = false;
	if (rq->mode == GUEST_NAMESPACE || (rq->mode == GUEST_MICROVM && boot_changes() >= 0))
		return 0;
	return bb_err_set(
		err, -EOPNOTSUPP,
		"this machine's changes cannot be told apart from its image; in a microvm "
		"or namespace bottle they can");
}

static int copy_request_read(struct guest *g, struct bb_view fields, struct copy_request *rq,
			     struct bb_err *err)
{
	struct bb_view path = { 0 }, user = { 0 }, excludes[COPY_EXCLUDES], only[COPY_EXCLUDES];
	size_t exclude_count = 0, only_count = 0;
	const struct bb_tlv_field known[] = {
		{ FILE_TAG_OP, BB_TLV_U32, .is_required = true, .out = &rq->op },
		{ FILE_TAG_PATH, BB_TLV_STR, .max = PATH_MAX - 1, .is_required = true,
		  .out = &path },
		{ FILE_TAG_USER, BB_TLV_STR, .max = 32, .out = &user },
		{ FILE_TAG_FLAGS, BB_TLV_U32, .out = &rq->flags },
		{ FILE_TAG_EXCLUDE, BB_TLV_STR, .max = PATH_MAX - 1, .out = excludes,
		  .count = &exclude_count, .repeat_max = COPY_EXCLUDES },
		{ FILE_TAG_ONLY, BB_TLV_STR, .max = NAME_MAX, .out = only, .count = &only_count,
		  .repeat_max = COPY_EXCLUDES },
	};
	int r = bb_tlv_read(fields, known, BB_ARRAY_LEN(known), err);

	if (r == 0)
		r = guest_user(g, user, &rq->user, err);
	if (r < 0)
		return r;
	if (rq->op != FILE_PUT && rq->op != FILE_GET)
		return bb_err_set(err, -EPROTO, "file operation %u is not known", rq->op);
	if (path.n == 0 || path.p[0] != '/')
		return bb_err_set(err, -EINVAL, "path '%s' is not absolute", BB_ESCAPED(path));
	rq->path = strndup((const char *)path.p, path.n);
	if (rq->path == NULL)
		return bb_err_set(err, -ENOMEM, "copy: out of memory");
	r = copy_views(excludes, exclude_count, rq->excludes, err);
	if (r == 0)
		r = copy_views(only, only_count, rq->only, err);
	return r < 0 ? r : copy_check_layer(g, rq, err);
}

/* --- the child ------------------------------------------------------------------------------- */

static int copy_read_data(void *arg, void *p, size_t n)
{
	(void)arg;
	return bb_fd_read_full(0, p, n);
}

static int copy_write_data(void *arg, const void *p, size_t n)
{
	(void)arg;
	return bb_fd_write_all(0, p, n);
}

static int copy_put(const struct copy_request *rq, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = -1;
	uint8_t rest[4096];
	int r = bb_path_mkdirs(rq->path, 0755, err);

	if (r < 0)
		return r;
	root = open(rq->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return bb_err_errno(err, "'%s'", BB_ESCAPED(bb_view_str(rq->path)));
	(void)umask(0);
	if ((rq->flags & FILE_FLAG_REPLACE) != 0)
		r = unpack_empty(root);
	if (r < 0)
		return bb_err_set(err, r, "'%s' cannot be emptied: %s",
				  BB_ESCAPED(bb_view_str(rq->path)), bb_err_name(r));
	r = (rq->flags & FILE_FLAG_LAYER) != 0 ? unpack_layer(root, copy_read_data, NULL, err)
					       : unpack(root, copy_read_data, NULL, err);
	/* The pipe ends when the host has said FILE_END: only then is the copy complete. */
	while (r == 0 && read(0, rest, sizeof(rest)) > 0)
		;
	return r;
}

/*
 * What bottle-init itself writes at each start is no change of the bottle's; the rest is what ends
 * with a machine anyway. A namespace bottle can change nothing but its home.
 */
static int copy_get_layer(const struct copy_request *rq, struct bb_err *err)
{
	static const char *const left_out[] = { "dev",
						"proc",
						"sys",
						"run",
						"tmp",
						"var/tmp",
						"etc/hosts",
						"etc/hostname",
						"etc/resolv.conf",
						&PROVISION_STORE[1],
						&PROVISION_CA[1],
						NULL };
	static const char *const home[] = { "home", NULL };
	const struct pack_plan plan = {
		.path = "/",
		.root_fd = rq->mode == GUEST_MICROVM ? CHILD_CHANGES_FD : 0,
		.contents = true,
		.excludes = left_out,
		.only = rq->mode == GUEST_MICROVM ? NULL : home,
		.is_layer = true,
	};

	return pack(&plan, copy_write_data, NULL, err);
}

static int copy_get(const struct copy_request *rq, struct bb_err *err)
{
	const struct pack_plan plan = { .path = rq->path,
					.contents = (rq->flags & FILE_FLAG_CONTENTS) != 0,
					.excludes = (const char *const *)rq->excludes,
					.only = rq->only[0] == NULL
							? NULL
							: (const char *const *)rq->only };

	if ((rq->flags & FILE_FLAG_LAYER) != 0)
		return copy_get_layer(rq, err);
	return pack(&plan, copy_write_data, NULL, err);
}

/* 0: archive bytes; 1: the line; 2: the machine's changes, for a layer. Everything else of the loop
 * is closed: above all the pipes of other processes, which must see their end. */
static _Noreturn void copy_child(const struct copy_request *rq, int data_fd, int result_fd)
{
	struct bb_err err = { 0 };
	sigset_t none;
	int r;

	(void)signal(SIGPIPE, SIG_DFL); /* the loop gave up: so does the child */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Through high numbers: either may be 0 or 1 already. */
	data_fd = fcntl(data_fd, F_DUPFD, 10);
	result_fd = fcntl(result_fd, F_DUPFD, 10);
	if (data_fd < 0 || result_fd < 0 || dup2(data_fd, 0) < 0 || dup2(result_fd, 1) < 0)
		_exit(1);
	if (rq->mode == GUEST_MICROVM && dup2(boot_changes(), CHILD_CHANGES_FD) < 0)
		_exit(1);
	/* Neither can fail for a valid range. */
	(void)close_range(rq->mode == GUEST_MICROVM ? CHILD_CHANGES_FD + 1 : CHILD_CHANGES_FD, ~0U,
			  0);
	(void)umask(022);
	if (rq->user.must_switch && guest_user_become(&rq->user) < 0)
		_exit(1);
	r = rq->op == FILE_PUT ? copy_put(rq, &err) : copy_get(rq, &err);
	if (r < 0)
		(void)!write(1, err.msg, strnlen(err.msg, 512)); /* below PIPE_BUF */
	_exit(r < 0 ? 1 : 0);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void copy_close_data(struct copy *c)
{
	poll_del(&c->guest->loop, &c->watch);
	bb_cleanup_fd(&c->data_fd);
	c->data_fd = -1;
}

static void copy_free(struct copy *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL); /* reaped as anybody's child later */
	copy_close_data(c);
	bb_cleanup_fd(&c->result_fd);
	mux_stream_release(c->peer.stream);
	frames_done(&c->in);
	bb_buf_done(&c->data);
	bb_buf_done(&c->out);
	for (struct copy **p = &c->guest->copies; *p != NULL; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	free(c);
}

static bool copy_flush(struct copy *c)
{
	if (!frames_flush(&c->out, c->peer.stream))
		return false;
	if (c->is_finished)
		mux_stream_finish(c->peer.stream);
	return true;
}

static void copy_finish(struct copy *c, const char *text)
{
	if (c->op == FILE_GET)
		(void)proto_put_frame(&c->out, FILE_END, NULL, 0); /* there is room for both */
	(void)proto_put_frame(&c->out, FILE_RESULT, text, strnlen(text, 512));
	c->is_finished = true;
	copy_close_data(c);
	(void)copy_flush(c);
}

/* The child is gone and, for a GET, all it wrote is on its way. */
static void copy_check_end(struct copy *c)
{
	char text[600] = "";
	ssize_t n;

	if (c->is_finished || !c->has_exited || (c->op == FILE_GET && c->data_fd >= 0))
		return;
	n = read(c->result_fd, text, sizeof(text) - 1);
	if (n > 0)
		text[n] = '\0';
	else if (!WIFEXITED(c->wait_status) || WEXITSTATUS(c->wait_status) != 0)
		(void)snprintf(text, sizeof(text), "the copying process died");
	else if (c->op == FILE_PUT && !c->has_end)
		(void)snprintf(text, sizeof(text), "the archive ended before its copy did");
	copy_finish(c, text);
}

/* PUT: gives the child what it takes. True: all is taken. */
static bool copy_feed(struct copy *c)
{
	if (c->op != FILE_PUT)
		return true;
	while (bb_buf_size(&c->data) > 0 && c->data_fd >= 0) {
		ssize_t n = bb_fd_write_some(c->data_fd, &c->data);

		if (n == -EAGAIN) {
			poll_set(&c->guest->loop, &c->watch, POLL_WRITE);
			return false;
		}
		if (n < 0)
			copy_close_data(c); /* it has stopped reading, and will say why */
	}
	if (c->data_fd < 0)
		bb_buf_reset(&c->data);
	poll_set(&c->guest->loop, &c->watch, 0);
	if (c->has_end)
		copy_close_data(c);
	return true;
}

/* False: c is gone. */
static bool copy_take_frames(struct copy *c)
{
	struct bb_err err = { 0 };
	struct proto_frame f;
	int r = 0;

	while (!c->is_finished && copy_feed(c)) {
		r = frames_next(&c->in, c->peer.stream, &f, &err);
		if (r <= 0)
			break;
		if (c->op == FILE_PUT && f.type == FILE_DATA && !c->has_end && c->data_fd >= 0)
			r = bb_buf_append_view(&c->data, f.body); /* it is empty: a frame fits */
		else if (c->op == FILE_PUT && f.type == FILE_END)
			c->has_end = true;
		frames_pop(&c->in);
		if (r < 0)
			break;
	}
	if (c->is_finished)
		frames_discard(c->peer.stream);
	/* A PUT that is cut off must not look complete: the child is killed, not told an end. A GET
	 * needs nothing more from the host, but its close means that nobody listens. */
	if (r < 0 || mux_stream_at_eof(c->peer.stream)) {
		copy_free(c);
		return false;
	}
	return true;
}

/* GET: takes what the child has packed. */
static void copy_drain(struct copy *c)
{
	uint8_t chunk[COPY_CHUNK];

	for (int i = 0; i < COPY_TURNS && c->data_fd >= 0; i++) {
		ssize_t n;

		if (!copy_flush(c)) {
			poll_set(&c->guest->loop, &c->watch, 0);
			return;
		}
		n = read(c->data_fd, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0 || proto_put_frame(&c->out, FILE_DATA, chunk, (size_t)n) < 0) {
			copy_close_data(c);
			break;
		}
	}
	(void)copy_flush(c);
	poll_set(&c->guest->loop, &c->watch, POLL_READ);
	copy_check_end(c);
}

static void copy_on_readable(void *peer)
{
	(void)copy_take_frames(peer); /* false: gone, and nothing is left to do */
}

static void copy_on_writable(void *peer)
{
	struct copy *c = peer;

	if (c->op == FILE_GET && !c->is_finished)
		copy_drain(c);
	else
		(void)copy_flush(c);
}

static void copy_on_reset(void *peer)
{
	copy_free(peer);
}

static const struct peer_ops copy_ops = {
	.readable = copy_on_readable,
	.writable = copy_on_writable,
	.reset = copy_on_reset,
};

static void copy_on_pipe(void *arg, int events)
{
	struct copy *c = arg;

	(void)events; /* read() and write() say what it is */
	if (c->op == FILE_GET)
		copy_drain(c);
	else
		(void)copy_take_frames(c);
}

/* Forks the child and keeps our ends of its pipes. */
static int copy_spawn(struct copy *c, const struct copy_request *rq, struct bb_err *err)
{
	int data[2] = { -1, -1 }, result[2] = { -1, -1 };
	int ours = rq->op == FILE_PUT ? 1 : 0;

	if (pipe2(data, O_CLOEXEC) < 0)
		return bb_err_errno(err, "pipe");
	if (pipe2(result, O_CLOEXEC) < 0) {
		(void)bb_err_errno(err, "pipe");
		(void)close(data[0]); /* never used */
		(void)close(data[1]);
		return err->code;
	}
	c->pid = fork();
	if (c->pid == 0)
		copy_child(rq, data[1 - ours], result[1]);
	if (c->pid < 0)
		(void)bb_err_errno(err, "fork");
	(void)close(data[1 - ours]); /* the child's */
	(void)close(result[1]);      /* likewise */
	c->data_fd = data[ours];
	c->result_fd = result[0];
	if (c->pid < 0) {
		c->pid = 0;
		return err->code;
	}
	(void)bb_fd_set_nonblock(c->data_fd, 1);
	(void)bb_fd_set_nonblock(c->result_fd, 1);
	return poll_add(&c->guest->loop, &c->watch, c->data_fd, rq->op == FILE_GET ? POLL_READ : 0);
}

static size_t copy_count(const struct guest *g)
{
	size_t n = 0;

	for (const struct copy *c = g->copies; c != NULL; c = c->next)
		n++;
	return n;
}

static int copy_start(struct copy *c, struct bb_view fields, struct bb_err *err)
{
	__attribute__((cleanup(copy_request_done))) struct copy_request rq = { 0 };
	int r;

	if (!c->guest->is_ready || c->guest->is_ending)
		return bb_err_set(err, -ESHUTDOWN, "the bottle is %s",
				  c->guest->is_ending ? "ending" : "not ready");
	if (copy_count(c->guest) > LIMIT_GUEST_COPIES)
		return bb_err_set(err, BB_E_LIMIT, "%d copies are running already",
				  LIMIT_GUEST_COPIES);
	r = copy_request_read(c->guest, fields, &rq, err);
	if (r < 0)
		return r;
	c->op = rq.op;
	return copy_spawn(c, &rq, err);
}

int copy_accept(struct guest *g, struct mux_stream *s, struct bb_view fields)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct bb_err err = { 0 };

	if (c == NULL)
		return -ENOMEM;
	c->peer = (struct peer){ .ops = &copy_ops, .stream = s };
	c->guest = g;
	c->data_fd = c->result_fd = -1;
	c->watch = (struct poll_watch){ .fd = -1, .cb = copy_on_pipe, .arg = c };
	frames_init(&c->in);
	bb_buf_init(&c->data, LIMIT_PROTO_FRAME);
	bb_buf_init(&c->out, 2 * COPY_CHUNK);
	c->next = g->copies;
	g->copies = c;
	mux_stream_set_owner(s, c);
	if (copy_start(c, fields, &err) < 0)
		copy_finish(c, err.msg);
	(void)copy_take_frames(c); /* false: gone already */
	return 0;
}

bool copy_reaped(struct guest *g, pid_t pid, int wait_status)
{
	for (struct copy *c = g->copies; c != NULL; c = c->next) {
		if (c->pid != pid)
			continue;
		c->pid = 0;
		c->has_exited = true;
		c->wait_status = wait_status;
		if (c->op == FILE_PUT)
			copy_close_data(c);
		copy_check_end(c);
		return true;
	}
	return false;
}

void copy_free_all(struct guest *g)
{
	while (g->copies != NULL)
		copy_free(g->copies);
}
