/* The test's host end. */
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "base/num.h"
#include "sys/loopback.h"

/* --- the child ------------------------------------------------------------------------------- */

static void jail_need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(99);
}

static void jail_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	jail_need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void jail_mounts(void)
{
	struct bb_err err = { 0 };

	jail_need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	jail_need(mount("proc", "/proc", "proc", 0, NULL) == 0, "proc");
	jail_need(mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") == 0,
		  "devpts");
	jail_need(mount("tmpfs", "/home", "tmpfs", 0, NULL) == 0, "home");
	jail_need(mkdir("/home/node", 0755) == 0, "home");
	jail_need(mkdir("/home/node/small", 0755) == 0, "small");
	jail_need(mount("tmpfs", "/home/node/small", "tmpfs", 0, "size=4m") == 0, "small");
	jail_need(mount("tmpfs", "/etc/ssl/certs", "tmpfs", 0, NULL) == 0, "/etc/ssl/certs");
	jail_write("/etc/ssl/certs/ca-certificates.crt", "ROOTS\n");
	/* As root the test's uid 1000 is the host's root: nothing of the host may be within reach
	 * of the provisioning. */
	if (access("/usr/local/share/ca-certificates", F_OK) == 0)
		jail_need(mount("tmpfs", "/usr/local/share/ca-certificates", "tmpfs", 0, NULL) == 0,
			  "/usr/local/share/ca-certificates");
	jail_write("/home/resolv.conf", "nameserver 127.0.0.1\n");
	jail_need(mount("/home/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0,
		  "resolv.conf");
	jail_write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	jail_need(loopback_setup(&err) == 0, err.msg);
}

static void jail_run(int fd)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = bb_text_printf("%s/../src/bottle-init", dir);
	char *argv[] = { path, NULL }, *envp[] = { NULL };

	jail_mounts();
	jail_need(chdir("/") == 0, "chdir");
	jail_need(dup2(fd, 3) == 3, "stream");
	(void)fcntl(3, F_SETFD, 0);
	jail_need(close_range(4, ~0U, 0) == 0, "close_range");
	execve(path, argv, envp);
	jail_need(0, path);
}

