/*
 * The launch: the CLI hands over the plan and the pipes with the secrets and says go; the monitor
 * claims the state directory, starts everything side by side and reports each wait. Until READY the
 * report socket is the operator's hand on the launch: when it closes, all of it is undone.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"

/* The CLI sends everything at once; what takes longer is a CLI that hangs. */
#define LAUNCH_PLAN_MS 10000
/* Beyond the guest's own deadline for its hello, which channel watches. */
#define LAUNCH_SLACK_MS     20000
#define LAUNCH_TOKEN_MAX    256
#define LAUNCH_CONSOLE_TAIL 2048
#define LAUNCH_RESERVE      16384

static const char no_memory[] = "out of memory";

static void on_deadline(void *arg)
{
	struct monitor *m = arg;

	if (m->launch.stage == LAUNCH_WAITS_PLAN || m->launch.stage == LAUNCH_WAITS_GO)
		monitor_end(m, 125, "the command that starts the bottle did not say what to start");
	else if (!parts_are_ready(m))
		monitor_end(m, 125,
			    "a part of the bundle did not get ready in time; see "
			    "'bot-bottle doctor'");
	else
		monitor_end(m, 125, "the guest did not get ready in time");
}

static int take_plan(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct monitor *m = ctx;
	BB_AUTO_CLOSE int fd = ipc_message_take_fd(msg, 0);
	BB_AUTO_BUF struct bb_buf bytes;
	int r;

	bb_buf_init(&bytes, MONITOR_PLAN_MAX);
	if (lseek(fd, 0, SEEK_SET) < 0) /* the offset is shared with whoever wrote it */
		return bb_err_errno(err, "cannot read the launch plan");
	r = bb_fd_read_to_end(fd, &bytes);
	if (r < 0)
		return bb_err_set(err, r, "cannot read the launch plan: %s", bb_err_name(r));
	r = monitor_plan_decode(bb_buf_peek(&bytes), &m->plan, err);
	if (r == 0)
		m->launch.stage = LAUNCH_WAITS_GO;
	return r;
}

/* The pipe is kept as it is and given to egress: what is in it is never read here. */
static int take_secret(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct monitor *m = ctx;
	struct bb_view ref = { 0 };
	struct stat st;
	size_t n = m->launch.secret_count;
	int r;

	r = bb_tlv_read(msg->body,
			&(struct bb_tlv_field){ .tag = 1,
						.type = BB_TLV_STR,
						.max = LAUNCH_TOKEN_MAX,
						.is_required = true,
						.out = &ref },
			1, err);
	if (r < 0)
		return r;
	if (n >= MONITOR_SECRETS_MAX)
		return bb_err_set(err, BB_E_LIMIT, "more than %d secrets", MONITOR_SECRETS_MAX);
	if (fstat(msg->fds[0], &st) < 0 || !S_ISFIFO(st.st_mode))
		return bb_err_set(err, -EPROTO, "a secret did not come in a pipe");
	m->launch.secrets[n].token_ref = strndup((const char *)ref.p, ref.n);
	if (m->launch.secrets[n].token_ref == NULL)
		return bb_err_set(err, -ENOMEM, no_memory);
	m->launch.secrets[n].fd = ipc_message_take_fd(msg, 0);
	m->launch.secret_count++;
	return 0;
}

/* Every reference has its secret: a route without it would send the agent's placeholder out. */
static int check_secrets(const struct monitor *m, struct bb_err *err)
{
	for (size_t i = 0; m->plan->token_refs != NULL && m->plan->token_refs[i] != NULL; i++) {
		size_t j = 0;

		while (j < m->launch.secret_count &&
		       strcmp(m->launch.secrets[j].token_ref, m->plan->token_refs[i]) != 0)
			j++;
		if (j == m->launch.secret_count)
			return bb_err_set(err, -EPROTO, "no secret came for '%s'",
					  m->plan->token_refs[i]);
	}
	return 0;
}

static char *copy(const char *s)
{
	return s == NULL || s[0] == '\0' ? NULL : strdup(s);
}

/* What an ended bottle has kept goes on being kept until there is newer. */
static int carry_over(struct monitor *m, struct bb_err *err)
{
	const struct store_meta *before;
	int r = store_meta_read(m->plan->identity, &m->meta_before, err);

	if (r < 0)
		return r;
	before = m->meta_before;
	m->meta->workspace_kept = before->workspace_kept;
	m->meta->agent_kept = before->agent_kept;
	m->meta->guest_workspace = copy(before->guest_workspace);
	m->meta->committed_image = copy(before->committed_image);
	/* What it was started from, for the day when the committed image is gone. */
	if (before->committed_image != NULL && before->image != NULL &&
	    strcmp(before->committed_image, m->plan->image) == 0) {
		free(m->meta->image);
		m->meta->image = copy(before->image);
	}
	return 0;
}

