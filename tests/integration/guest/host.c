/* The test's host end. */
#include "host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "base/num.h"
#include "sys/loopback.h"

#define HOST_SOCKET_PATH "/home/stream.sock" /* as the guest sees it */

/* What the child needs. */
struct jail {
	const struct host_options *options;
	int program_fd;    /* bottle-init */
	int fd;            /* the stream; with HOST_CONNECT where the listener is sent */
	int map_fd;        /* asks for the id maps */
	int in_fd, out_fd; /* HOST_CONNECT: standard input and output */
	char socket_path[64];
};

/* --- the child ------------------------------------------------------------------------------- */

/* Runs a program to its end; its exit code. */
static int host_program(const char *const *argv)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

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

/* In a test's machine the guest is root and writes where a namespace bottle cannot. */
static void jail_mounts_machine(const struct jail *j)
{
	static const char *const files[] = { "hosts", "hostname" };
	char own[64], real[64];

	for (size_t i = 0; i < BB_ARRAY_LEN(files); i++) {
		snprintf(own, sizeof(own), "/home/%s", files[i]);
		snprintf(real, sizeof(real), "/etc/%s", files[i]);
		jail_write(own, "old\n");
		jail_need(mount(own, real, NULL, MS_BIND, NULL) == 0, real);
	}
	jail_write("/home/node/old", "from the image\n");
	if (j->options->way == HOST_SOCKET) {
		jail_write(HOST_SOCKET_PATH, "");
		jail_need(mount(j->socket_path, HOST_SOCKET_PATH, NULL, MS_BIND, NULL) == 0,
			  j->socket_path);
	}
	jail_need(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=0700") == 0, "/tmp");
	jail_need(mount("tmpfs", "/var/tmp", "tmpfs", 0, "mode=0700") == 0, "/var/tmp");
}

static void jail_mounts(const struct jail *j)
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
	if (j->options->way != HOST_NAMESPACE)
		jail_mounts_machine(j);
	if (j->options->way == HOST_SOCKET)
		return; /* the guest's own affair */
	jail_write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	jail_need(loopback_setup(&err) == 0, err.msg);
}

/* A listener of this network namespace, given to the test outside. */
static void jail_give_listener(int to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 'l';
	struct iovec v = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };

	jail_need(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 8) == 0,
		  "listener");
	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS,
					 .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	jail_need(sendmsg(to, &m, 0) == 1, "listener");
	close(fd);
}

static void jail_exec(const struct jail *j, const char *word, const char *argument)
{
	char name[] = "bottle-init",
	     *argv[] = { name, (char *)(uintptr_t)word, (char *)(uintptr_t)argument, NULL };
	char *envp[] = { NULL };

	fexecve(j->program_fd, argv, envp);
	jail_need(0, "bottle-init");
}

/* Everything of the test but the stream, or what the way needs, is closed on exec. */
static void jail_run(const struct jail *j)
{
	static const char *const words[] = { "--namespace", "--socket", "--connect" };
	const char *const before[] = { "sh", "-c", j->options->before, NULL };
	enum host_way way = j->options->way;

	jail_mounts(j);
	if (j->options->before != NULL)
		jail_need(host_program(before) == 0, j->options->before);
	jail_need(chdir("/") == 0, "chdir");
	if (way == HOST_CONNECT)
		jail_give_listener(j->fd);
	else if (way == HOST_NAMESPACE)
		jail_need(dup2(j->fd, 3) == 3, "stream");
	jail_need(close_range(way == HOST_NAMESPACE ? 4 : 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0,
		  "close_range");
	(void)fcntl(3, F_SETFD, way == HOST_NAMESPACE ? 0 : FD_CLOEXEC);
	if (way == HOST_CONNECT && fork() > 0)
		jail_exec(j, "--idle", NULL);
	if (way == HOST_CONNECT)
		jail_need(dup2(j->in_fd, 0) == 0 && dup2(j->out_fd, 1) == 1, "pipes");
	jail_exec(j, words[way], way == HOST_SOCKET ? HOST_SOCKET_PATH : NULL);
}

/* One uid, 1000, as a namespace bottle has it. */
static void jail_map_agent(unsigned uid, unsigned gid)
{
	char map[64];

	jail_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "1000 %u 1", uid);
	jail_write("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "1000 %u 1", gid);
	jail_write("/proc/self/gid_map", map);
}

/* Root and all others: the test outside writes the maps. */
static void jail_map_machine(const struct jail *j)
{
	char go;

	jail_need(write(j->map_fd, "m", 1) == 1 && read(j->map_fd, &go, 1) == 1, "maps");
	if (!j->options->has_one_id)
		jail_need(setgroups(0, NULL) == 0, "groups");
	jail_need(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "root inside");
}

static void jail_enter(const struct jail *j)
{
	unsigned uid = getuid(), gid = getgid();
	int status;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	jail_need(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |
			  CLONE_NEWIPC) == 0,
		  "unshare");
	if (j->options->way == HOST_NAMESPACE)
		jail_map_agent(uid, gid);
	else
		jail_map_machine(j);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's: forgotten */
	pid = fork();
	jail_need(pid >= 0, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		jail_run(j);
	}
	close(j->fd);
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
	if (o->not_ready != NULL)
		snprintf(o->not_ready, HOST_TEXT_MAX, "%s",
			 bb_buf_size(&body) > 0 ? host_text(&body) + BB_TLV_HEADER : "");
	else if (bb_buf_size(&body) > 0)
		fail_msg("not ready: %s", host_text(&body) + BB_TLV_HEADER);
}

