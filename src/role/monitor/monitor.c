/*
 * The bottle's life: its phases, who may end it and why. Everything that happens arrives here as
 * one call; the order of events and the first reason are decided here and nowhere else.
 */
#include "role/monitor/monitor_impl.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "mux/proto.h"
#include "sys/sandbox.h"

/* Processes that die of one another's death do so within this time; the reason is the first. */
#define VERDICT_MS 30
/* For a keeper whose machine is lost while it starts it: why comes from there. */
#define KEEPER_WORD_MS 5000
/* For the main session's last output to reach a terminal that is slow. */
#define DRAIN_MS 10000
/* Between "ready" and its connection to control.sock a command is nowhere to be seen. */
#define PICK_UP_MS 2000

static const char *const phase_names[] = { "launching", "running", "saving", "ending" };
_Static_assert(BB_ARRAY_LEN(phase_names) == MONITOR_NUM_PHASES, "one name a phase");

void monitor_set_phase(struct monitor *m, enum monitor_phase phase)
{
	/* Phases only go forward. */
	assert(phase > m->phase);
	bb_debug("%s -> %s", phase_names[m->phase], phase_names[phase]);
	m->phase = phase;
	status_changed(m);
}

uint32_t monitor_next_id(struct monitor *m)
{
	m->next_id = m->next_id == UINT32_MAX ? 1 : m->next_id + 1;
	return m->next_id;
}

__attribute__((format(printf, 3, 0))) static void remember(struct monitor *m, int exit_code,
							   const char *fmt, va_list ap)
{
	if (m->ending.is_wanted)
		return;
	m->ending.is_wanted = true;
	m->ending.exit_code = m->has_main_ended ? (int)m->main_exit_code : exit_code;
	(void)vsnprintf(m->ending.reason, sizeof(m->ending.reason), fmt, ap);
}

static void end_now(struct monitor *m)
{
	if (m->phase == MONITOR_SAVING && m->save.part == SAVE_WORKSPACE &&
	    m->meta->problem == NULL)
		m->meta->problem = bb_text_printf("the changed workspace could not be kept: the "
						  "bottle broke while it was fetched");
	else if (m->phase == MONITOR_RUNNING && m->meta->guest_workspace != NULL)
		m->meta->problem = bb_text_printf("the workspace could not be kept: the bottle "
						  "broke before it could be fetched");
	end_tear_down(m);
}

/* Ends at once: a part is gone, there is nobody to talk to. */
static __attribute__((format(printf, 2, 3))) void break_off(struct monitor *m, const char *fmt, ...)
{
	va_list ap;

	if (m->phase == MONITOR_ENDING)
		return;
	va_start(ap, fmt);
	remember(m, 125, fmt, ap);
	va_end(ap);
	end_now(m);
}

void monitor_end(struct monitor *m, int exit_code, const char *fmt, ...)
{
	va_list ap;

	if (m->ending.is_wanted)
		return;
	va_start(ap, fmt);
	remember(m, exit_code, fmt, ap);
	va_end(ap);
	loop_timer_stop(m->orphan);
	if (m->phase == MONITOR_LAUNCHING) {
		end_tear_down(m);
	} else if (save_is_wanted(m)) {
		monitor_set_phase(m, MONITOR_SAVING);
		save_start(m);
	} else {
		end_shutdown(m);
	}
}

/* Only the stream is lost, and the keeper has yet to say that its machine runs. */
static bool waits_for_keeper(struct monitor *m)
{
	if (m->phase != MONITOR_LAUNCHING || m->is_guest_dead || m->launch.kept.events == NULL ||
	    m->launch.kept.is_started || m->launch.kept.is_waited_for)
		return false;
	m->launch.kept.is_waited_for = true;
	return true;
}

static void on_verdict(void *arg)
{
	struct monitor *m = arg;
	char reason[400] = "";
	int score = parts_explain(m, reason, sizeof(reason));

	if (m->phase == MONITOR_ENDING)
		return;
	if (score == 0 && waits_for_keeper(m)) {
		loop_timer_set(m->verdict, KEEPER_WORD_MS);
		return;
	}
	if (m->is_guest_dead && score < PART_KILLED)
		/* What channel saw of it says more: a guest that was refused ends, too. */
		break_off(m, "the guest ended unexpectedly%s%s", m->lost[0] != '\0' ? ": " : "",
			  m->lost);
	else if (score > 0 && (score >= PART_SAID_WHY || m->lost[0] == '\0'))
		break_off(m, "%s", reason);
	else
		break_off(m, "%s", m->lost);
}

