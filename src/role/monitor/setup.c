/*
 * What each part is told once, before it locks itself: its descriptors, the egress rules, the
 * secrets' pipes. A part that is not yet there finds it in its link.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "mux/proto.h"

/* A message of the set-up: a failing send means that the part is gone already. */
int setup_tell(struct part *p, uint16_t type, const struct bb_buf *body, const int *fds,
	       int fd_count, struct bb_err *err)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);
	int r = link_send(p->link, type, 0, v, fds, fd_count);

	if (r < 0)
		return bb_err_set(err, BB_E_PART, "cannot set up the %s: %s", part_names[p->id],
				  bb_err_name(r));
	return 0;
}

static int policy_body(struct bb_buf *body, const struct monitor_plan *plan, struct bb_err *err)
{
	bb_buf_init(body, LIMIT_IPC_BODY);
	if (bb_tlv_put_view(body, 1, plan->policy) < 0)
		return bb_err_set(err, BB_E_LIMIT,
				  "the egress rules have %zu bytes, limit %d; use fewer rules",
				  plan->policy.n, LIMIT_IPC_BODY - BB_TLV_HEADER);
	return 0;
}

static int set_up_roots(struct monitor *m, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = -1;

	if (m->plan->roots_path == NULL)
		return 0;
	fd = open(m->plan->roots_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return bb_err_errno(err, "cannot read the host's certificates '%s'",
				    m->plan->roots_path);
	return setup_tell(&m->parts[PART_EGRESS], IPC_EGRESS_ROOTS, NULL, &fd, 1, err);
}

/* The pipes go on to egress unread: the monitor never holds a secret. */
static int set_up_secrets(struct monitor *m, struct bb_err *err)
{
	for (size_t i = 0; i < m->launch.secret_count; i++) {
		BB_AUTO_BUF struct bb_buf body;
		int *fd = &m->launch.secrets[i].fd;
		int r;

		bb_buf_init(&body, LIMIT_IPC_BODY);
		if (bb_tlv_put_str(&body, 1, m->launch.secrets[i].token_ref) < 0)
			return bb_err_set(err, -ENOMEM, "out of memory");
		r = setup_tell(&m->parts[PART_EGRESS], IPC_EGRESS_SECRET, &body, fd, 1, err);
		(void)close(bb_take_fd(fd)); /* egress has it now */
		if (r < 0)
			return r;
	}
	return 0;
}

/* The guest comes to egress by itself, too, and shows this. */
static int set_up_proxy(struct monitor *m, const struct backend_door *door, struct bb_err *err)
{
	char login[BACKEND_PASSWORD_MAX + 16];
	struct bb_buf body;
	int r;

	if (door == NULL || door->proxy_fd < 0)
		return 0;
	(void)snprintf(login, sizeof(login), "bottle:%s", door->proxy_password);
	bb_buf_init(&body, 256);
	r = bb_tlv_put_str(&body, 1, login);
	if (r == 0)
		r = setup_tell(&m->parts[PART_EGRESS], IPC_EGRESS_LISTEN, &body, &door->proxy_fd, 1,
			       err);
	explicit_bzero(login, sizeof(login));
	bb_buf_wipe(&body);
	return r;
}

int setup_egress(struct monitor *m, const int fds[3], const struct backend_door *door,
		 struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int r = policy_body(&body, m->plan, err);

	if (r == 0)
		r = setup_tell(&m->parts[PART_EGRESS], IPC_EGRESS_SETUP, &body, fds, 3, err);
	if (r == 0)
		r = set_up_roots(m, err);
	if (r == 0)
		r = set_up_secrets(m, err);
	if (r == 0)
		r = set_up_proxy(m, door, err);
	return r < 0 ? r : setup_tell(&m->parts[PART_EGRESS], IPC_SETUP_DONE, NULL, NULL, 0, err);
}

int setup_dialler(struct monitor *m, int egress_fd, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int r = policy_body(&body, m->plan, err);

	if (r == 0)
		r = setup_tell(&m->parts[PART_DIALLER], IPC_DIALLER_SETUP, &body, &egress_fd, 1,
			       err);
	return r < 0 ? r : setup_tell(&m->parts[PART_DIALLER], IPC_SETUP_DONE, NULL, NULL, 0, err);
}

static int open_state_file(const struct monitor *m, const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", m->state_dir, name);
	int fd;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? bb_err_errno(err, "cannot write '%s'", path) : fd;
}

int setup_recorder(struct monitor *m, int writer_fd, struct bb_err *err)
{
	BB_AUTO_CLOSE int audit = open_state_file(m, "audit.jsonl", err);
	BB_AUTO_BUF struct bb_buf body;
	struct part *p = &m->parts[PART_RECORDER];
	int r;

	bb_buf_init(&body, 64);
	if (audit < 0)
		return audit;
	if (bb_tlv_put_u64(&body, 1, 0) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = setup_tell(p, IPC_RECORDER_SETUP, &body, &audit, 1, err);
	if (r == 0)
		r = setup_tell(p, IPC_RECORDER_WRITER, NULL, &writer_fd, 1, err);
	return r < 0 ? r : setup_tell(p, IPC_SETUP_DONE, NULL, NULL, 0, err);
}

/* The stream, or the listener on which it comes. */
static int set_up_stream(struct monitor *m, const struct parts_guest *g, struct bb_err *err)
{
	struct part *p = &m->parts[PART_CHANNEL];
	struct bb_buf body;
	int r;

	bb_buf_init(&body, 128);
	r = bb_tlv_put_u64(&body, 1, backend_guest_hello_ms(m->guest));
	if (r == 0 && g->door != NULL && g->door->wants_credential)
		r = bb_tlv_put(&body, 3, g->door->credential, sizeof(g->door->credential));
	else if (r == 0 && g->door != NULL)
		r = bb_tlv_put_u32(&body, 2, getuid());
	if (r < 0)
		r = bb_err_set(err, -ENOMEM, "out of memory");
	else if (g->door != NULL)
		r = setup_tell(p, IPC_CHANNEL_LISTEN, &body, &g->door->stream_fd, 1, err);
	else
		r = setup_tell(p, IPC_CHANNEL_SETUP, &body, &g->stream_fd, 1, err);
	bb_buf_wipe(&body);
	return r;
}

int setup_channel(struct monitor *m, const struct parts_guest *g, int egress_fd, struct bb_err *err)
{
	BB_AUTO_CLOSE int log = open_state_file(m, "console.log", err);
	BB_AUTO_BUF struct bb_buf service;
	struct part *p = &m->parts[PART_CHANNEL];
	int r;

	bb_buf_init(&service, 64);
	if (log < 0)
		return log;
	if (bb_tlv_put_u32(&service, 1, PROTO_EGRESS) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = set_up_stream(m, g, err);
	if (r == 0)
		r = setup_tell(p, IPC_CHANNEL_SERVICE, &service, &egress_fd, 1, err);
	if (r == 0)
		r = setup_tell(p, IPC_CHANNEL_CONSOLE, NULL, (int[]){ g->console_fd, log }, 2, err);
	return r < 0 ? r : setup_tell(p, IPC_SETUP_DONE, NULL, NULL, 0, err);
}