/* --- starting ----------------------------------------------------------------------------------
 */

static void host_write_file(pid_t pid, const char *name, const char *text)
{
	BB_AUTO_FREE char *path = bb_text_printf("/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The start of the user's range of 65536 ids; 0: there is none. */
static unsigned long host_subordinate(const char *path)
{
	BB_AUTO_FCLOSE FILE *f = fopen(path, "re");
	const struct passwd *user = getpwuid(getuid());
	char line[256];

	while (f != NULL && user != NULL && fgets(line, sizeof(line), f) != NULL) {
		size_t n = strlen(user->pw_name);

		if (strncmp(line, user->pw_name, n) == 0 && line[n] == ':')
			return strtoul(line + n + 1, NULL, 10);
	}
	return 0;
}

bool host_can_map(void)
{
	return getuid() == 0 ||
	       (host_subordinate("/etc/subuid") > 0 && host_subordinate("/etc/subgid") > 0);
}

static void host_run_idmap(const char *program, pid_t pid, unsigned id, unsigned long start)
{
	char target[16], own[16], first[16];
	const char *const argv[] = { program, target, "0", own, "1", "1", first, "65535", NULL };

	snprintf(target, sizeof(target), "%d", pid);
	snprintf(own, sizeof(own), "%u", id);
	snprintf(first, sizeof(first), "%lu", start);
	assert_int_equal(host_program(argv), 0);
}

/* Real root maps onto a range that nobody has. */
static void host_map(pid_t pid, bool has_one_id)
{
	char one[64];

	if (has_one_id) {
		host_write_file(pid, "setgroups", "deny");
		snprintf(one, sizeof(one), "0 %u 1", getuid());
		host_write_file(pid, "uid_map", one);
		snprintf(one, sizeof(one), "0 %u 1", getgid());
		host_write_file(pid, "gid_map", one);
	} else if (getuid() == 0) {
		host_write_file(pid, "uid_map", "0 2013265920 65536");
		host_write_file(pid, "gid_map", "0 2013265920 65536");
	} else {
		host_run_idmap("newuidmap", pid, getuid(), host_subordinate("/etc/subuid"));
		host_run_idmap("newgidmap", pid, getgid(), host_subordinate("/etc/subgid"));
	}
}

static int host_listen_unix(const char *path, int *ret_fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(*ret_fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return chmod(path, 0777) < 0 ? -errno : 0; /* its directory decides */
}

static int host_take_listener(int from)
{
	char byte;
	struct iovec v = { .iov_base = &byte, .iov_len = 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int fd = -1;

	assert_int_equal(recvmsg(from, &m, MSG_CMSG_CLOEXEC), 1);
	assert_true(m.msg_controllen > 0);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static int host_accept_stream(struct host *h, int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&p, 1, HOST_WAIT_MS) != 1) {
		kill(h->pid, SIGKILL);
		fail_msg("bottle-init does not connect");
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

/* What the operator's side does for 'bottle-init --connect': the line, then the credential. */
static int host_connected(struct host *h, int listener, int in_fd)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	uint8_t credential[32];
	char line[128], hex[65];
	int fd;

	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", i * 7 + 1);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
	snprintf(line, sizeof(line), "127.0.0.1 %u %s\n", ntohs(a.sin_port), hex);
	assert_int_equal(write(in_fd, line, strlen(line)), strlen(line));
	fd = host_accept_stream(h, listener);
	assert_int_equal(bb_fd_read_full(fd, credential, sizeof(credential)), 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(credential[i], i * 7 + 1);
	return fd;
}

struct host_ends {
	int stream[2], map[2], in[2], out[2], listener;
};

static void host_make_ends(struct host_ends *e, struct jail *j, const struct host_options *options)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = bb_text_printf("%s/../src/bottle-init", dir);
	int fd;

	e->listener = -1;
	j->options = options;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	j->program_fd = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* 3 will be the stream */
	assert_true(j->program_fd >= 0);
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->map), 0);
	assert_int_equal(pipe2(e->in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(e->out, O_CLOEXEC), 0);
	j->fd = e->stream[1];
	j->map_fd = e->map[1];
	j->in_fd = e->in[0];
	j->out_fd = e->out[1];
	if (options->way == HOST_SOCKET) {
		snprintf(j->socket_path, sizeof(j->socket_path), "/tmp/guest-host-%d", getpid());
		(void)unlink(j->socket_path);
		assert_int_equal(host_listen_unix(j->socket_path, &e->listener), 0);
	}
}

static void host_open_stream(struct host *h, struct host_ends *e, const struct jail *j)
{
	char byte;

	if (j->options->way != HOST_NAMESPACE) {
		assert_int_equal(read(e->map[0], &byte, 1), 1);
		host_map(h->pid, j->options->has_one_id);
		assert_int_equal(write(e->map[0], "g", 1), 1);
	}
	switch (j->options->way) {
	case HOST_NAMESPACE:
		h->fd = e->stream[0];
		break;
	case HOST_SOCKET:
		if (j->options->listen_late)
			poll(NULL, 0, 300); /* until then connections are refused */
		assert_int_equal(listen(e->listener, 1), 0);
		h->fd = host_accept_stream(h, e->listener);
		(void)unlink(j->socket_path);
		break;
	case HOST_CONNECT:
		h->fd = host_connected(h, host_take_listener(e->stream[0]), e->in[1]);
		close(e->stream[0]);
		break;
	}
}

struct host *host_start(const struct host_options *options)
{
	const struct mux_config config = { .side = MUX_HOST };
	struct host *h = calloc(1, sizeof(*h));
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct host_ends e;
	struct jail j;

	assert_non_null(h);
	host_make_ends(&e, &j, options);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0)
		jail_enter(&j);
	close(j.program_fd);
	close(j.fd);
	close(j.map_fd);
	close(j.in_fd);
	close(j.out_fd);
	host_open_stream(h, &e, &j);
	close(e.map[0]);
	close(e.in[1]);
	h->out_fd = e.out[0];
	h->way = options->way;
	bb_fd_set_nonblock(h->fd, 1);
	h->mux = mux_new(&config, &host_handlers, h);
	assert_non_null(h->mux);
	bb_buf_init(&body, 65536);
	h->lifecycle = host_open(h, PROTO_LIFECYCLE, bb_view_of(NULL, 0));
	assert_int_equal(host_recv(h->lifecycle, &body), LIFECYCLE_HELLO);
	host_provision(h, options);
	return h;
}

int host_children(pid_t pid, pid_t *ret_first)
{
	BB_AUTO_FREE char *path = bb_text_printf("/proc/%d/task/%d/children", pid, pid);
	BB_AUTO_FCLOSE FILE *f = fopen(path, "re");
	int count = 0, number;

	assert_non_null(f);
	while (fscanf(f, "%d", &number) == 1) /* NOLINT(cert-err34-c): the kernel's numbers */
		if (count++ == 0 && ret_first != NULL)
			*ret_first = number;
	return count;
}

/* Under HOST_CONNECT the machine lives on: its workload is told to end, when nothing of the bottle
 * is left below it. */
static void host_end_machine(struct host *h)
{
	uint64_t deadline = bb_clock_ms() + HOST_WAIT_MS;
	pid_t idle = 0;

	assert_int_equal(host_children(h->pid, &idle), 1);
	while (host_children(idle, NULL) > 0) {
		assert_true(bb_clock_left_ms(deadline) > 0);
		poll(NULL, 0, 10);
	}
	assert_int_equal(kill(idle, SIGTERM), 0);
}

int host_wait(struct host *h)
{
	int status = -1;

	HOST_UNTIL(h, h->is_dead);
	close(h->fd); /* what the guest waits for in a machine that is not its own */
	h->fd = -1;
	if (h->way == HOST_CONNECT)
		host_end_machine(h);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	h->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int host_shutdown(struct host *h)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	uint8_t type;

	bb_buf_init(&body, 65536);
	host_send(h->lifecycle, LIFECYCLE_SHUTDOWN, NULL, 0);
	do
		type = host_recv(h->lifecycle, &body);
	while (type != LIFECYCLE_BYE && type != 0);
	assert_int_equal(type, LIFECYCLE_BYE);
	return host_wait(h);
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
	if (h->fd >= 0)
		close(h->fd);
	close(h->out_fd);
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