void monitor_lost_something(struct monitor *m)
{
	if (m->phase == MONITOR_ENDING || m->has_loss)
		return;
	m->has_loss = true;
	loop_timer_set(m->verdict, VERDICT_MS);
}

/* The command that launched the bottle is gone, the agent was never started, nobody else is here.
 */
static bool is_abandoned_launch(const struct monitor *m)
{
	return !m->is_main_started && m->launch.report == NULL && control_watchers(m) == 0;
}

static void on_orphan(void *arg)
{
	struct monitor *m = arg;

	if (is_abandoned_launch(m))
		monitor_end(m, 130, "the launch was interrupted");
	else if (m->plan->is_headless)
		monitor_end(m, 125, "nobody started the agent");
	else
		monitor_end(m, 129, "its terminal was lost and nobody attached again");
}

/* The time counts from the moment when the last one left: whoever looks at the bottle meanwhile,
 * again and again perhaps, does not prolong it. */
void monitor_review_orphan(struct monitor *m)
{
	uint64_t now = loop_now_ms(m->loop), deadline;
	bool is_alone;

	if (m->phase != MONITOR_RUNNING || m->ending.is_wanted)
		return;
	is_alone = m->plan->is_headless || m->is_detached
			   ? !m->is_main_started && control_watchers(m) == 0
			   : control_holders(m) == 0;
	if (!is_alone) {
		m->alone_since_ms = 0;
		loop_timer_stop(m->orphan);
		return;
	}
	if (m->alone_since_ms == 0)
		m->alone_since_ms = now;
	deadline = m->alone_since_ms;
	if (is_abandoned_launch(m))
		deadline += PICK_UP_MS;
	else
		deadline += m->plan->orphan_grace_ms == 0 ? MONITOR_ORPHAN_GRACE_MS
							  : m->plan->orphan_grace_ms;
	loop_timer_set(m->orphan, deadline > now ? deadline - now : 0);
}

static void on_lifetime(void *arg)
{
	struct monitor *m = arg;

	if (m->phase == MONITOR_SAVING)
		save_last_try(m);
	else
		monitor_end(m, 124, "its time of %u s is over", m->plan->max_seconds);
}

/*
 * From here on nothing is started any more: no exec, no new kind of socket. Not earlier, because
 * the jail that builds the guest may run newuidmap, which needs the privileges of its file.
 */
static void lock_down(struct monitor *m)
{
	struct bb_err err = { 0 };

	if (sandbox_lock(SANDBOX_MONITOR, -1, &err) < 0)
		break_off(m, "%s", err.msg);
}

void monitor_is_ready(struct monitor *m)
{
	if (m->ending.is_wanted || m->has_loss)
		return;
	monitor_set_phase(m, MONITOR_RUNNING);
	lock_down(m);
	if (m->ending.is_wanted)
		return;
	launch_done(m);
	if (m->plan->max_seconds > 0)
		loop_timer_set(m->lifetime, (uint64_t)m->plan->max_seconds * 1000);
	monitor_review_orphan(m);
}

static int observe_body(struct bb_buf *body)
{
	BB_AUTO_BUF struct bb_buf fields, frame;
	int r;

	bb_buf_init(&fields, 64);
	bb_buf_init(&frame, 128);
	r = bb_tlv_put_u32(&fields, EXEC_TAG_SESSION, 0);
	if (r == 0)
		r = bb_tlv_put_u32(&fields, EXEC_TAG_FLAGS, EXEC_FLAG_OBSERVE);
	if (r == 0)
		r = proto_put_frame(&frame, EXEC_ATTACH, bb_buf_peek(&fields).p,
				    bb_buf_size(&fields));
	if (r == 0)
		r = bb_tlv_put_u32(body, 1, PROTO_EXEC);
	if (r == 0)
		r = bb_tlv_put_view(body, 3, bb_buf_peek(&frame));
	return r < 0 ? r : bb_tlv_put_u64(body, 4, LIMIT_SESSION_LOG);
}

/* The main session's output also goes into session.log, for `logs`: from channel into the file. */
static void observe_main(struct monitor *m)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/session.log", m->state_dir);
	BB_AUTO_BUF struct bb_buf body;
	BB_AUTO_CLOSE int fd = -1;

	bb_buf_init(&body, 512);
	if (path != NULL)
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || observe_body(&body) < 0) {
		bb_warn("the session is not logged: cannot write session.log");
		return;
	}
	monitor_stream_opened(m, monitor_next_id(m));
	(void)link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_OPEN, m->next_id,
			bb_buf_peek(&body), &fd, 1); /* a channel that is gone is noticed */
}

