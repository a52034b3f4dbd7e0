/* What a bottle says of itself: over control.sock to who asks, and in a file for who asks many. */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"

static int put_parts(const struct monitor *m, struct bb_buf *body)
{
	char text[64];
	int r = 0;

	(void)snprintf(text, sizeof(text), "monitor %ld", (long)getpid());
	r = bb_tlv_put_str(body, CONTROL_STATE_PARTS, text);
	for (int i = 0; r == 0 && i < NUM_PARTS; i++) {
		if (m->parts[i].exit_watch == NULL)
			continue;
		(void)snprintf(text, sizeof(text), "%s %ld", part_names[i],
			       (long)m->parts[i].child.pid);
		r = bb_tlv_put_str(body, CONTROL_STATE_PARTS, text);
	}
	return r;
}

static int put_backend(const struct monitor *m, struct bb_buf *body)
{
	const char *note = m->guest == NULL ? "" : backend_guest_note(m->guest);
	BB_AUTO_FREE char *text = note[0] == '\0'
					  ? strdup(m->plan->backend)
					  : bb_text_printf("%s (%s)", m->plan->backend, note);

	return text == NULL ? -ENOMEM : bb_tlv_put_str(body, CONTROL_STATE_BACKEND, text);
}

/* What `list` and `info` show: CONTROL_STATE fields. */
int status_put(const struct monitor *m, struct bb_buf *body)
{
	int r = bb_tlv_put_u32(body, CONTROL_STATE_PHASE, (uint32_t)m->phase);

	if (r == 0)
		r = bb_tlv_put_str(body, CONTROL_STATE_AGENT, m->plan->agent);
	if (r == 0)
		r = put_backend(m, body);
	if (r == 0)
		r = bb_tlv_put_u64(body, CONTROL_STATE_STARTED, m->meta->started_at);
	if (r == 0)
		r = bb_tlv_put_u32(body, CONTROL_STATE_HELD, control_holders(m) > 0);
	if (r == 0)
		r = put_parts(m, body);
	if (r == 0)
		r = bb_tlv_put_u64(body, CONTROL_STATE_DISK, m->plan->resources.disk_bytes);
	if (r == 0 && m->meta->problem != NULL)
		r = bb_tlv_put_str(body, CONTROL_STATE_PROBLEM, m->meta->problem);
	return r;
}

/*
 * The same in a file beside the socket: who lists a hundred bottles reads a hundred files and wakes
 * no monitor. Replaced whole; gone with the run directory.
 */
static void publish(void *arg)
{
	struct monitor *m = arg;
	BB_AUTO_FREE char *path = bb_text_printf("%s/" STORE_STATUS_FILE, m->run_dir);
	BB_AUTO_FREE char *temp = bb_text_printf("%s/" STORE_STATUS_FILE ".new", m->run_dir);
	BB_AUTO_BUF struct bb_buf body;
	BB_AUTO_CLOSE int fd = -1;

	m->control.is_publish_due = false;
	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (path == NULL || temp == NULL || status_put(m, &body) < 0)
		return; /* who lists asks over the socket then */
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || bb_fd_write_all(fd, bb_buf_peek(&body).p, bb_buf_size(&body)) < 0 ||
	    rename(temp, path) < 0)
		(void)unlink(path); /* rather none than an old one */
}

void status_changed(struct monitor *m)
{
	if (m->phase == MONITOR_LAUNCHING || m->control.fd < 0 || m->control.is_publish_due)
		return;
	m->control.is_publish_due = true;
	loop_defer(m->loop, publish, m);
}