/* One uid, 1000, as a namespace bottle has it. */
static void jail_enter(int fd)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();
	int status;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	jail_need(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |
			  CLONE_NEWIPC) == 0,
		  "unshare");
	jail_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "1000 %u 1", uid);
	jail_write("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "1000 %u 1", gid);
	jail_write("/proc/self/gid_map", map);
	pid = fork();
	jail_need(pid >= 0, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		jail_run(fd);
	}
	close(fd);
	jail_need(waitpid(pid, &status, 0) == pid, "wait");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* --- the mux ---------------------------------------------------------------------------------- */

static struct host_stream *host_stream_new(struct host *h, struct mux_stream *s)
{
	struct host_stream *hs = calloc(1, sizeof(*hs));

	assert_non_null(hs);
	hs->host = h;
	hs->s = s;
	bb_buf_init(&hs->in, 64 * 1024 * 1024);
	if (s != NULL)
		mux_stream_set_owner(s, hs);
	return hs;
}

static int host_on_open(void *arg, struct mux_stream *s)
{
	struct host *h = arg;
	struct host_stream *hs = host_stream_new(h, s), **p = &h->accepted;

	while (*p != NULL)
		p = &(*p)->next;
	*p = hs;
	return 0;
}

static void host_on_readable(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	(void)owner; /* readers pull: what is not read is what makes the guest wait */
}

static void host_on_writable(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	(void)owner;
}

static void host_on_reset(void *arg, struct mux_stream *s, void *owner)
{
	struct host_stream *hs = owner;

	(void)arg;
	(void)s;
	hs->is_reset = true;
}

static void host_on_output(void *arg)
{
	struct host *h = arg;

	h->has_output = true;
}

static const struct mux_handlers host_handlers = {
	.on_open = host_on_open,
	.on_readable = host_on_readable,
	.on_writable = host_on_writable,
	.on_reset = host_on_reset,
	.on_output = host_on_output,
};

static void host_write(struct host *h)
{
	while (h->has_output && !h->is_dead) {
		struct bb_view v = mux_output(h->mux);
		ssize_t n;

		if (v.n == 0) {
			h->has_output = false;
			return;
		}
		n = send(h->fd, v.p, v.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			h->is_dead = true;
		else
			mux_output_consume(h->mux, (size_t)n);
	}
}

void host_turn(struct host *h, int timeout_ms)
{
	static uint8_t chunk[65536];
	struct bb_err err = { 0 };
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	ssize_t n;

	host_write(h);
	if (h->is_dead)
		return;
	if (h->has_output)
		p.events |= POLLOUT;
	if (poll(&p, 1, timeout_ms) <= 0 || (p.revents & (POLLIN | POLLHUP)) == 0)
		return;
	n = recv(h->fd, chunk, sizeof(chunk), 0);
	if (n <= 0 && !(n < 0 && errno == EAGAIN))
		h->is_dead = true;
	if (n > 0 && mux_input(h->mux, chunk, (size_t)n, &err) < 0)
		fail_msg("mux: %s", err.msg);
	host_write(h);
}

struct host_stream *host_open(struct host *h, enum proto_service service, struct bb_view fields)
{
	struct host_stream *hs = host_stream_new(h, NULL);
	BB_AUTO_BUF struct bb_buf b = { 0 };

	assert_int_equal(mux_open(h->mux, hs, &hs->s), 0);
	bb_buf_init(&b, 8192);
	assert_int_equal(proto_put_open(&b, service, fields), 0);
	assert_int_equal(mux_stream_write(hs->s, bb_buf_peek(&b).p, bb_buf_size(&b)),
			 bb_buf_size(&b));
	hs->next = h->streams;
	h->streams = hs;
	return hs;
}

void host_send(struct host_stream *s, uint8_t type, const void *p, size_t n)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };

	bb_buf_init(&b, 128 * 1024);
	assert_int_equal(proto_put_frame(&b, type, p, n), 0);
	while (bb_buf_size(&b) > 0) {
		struct bb_view v = bb_buf_peek(&b);
		size_t done;

		HOST_UNTIL(s->host, mux_stream_writable(s->s) > 0 || s->is_reset);
		done = mux_stream_write(s->s, v.p, v.n);
		bb_buf_consume(&b, done);
	}
}

/* Takes what is there, at most `most`. */
static void host_pull(struct host_stream *s, size_t most)
{
	while (most > 0) {
		struct bb_view v = mux_stream_peek(s->s);

		if (v.n == 0)
			return;
		if (v.n > most)
			v.n = most;
		assert_int_equal(bb_buf_append(&s->in, v.p, v.n), 0);
		mux_stream_consume(s->s, v.n);
		most -= v.n;
	}
}

size_t host_read(struct host_stream *s, size_t n)
{
	HOST_UNTIL(s->host, (host_pull(s, n - bb_buf_size(&s->in)), bb_buf_size(&s->in) >= n) ||
				    s->is_reset || mux_stream_at_eof(s->s));
	return bb_buf_size(&s->in);
}

uint8_t host_recv(struct host_stream *s, struct bb_buf *body)
{
	struct proto_frame f = { 0 };
	struct bb_err err = { 0 };
	int n;

	if (host_read(s, PROTO_FRAME_HEAD) < PROTO_FRAME_HEAD)
		return 0;
	host_read(s, PROTO_FRAME_HEAD + bb_be32(bb_buf_peek(&s->in).p + 4));
	n = proto_get_frame(bb_buf_peek(&s->in), &f, &err);
	if (n <= 0)
		fail_msg("frame: %s", n < 0 ? err.msg : "incomplete");
	bb_buf_reset(body);
	assert_int_equal(bb_buf_append_view(body, f.body), 0);
	bb_buf_consume(&s->in, (size_t)n);
	return f.type;
}

static void host_unlink(struct host_stream **list, struct host_stream *s)
{
	for (struct host_stream **p = list; *p != NULL; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			return;
		}
	}
}