void monitor_main_started(struct monitor *m)
{
	m->is_main_started = true;
	observe_main(m);
	monitor_review_orphan(m);
}

static void end_with_main(struct monitor *m)
{
	loop_timer_stop(m->main_streams.deadline);
	monitor_end(m, (int)m->main_exit_code, "the agent ended with code %u", m->main_exit_code);
}

static void on_drain_deadline(void *arg)
{
	end_with_main(arg);
}

void monitor_stream_opened(struct monitor *m, uint32_t id)
{
	/* One more than these is not waited for: its reader is the 17th terminal. */
	if (m->main_streams.count < MONITOR_MAIN_STREAMS)
		m->main_streams.ids[m->main_streams.count++] = id;
}

void monitor_stream_closed(struct monitor *m, uint32_t id)
{
	struct main_streams *s = &m->main_streams;

	for (size_t i = 0; i < s->count; i++)
		if (s->ids[i] == id) {
			s->ids[i] = s->ids[--s->count];
			break;
		}
	if (m->has_main_ended && s->count == 0)
		end_with_main(m);
}

void monitor_main_ended(struct monitor *m, uint32_t code)
{
	if (!m->is_main_started || m->has_main_ended)
		return; /* a guest that claims what was not asked for */
	m->has_main_ended = true;
	m->main_exit_code = code;
	if (m->main_streams.count == 0)
		end_with_main(m);
	else
		loop_timer_set(m->main_streams.deadline, DRAIN_MS);
}

static void on_signal(void *arg, int signal)
{
	struct monitor *m = arg;

	(void)signal;
	if (m->phase == MONITOR_SAVING)
		save_last_try(m);
	else
		monitor_end(m, 143, "the monitor was told to end");
}

static int monitor_init(struct monitor *m, int report_fd, struct bb_err *err)
{
	*m = (struct monitor){ .lock_fd = -1,
			       .control = { .fd = -1 },
			       .save = { .fd = -1 },
			       .launch = { .kept = { .console_fd = -1 } },
			       .log = { -1, -1, -1, -1, NULL, 0 } };
	for (int i = 0; i < NUM_PARTS; i++)
		m->parts[i] =
			(struct part){ .m = m,
				       .id = (enum part_id)i,
				       .pending = { .child = { .pidfd = -1 }, .report_fd = -1 },
				       .child = { .pidfd = -1 } };
	probe_init(&m->launch.kept.probe);
	m->loop = loop_new();
	m->libexec_dir = bb_path_self_dir();
	if (m->loop == NULL || m->libexec_dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	m->verdict = loop_timer_new(m->loop, on_verdict, m);
	m->orphan = loop_timer_new(m->loop, on_orphan, m);
	m->lifetime = loop_timer_new(m->loop, on_lifetime, m);
	m->ending.timer = loop_timer_new(m->loop, end_on_timer, m);
	m->main_streams.deadline = loop_timer_new(m->loop, on_drain_deadline, m);
	m->term = loop_signal_new(m->loop, SIGTERM, on_signal, m);
	m->interrupt = loop_signal_new(m->loop, SIGINT, on_signal, m);
	if (m->verdict == NULL || m->orphan == NULL || m->lifetime == NULL ||
	    m->ending.timer == NULL || m->main_streams.deadline == NULL || m->term == NULL ||
	    m->interrupt == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return launch_start(m, report_fd, err);
}

static void monitor_done(struct monitor *m)
{
	save_free(m);
	control_free(m);
	launch_free(m);
	parts_kill(m);
	guest_destroy(m);
	log_free(m);
	loop_timer_free(m->verdict);
	loop_timer_free(m->orphan);
	loop_timer_free(m->lifetime);
	loop_timer_free(m->ending.timer);
	loop_timer_free(m->main_streams.deadline);
	loop_signal_free(m->term);
	loop_signal_free(m->interrupt);
	image_free(m->image);
	store_meta_free(m->meta);
	store_meta_free(m->meta_before);
	monitor_plan_free(m->plan);
	free(m->state_dir);
	free(m->run_dir);
	free(m->libexec_dir);
	if (m->lock_fd >= 0)
		(void)close(m->lock_fd);
	loop_free(m->loop);
}

int monitor_run(int report_fd)
{
	struct monitor *m = calloc(1, sizeof(*m));
	struct bb_err err = { 0 };
	int code = 1;

	if (m == NULL)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN); /* the terminal's end is not the bottle's */
	if (bb_secret_harden_process(&err) < 0 || monitor_init(m, report_fd, &err) < 0)
		bb_error("%s", err.msg);
	else
		code = loop_run(m->loop);
	monitor_done(m);
	free(m);
	return code;
}