static int claim(struct monitor *m, struct bb_err *err)
{
	const struct monitor_plan *p = m->plan;
	struct store_meta *meta = calloc(1, sizeof(*meta));
	struct timespec now;
	int r = 0;

	if (meta == NULL)
		return bb_err_set(err, -ENOMEM, no_memory);
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock exists */
	m->meta = meta;
	meta->identity = copy(p->identity);
	meta->agent = copy(p->agent);
	meta->bottle = copy(p->bottle);
	meta->backend = copy(p->backend);
	meta->label = copy(p->label);
	meta->color = copy(p->color);
	meta->image = copy(p->image);
	meta->base_id = copy(m->image->base_id);
	meta->cwd = copy(p->cwd);
	meta->started_at = (uint64_t)now.tv_sec;
	meta->is_headless = p->is_headless;
	if (meta->identity == NULL || meta->agent == NULL || meta->backend == NULL)
		return bb_err_set(err, -ENOMEM, no_memory);
	if (p->is_resumed)
		r = carry_over(m, err);
	if (r == 0)
		r = p->is_resumed ? store_reclaim(meta, &m->lock_fd, err)
				  : store_claim(meta, &m->lock_fd, err);
	if (r < 0)
		return r;
	m->state_dir = store_state_dir(p->identity, err);
	m->run_dir = store_run_dir(p->identity, err);
	return m->state_dir == NULL || m->run_dir == NULL ? -ENOMEM : 0;
}

/* Room for the last words: the end is recorded on a full disk too. See end.c. */
static int set_room_aside(struct monitor *m, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/reserve", m->state_dir);
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, no_memory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bb_err_errno(err, "cannot write '%s'", path);
	r = posix_fallocate(fd, 0, LAUNCH_RESERVE);
	return r != 0 ? bb_err_set(err, -r, "cannot write '%s': %s", path, bb_err_name(-r)) : 0;
}

static int find_backend(struct monitor *m, struct bb_err *err)
{
	m->backend = backend_find(m->plan->backend);
	if (m->backend == NULL)
		return bb_err_set(err, BB_E_USAGE, "backend '%s' is unknown",
				  BB_ESCAPED(bb_view_str(m->plan->backend)));
	return image_find(m->plan->image, &m->image, err);
}

static int make_files(struct monitor *m, struct bb_err *err)
{
	int r = set_room_aside(m, err);

	if (r == 0)
		r = log_start(m, err);
	return r < 0 ? r : control_start(m, err);
}

/* In the order of what takes longest. What needs nobody's answer is done while the others load and
 * build. */
static int start_bundle(struct monitor *m, struct bb_err *err)
{
	int r = log_open(m, err);

	if (r == 0)
		r = parts_begin_egress(m, err);
	if (r == 0)
		r = claim(m, err);
	if (r == 0) {
		launch_step(m, "starting the guest and its bundle");
		r = backend_is_kept(m->backend) ? kept_begin(m, err) : parts_begin(m, err);
	}
	if (r == 0)
		r = make_files(m, err);
	return parts_finish(m, r, err);
}

static int start_all(struct monitor *m, struct bb_err *err)
{
	int r = check_secrets(m, err);

	if (r == 0)
		r = find_backend(m, err);
	if (r == 0)
		r = start_bundle(m, err);
	if (r < 0)
		return r;
	loop_timer_set(m->launch.deadline, backend_guest_hello_ms(m->guest) + LAUNCH_SLACK_MS);
	if (!backend_is_kept(m->backend))
		launch_step(m, "waiting for the guest to say hello");
	return 0;
}

static int take_go(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct monitor *m = ctx;

	(void)msg;
	m->launch.stage = LAUNCH_STARTING;
	return start_all(m, err);
}

static const struct ipc_op report_ops[] = {
	{ IPC_LAUNCH_PLAN, "launch plan", IPC_IN(LAUNCH_WAITS_PLAN), 0, 0, 1, take_plan },
	{ IPC_LAUNCH_SECRET, "launch secret", IPC_IN(LAUNCH_WAITS_GO), BB_TLV_HEADER,
	  BB_TLV_HEADER + LAUNCH_TOKEN_MAX, 1, take_secret },
	{ IPC_LAUNCH_GO, "launch go", IPC_IN(LAUNCH_WAITS_GO), 0, 0, 0, take_go },
};

static int on_report_message(void *arg, struct ipc_message *msg, struct bb_err *err)
{
	struct monitor *m = arg;
	struct bb_err why = { 0 };
	int r;

	(void)err;
	r = ipc_dispatch(report_ops, BB_ARRAY_LEN(report_ops), (unsigned)m->launch.stage, m, msg,
			 &why);
	if (r == BB_E_PART) {
		/* A part is gone that was to be told something: why will be seen in a moment. */
		(void)snprintf(m->lost, sizeof(m->lost), "%.200s", why.msg);
		monitor_lost_something(m);
	} else if (r < 0) {
		monitor_end(m, 125, "%s", why.msg);
	}
	return 0; /* the link stays: the CLI is told why */
}