void host_close(struct host_stream *s)
{
	host_unlink(&s->host->streams, s);
	mux_stream_release(s->s);
	host_write(s->host);
	bb_buf_done(&s->in);
	free(s);
}

struct host_stream *host_accept(struct host *h, int timeout_ms)
{
	uint64_t deadline = bb_clock_ms() + (uint64_t)timeout_ms;
	struct host_stream *s;
	uint32_t n;

	while (h->accepted == NULL && bb_clock_left_ms(deadline) > 0)
		host_turn(h, bb_clock_left_ms(deadline));
	s = h->accepted;
	if (s == NULL)
		return NULL;
	h->accepted = s->next;
	s->next = h->streams;
	h->streams = s;
	assert_int_equal(host_read(s, PROTO_OPEN_HEAD), PROTO_OPEN_HEAD);
	n = bb_be32(bb_buf_peek(&s->in).p + 4);
	assert_int_equal(bb_buf_peek(&s->in).p[3], PROTO_EGRESS);
	host_read(s, PROTO_OPEN_HEAD + n);
	bb_buf_reset(&s->in);
	return s;
}

/* --- lifecycle -------------------------------------------------------------------------------- */

static void host_provision(struct host *h, const struct host_options *o)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	BB_AUTO_BUF struct bb_buf body = { 0 };
	static const uint16_t no_ports[] = { 0 };
	static const char *const no_env[] = { NULL };

	bb_buf_init(&b, 65536);
	bb_buf_init(&body, 65536);
	for (const char *const *e = o->env == NULL ? no_env : o->env; *e != NULL; e++)
		bb_tlv_put_str(&b, LIFECYCLE_TAG_ENV, *e);
	for (const uint16_t *p = o->ports == NULL ? no_ports : o->ports; *p != 0; p++)
		bb_tlv_put_u32(&b, LIFECYCLE_TAG_PORT, *p);
	bb_tlv_put_str(&b, LIFECYCLE_TAG_HOSTNAME, "bottle");
	bb_tlv_put_u32(&b, LIFECYCLE_TAG_PIDS, o->pids);
	host_send(h->lifecycle, LIFECYCLE_PROVISION, bb_buf_peek(&b).p, bb_buf_size(&b));
	bb_buf_reset(&b);
	bb_tlv_put_str(&b, LIFECYCLE_TAG_CA_PEM, "BOTTLE CA\n");
	host_send(h->lifecycle, LIFECYCLE_PROVISION, bb_buf_peek(&b).p, bb_buf_size(&b));
	host_send(h->lifecycle, LIFECYCLE_PROVISION_END, NULL, 0);
	assert_int_equal(host_recv(h->lifecycle, &body), LIFECYCLE_READY);
	if (bb_buf_size(&body) > 0)
		fail_msg("not ready: %s", host_text(&body) + BB_TLV_HEADER);
}

struct host *host_start(const struct host_options *options)
{
	const struct mux_config config = { .side = MUX_HOST };
	struct host *h = calloc(1, sizeof(*h));
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int pair[2];

	assert_non_null(h);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0)
		jail_enter(pair[1]);
	close(pair[1]);
	h->fd = pair[0];
	bb_fd_set_nonblock(h->fd, 1);
	h->mux = mux_new(&config, &host_handlers, h);
	assert_non_null(h->mux);
	bb_buf_init(&body, 65536);
	h->lifecycle = host_open(h, PROTO_LIFECYCLE, bb_view_of(NULL, 0));
	assert_int_equal(host_recv(h->lifecycle, &body), LIFECYCLE_HELLO);
	host_provision(h, options);
	return h;
}

int host_shutdown(struct host *h)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int status = -1;
	uint8_t type;

	bb_buf_init(&body, 65536);
	host_send(h->lifecycle, LIFECYCLE_SHUTDOWN, NULL, 0);
	do
		type = host_recv(h->lifecycle, &body);
	while (type != LIFECYCLE_BYE && type != 0);
	assert_int_equal(type, LIFECYCLE_BYE);
	HOST_UNTIL(h, h->is_dead);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	h->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void host_free_list(struct host_stream *s)
{
	while (s != NULL) {
		struct host_stream *next = s->next;

		bb_buf_done(&s->in);
		free(s);
		s = next;
	}
}

