/*
 * The LIFECYCLE stream.
 *
 * Shutdown, in this order: nothing new is started, every process gets TERM, after LIFECYCLE_TERM_MS
 * KILL, then the sessions' last output goes out (bounded by LIFECYCLE_DRAIN_MS: a terminal that
 * does not read cannot hold the end up), file systems are synced in a machine of our own, BYE.
 */
#include "guest/lifecycle.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/tlv.h"
#include "guest/changed.h"
#include "guest/frames.h"
#include "guest/net.h"
#include "guest/probe.h"
#include "guest/session.h"
#include "guest/tree.h"
#include "guest/workload.h"

#define LIFECYCLE_TERM_MS  5000
#define LIFECYCLE_KILL_MS  2000 /* how long killed processes may take to vanish */
#define LIFECYCLE_DRAIN_MS 2000
#define LIFECYCLE_STEP_MS  10

struct lifecycle {
	struct peer peer;
	struct guest *guest;
	struct frames in;
	struct bb_buf out;
	bool is_provisioned, has_killed, has_said_bye;
	struct poll_timer timer;    /* the next step of the shutdown */
	uint64_t drain_deadline_ms; /* 0: processes are still there */
	char *mark_path;
	struct timespec mark;
	pid_t looker; /* child that answers CHANGED; 0: none */
};

static void lifecycle_flush(struct lifecycle *l)
{
	(void)frames_flush(&l->out, l->peer.stream);
}

static void lifecycle_send(struct lifecycle *l, uint8_t type, const struct bb_buf *body)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);

	if (proto_put_frame(&l->out, type, v.p, v.n) < 0) {
		struct bb_err err = { 0 };

		(void)bb_err_set(&err, -EPROTO, "the host does not read the lifecycle stream");
		guest_stop(l->guest, &err);
	}
	lifecycle_flush(l);
}

static void lifecycle_send_u32(struct lifecycle *l, uint8_t type, uint16_t tag, uint32_t value)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 64);
	(void)bb_tlv_put_u32(&body, tag, value); /* 64 bytes are room enough */
	lifecycle_send(l, type, &body);
}

static void lifecycle_hello(struct lifecycle *l)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct utsname u;

	bb_buf_init(&body, 512);
	(void)bb_tlv_put_u32(&body, LIFECYCLE_TAG_VERSION, PROTO_VERSION); /* there is room */
	if (uname(&u) == 0)
		(void)bb_tlv_put_str(&body, LIFECYCLE_TAG_KERNEL, u.release);
	lifecycle_send(l, LIFECYCLE_HELLO, &body);
}

static void lifecycle_provision_end(struct lifecycle *l)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct guest *g = l->guest;
	struct bb_err err = { 0 };
	const struct guest_traits *traits = guest_traits(g);
	int r;

	probe_free(g); /* what it listened on is gone before anything else begins */
	r = traits->is_workload ? workload_prepare(g->mode, &err) : 0;

	if (r == 0)
		r = provision_apply(&g->provision, traits->provision, &err);
	if (r == 0 && traits->has_network)
		r = net_start(g, &err);
	bb_buf_init(&body, 1024);
	if (r < 0)
		(void)bb_tlv_put(&body, LIFECYCLE_TAG_ERROR, err.msg, strnlen(err.msg, 512));
	g->is_ready = r == 0;
	l->is_provisioned = true;
	lifecycle_send(l, LIFECYCLE_READY, &body);
}

void lifecycle_probed(struct guest *g, const struct bb_buf *body)
{
	if (g->lifecycle != NULL)
		lifecycle_send(g->lifecycle, LIFECYCLE_PROBED, body);
}

void lifecycle_main_exit(struct guest *g, uint32_t code)
{
	if (g->lifecycle != NULL)
		lifecycle_send_u32(g->lifecycle, LIFECYCLE_MAIN_EXIT, LIFECYCLE_TAG_EXIT_CODE,
				   code);
}

/* kill(-1) as PID 1 reaches everybody else; anywhere else it would reach far too much. */
static void lifecycle_signal_all(int number)
{
	if (getpid() == 1)
		(void)kill(-1, number); /* ESRCH: nobody is left */
	else
		tree_signal(number);
}

static bool lifecycle_has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void lifecycle_bye(struct lifecycle *l)
{
	if (l->has_said_bye)
		return;
	l->has_said_bye = true;
	poll_timer_stop(&l->guest->loop, &l->timer);
	if (l->guest->mode == GUEST_MICROVM)
		sync(); /* in a namespace it would sync the host */
	lifecycle_send(l, LIFECYCLE_BYE, NULL);
	guest_stop(l->guest, NULL);
}

static void lifecycle_drain(struct lifecycle *l)
{
	if (l->drain_deadline_ms == 0)
		l->drain_deadline_ms = bb_clock_ms() + LIFECYCLE_DRAIN_MS;
	if (!session_has_output(l->guest) || bb_clock_left_ms(l->drain_deadline_ms) == 0)
		lifecycle_bye(l);
	else
		poll_timer_set(&l->guest->loop, &l->timer, LIFECYCLE_STEP_MS);
}

void lifecycle_check_end(struct guest *g)
{
	struct lifecycle *l = g->lifecycle;

	if (g->is_ending && l != NULL && !l->has_said_bye && !lifecycle_has_children())
		lifecycle_drain(l);
}

static void lifecycle_on_timer(void *arg)
{
	struct lifecycle *l = arg;

	if (l->drain_deadline_ms != 0 || l->has_killed) {
		lifecycle_drain(l);
		return;
	}
	l->has_killed = true;
	lifecycle_signal_all(SIGKILL);
	poll_timer_set(&l->guest->loop, &l->timer, LIFECYCLE_KILL_MS);
}