static void on_report_gone(void *arg, const struct bb_err *err)
{
	struct monitor *m = arg;

	(void)err;
	link_free(m->launch.report);
	m->launch.report = NULL;
	if (m->phase == MONITOR_LAUNCHING)
		monitor_end(m, 130, "the launch was interrupted");
	else
		monitor_review_orphan(m);
}

static const struct link_handlers report_handlers = { on_report_message, on_report_gone };

int launch_start(struct monitor *m, int report_fd, struct bb_err *err)
{
	m->launch.deadline = loop_timer_new(m->loop, on_deadline, m);
	m->launch.report = link_new(m->loop, report_fd, &report_handlers, m);
	if (m->launch.deadline == NULL || m->launch.report == NULL)
		return bb_err_set(err, -ENOMEM, no_memory);
	loop_timer_set(m->launch.deadline, LAUNCH_PLAN_MS);
	return 0;
}

void launch_step(struct monitor *m, const char *text)
{
	if (m->launch.report != NULL)
		(void)link_send_text(m->launch.report, IPC_LAUNCH_STEP, 0,
				     text); /* a CLI that is gone is noticed by its link */
}

void launch_advance(struct monitor *m)
{
	struct launch *l = &m->launch;
	struct bb_err err = { 0 };

	if (m->phase != MONITOR_LAUNCHING)
		return;
	if (backend_is_kept(m->backend))
		kept_advance(m);
	if (!l->is_provisioned && l->has_hello && l->ca_pem != NULL &&
	    (!backend_is_kept(m->backend) || l->kept.probe.has_passed)) {
		l->is_provisioned = true;
		launch_step(m, "setting up the guest");
		if (guest_provision(m, &err) < 0)
			monitor_end(m, 125, "%s", err.msg);
	}
	if (l->is_guest_ready && parts_are_ready(m))
		monitor_is_ready(m);
}

void launch_done(struct monitor *m)
{
	m->launch.stage = LAUNCH_DONE;
	loop_timer_stop(m->launch.deadline);
	kept_done(m);
	if (m->launch.report != NULL)
		(void)link_send_text(m->launch.report, IPC_LAUNCH_READY, 0,
				     backend_guest_note(m->guest)); /* as launch_step() */
}

/* The end of what the guest wrote to its console; shown escaped. */
static char *console_tail(const struct monitor *m)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/console.log", m->state_dir);
	size_t cap = LAUNCH_CONSOLE_TAIL * 4 + 8;
	uint8_t tail[LAUNCH_CONSOLE_TAIL];
	BB_AUTO_CLOSE int fd = -1;
	char *shown = calloc(1, cap);
	size_t used = 0;
	ssize_t n;
	off_t size;

	if (path != NULL)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (shown == NULL || size <= 0)
		return shown;
	n = pread(fd, tail, sizeof(tail),
		  size > LAUNCH_CONSOLE_TAIL ? size - LAUNCH_CONSOLE_TAIL : 0);
	/* Line by line, so that the lines stay lines. */
	for (size_t start = 0, end; n > 0 && start < (size_t)n; start = end + 1) {
		for (end = start; end < (size_t)n && tail[end] != '\n';)
			end++;
		(void)bb_text_escape(shown + used, cap - used,
				     bb_view_of(tail + start, end - start), LAUNCH_CONSOLE_TAIL);
		used += strlen(shown + used);
		if (used + 2 < cap)
			shown[used++] = '\n';
	}
	return shown;
}

void launch_failed(struct monitor *m, const char *reason)
{
	BB_AUTO_FREE char *tail = m->state_dir == NULL ? NULL : console_tail(m);
	BB_AUTO_BUF struct bb_buf body;

	end_discard(m); /* before the word: who hears it finds nothing left */
	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (m->launch.report == NULL || bb_tlv_put_str(&body, 1, reason) < 0)
		return;
	if (tail != NULL && tail[0] != '\0')
		(void)bb_tlv_put_str(&body, 2, tail); /* the sentence alone is enough */
	(void)link_send(m->launch.report, IPC_LAUNCH_FAILED, 0, bb_buf_peek(&body), NULL,
			0); /* as launch_step() */
}

void launch_free(struct monitor *m)
{
	kept_done(m);
	link_free(m->launch.report);
	m->launch.report = NULL;
	loop_timer_free(m->launch.deadline);
	m->launch.deadline = NULL;
	for (size_t i = 0; i < m->launch.secret_count; i++) {
		free(m->launch.secrets[i].token_ref);
		if (m->launch.secrets[i].fd >= 0)
			(void)close(m->launch.secrets[i].fd);
	}
	m->launch.secret_count = 0;
	free(bb_take_ptr(&m->launch.ca_pem));
}