void host_free(struct host *h)
{
	if (h->pid > 0) {
		kill(h->pid, SIGKILL); /* the namespace's first process dies with it */
		waitpid(h->pid, NULL, 0);
	}
	close(h->fd);
	mux_free(h->mux);
	host_free_list(h->streams);
	host_free_list(h->accepted);
	free(h);
}

/* --- exec ------------------------------------------------------------------------------------- */

struct host_stream *host_exec_open(struct host *h, const struct host_exec *e)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	struct host_stream *s = host_open(h, PROTO_EXEC, bb_view_of(NULL, 0));

	bb_buf_init(&b, 65536);
	for (const char *const *a = e->argv; *a != NULL; a++)
		bb_tlv_put_str(&b, EXEC_TAG_ARG, *a);
	for (const char *const *a = e->env; a != NULL && *a != NULL; a++)
		bb_tlv_put_str(&b, EXEC_TAG_ENV, *a);
	if (e->cwd != NULL)
		bb_tlv_put_str(&b, EXEC_TAG_CWD, e->cwd);
	if (e->user != NULL)
		bb_tlv_put_str(&b, EXEC_TAG_USER, e->user);
	if (e->rows != 0) {
		bb_tlv_put_u32(&b, EXEC_TAG_ROWS, (uint32_t)e->rows);
		bb_tlv_put_u32(&b, EXEC_TAG_COLUMNS, (uint32_t)e->columns);
	}
	bb_tlv_put_u32(&b, EXEC_TAG_FLAGS, e->flags);
	host_send(s, EXEC_START, bb_buf_peek(&b).p, bb_buf_size(&b));
	return s;
}

void host_collect(struct host_stream *s, struct host_result *ret)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	*ret = (struct host_result){ .code = -1 };
	bb_buf_init(&body, 128 * 1024);
	bb_buf_init(&ret->out, 64 * 1024 * 1024);
	bb_buf_init(&ret->err, 64 * 1024 * 1024);
	for (;;) {
		uint8_t type = host_recv(s, &body);
		struct bb_view v = bb_buf_peek(&body);

		if (type == EXEC_STARTED)
			ret->session = bb_be32(v.p);
		else if (type == EXEC_STDOUT)
			bb_buf_append_view(&ret->out, v);
		else if (type == EXEC_STDERR)
			bb_buf_append_view(&ret->err, v);
		else if (type == EXEC_EXIT) {
			ret->code = (int)bb_be32(v.p);
			break;
		} else if (type == EXEC_FAILED) {
			ret->failed = (int)bb_be32(v.p);
			snprintf(ret->text, sizeof(ret->text), "%.*s", (int)v.n - 4, v.p + 4);
			break;
		} else
			fail_msg("unexpected frame %d", type);
	}
	host_close(s);
}

int host_run(struct host *h, const char *const *argv, struct host_result *ret)
{
	struct host_stream *s = host_exec_open(h, &(struct host_exec){ .argv = argv });

	host_send(s, EXEC_STDIN_EOF, NULL, 0);
	host_collect(s, ret);
	return ret->code;
}

int host_sh(struct host *h, const char *script, struct host_result *ret)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return host_run(h, argv, ret);
}

void host_result_done(struct host_result *r)
{
	bb_buf_done(&r->out);
	bb_buf_done(&r->err);
}

const char *host_text(struct bb_buf *b)
{
	bb_buf_append_byte(b, 0);
	b->len--; /* the terminator stays behind the content */
	return (const char *)bb_buf_peek(b).p;
}

void host_expect_sh(struct host *h, const char *script, int code, const char *out)
{
	struct host_result r;

	assert_int_equal(host_sh(h, script, &r), code);
	assert_string_equal(host_text(&r.out), out);
	host_result_done(&r);
}