static void lifecycle_shutdown(struct lifecycle *l)
{
	if (l->guest->is_ending)
		return;
	l->guest->is_ending = true;
	lifecycle_signal_all(SIGTERM);
	session_hang_up(l->guest); /* interactive shells ignore TERM */
	lifecycle_signal_all(SIGCONT);
	poll_timer_set(&l->guest->loop, &l->timer, LIFECYCLE_TERM_MS);
	lifecycle_check_end(l->guest);
}

static int lifecycle_path(struct lifecycle *l, struct bb_view body, struct bb_err *err)
{
	struct bb_view path = { 0 };
	const struct bb_tlv_field fields[] = {
		{ LIFECYCLE_TAG_PATH, BB_TLV_STR, .max = 4096, .out = &path },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0 || path.n == 0)
		return r;
	free(l->mark_path);
	l->mark_path = strndup((const char *)path.p, path.n);
	return l->mark_path == NULL ? bb_err_set(err, -ENOMEM, "mark: out of memory") : 0;
}

/* The look is a child's work: a large tree on a slow disk must not stop the loop. Its exit code is
 * the answer; whatever goes wrong counts as changed, because the other answer throws work away. */
static int lifecycle_look(struct lifecycle *l)
{
	if (l->mark_path == NULL || l->looker > 0) {
		lifecycle_send_u32(l, LIFECYCLE_CHANGED, LIFECYCLE_TAG_CHANGED, 1);
		return 0;
	}
	l->looker = fork();
	if (l->looker == 0)
		_exit(changed_since(l->mark_path, &l->mark) == 0 ? 0 : 1);
	if (l->looker < 0) {
		l->looker = 0;
		lifecycle_send_u32(l, LIFECYCLE_CHANGED, LIFECYCLE_TAG_CHANGED, 1);
	}
	return 0;
}

bool lifecycle_reaped(struct guest *g, pid_t pid, int wait_status)
{
	struct lifecycle *l = g->lifecycle;
	bool is_same = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

	if (l == NULL || l->looker != pid)
		return false;
	l->looker = 0;
	lifecycle_send_u32(l, LIFECYCLE_CHANGED, LIFECYCLE_TAG_CHANGED, is_same ? 0 : 1);
	return true;
}

static int lifecycle_frame(struct lifecycle *l, const struct proto_frame *f, struct bb_err *err)
{
	int r;

	switch (f->type) {
	case LIFECYCLE_PROVISION:
		if (l->is_provisioned)
			return bb_err_set(err, -EPROTO, "provisioned twice");
		return provision_add(&l->guest->provision, f->body, err);
	case LIFECYCLE_PROVISION_END:
		if (l->is_provisioned)
			return bb_err_set(err, -EPROTO, "provisioned twice");
		lifecycle_provision_end(l);
		return 0;
	case LIFECYCLE_PROBE:
		if (l->is_provisioned)
			return bb_err_set(err, -EPROTO, "probed after provisioning");
		return probe_start(l->guest, f->body, err);
	case LIFECYCLE_SHUTDOWN:
		lifecycle_shutdown(l);
		return 0;
	case LIFECYCLE_MARK:
		r = lifecycle_path(l, f->body, err);
		changed_mark(&l->mark);
		return r;
	case LIFECYCLE_CHANGED:
		r = lifecycle_path(l, f->body, err);
		return r < 0 ? r : lifecycle_look(l);
	default:
		return bb_err_set(err, -EPROTO, "lifecycle frame %u is not the host's", f->type);
	}
}

static void lifecycle_on_readable(void *peer)
{
	struct lifecycle *l = peer;
	struct bb_err err = { 0 };
	struct proto_frame f;
	int r;

	while ((r = frames_next(&l->in, l->peer.stream, &f, &err)) > 0) {
		r = lifecycle_frame(l, &f, &err);
		frames_pop(&l->in);
		if (r < 0)
			break;
	}
	if (r == 0 && mux_stream_at_eof(l->peer.stream) && !l->has_said_bye)
		r = bb_err_set(&err, -EPIPE, "the host closed the lifecycle stream");
	if (r < 0)
		guest_stop(l->guest, &err);
}

static void lifecycle_on_writable(void *peer)
{
	lifecycle_flush(peer);
}

static void lifecycle_on_reset(void *peer)
{
	struct lifecycle *l = peer;
	struct bb_err err = { 0 };

	(void)bb_err_set(&err, -ECONNRESET, "the host reset the lifecycle stream");
	guest_stop(l->guest, &err);
}

static const struct peer_ops lifecycle_ops = {
	.readable = lifecycle_on_readable,
	.writable = lifecycle_on_writable,
	.reset = lifecycle_on_reset,
};

int lifecycle_accept(struct guest *g, struct mux_stream *s)
{
	struct lifecycle *l;

	if (g->lifecycle != NULL)
		return -EALREADY;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->peer = (struct peer){ .ops = &lifecycle_ops, .stream = s };
	l->guest = g;
	l->timer = (struct poll_timer){ .cb = lifecycle_on_timer, .arg = l };
	frames_init(&l->in);
	bb_buf_init(&l->out, 65536);
	mux_stream_set_owner(s, l);
	g->lifecycle = l;
	lifecycle_hello(l);
	lifecycle_on_readable(l);
	return 0;
}

void lifecycle_free(struct lifecycle *l)
{
	if (l == NULL)
		return;
	poll_timer_stop(&l->guest->loop, &l->timer);
	mux_stream_release(l->peer.stream);
	frames_done(&l->in);
	bb_buf_done(&l->out);
	free(l->mark_path);
	free(l);
}
