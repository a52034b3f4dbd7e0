/*
 * Keeping the changed workspace: the guest says whether it changed, then its tree goes as raw FILE
 * frames from channel straight into state/<id>/workspace.frames. The monitor looks at the last
 * eight bytes only: the guest's "all was sent". Then the agent's own state (its conversation) goes
 * into agent.frames in the same way, for a resumption. What was kept before stays until there is
 * newer.
 *
 * Whose fault a failure is decides what follows. The guest's (it cannot pack its tree, it stalls,
 * it is dead): the bottle ends and the problem is recorded. The host's (no room, a failing disk):
 * the work still exists in the guest, and only there. So the bottle stays alive, also a headless
 * one, says so to whoever watches and in every status, until the operator has made room or fetched
 * the tree with `cp`, and stops it. That stop tries once more. The agent's state is not worth that:
 * the bottle ends without it, and the problem is recorded.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "mux/proto.h"

#define SAVE_ANSWER_MS 15000       /* a tree of a million files is compared within it */
#define SAVE_STALL_MS  30000       /* without a new byte in the file */
#define SAVE_TAR_EXTRA (64u << 20) /* tar heads and padding beyond the guest's disk */

#define AGENT_HOME "/home/node"

static const struct {
	const char *name, *what;
} parts[] = {
	[SAVE_WORKSPACE] = { "workspace", "the changed workspace" },
	[SAVE_AGENT] = { "agent", "the agent's own state" },
};

static char *save_path(const struct monitor *m, const char *suffix)
{
	return bb_text_printf("%s/%s.%s", m->state_dir, parts[m->save.part].name, suffix);
}

static void close_file(struct monitor *m)
{
	if (m->save.fd >= 0)
		(void)close(bb_take_fd(&m->save.fd));
	m->save.open_id = 0;
}

static void remove_partial(struct monitor *m)
{
	BB_AUTO_FREE char *path = save_path(m, "partial");

	if (path != NULL)
		(void)unlink(path); /* it is not there, or stays a file that nobody reads */
}

static void set_problem(struct monitor *m, char *text)
{
	free(m->meta->problem);
	m->meta->problem = text;
	status_changed(m);
}

static void fetch(struct monitor *m);

static bool wants_agent(const struct monitor *m)
{
	return m->is_main_started && m->plan->agent_state != NULL;
}

/* One part is over, with or without a problem: the next, or the guest is not needed any more. */
static void finish(struct monitor *m, char *problem)
{
	loop_timer_stop(m->save.timer);
	close_file(m);
	remove_partial(m); /* is not there when it became what is kept */
	m->save.step = SAVE_IDLE;
	if (m->save.part == SAVE_WORKSPACE || problem != NULL)
		set_problem(m, problem);
	if (m->save.part == SAVE_WORKSPACE && wants_agent(m)) {
		m->save.part = SAVE_AGENT;
		fetch(m);
		return;
	}
	m->save.is_done = true;
	end_shutdown(m);
}

static bool has_older(const struct monitor *m)
{
	return m->save.part == SAVE_WORKSPACE ? m->meta->workspace_kept : m->meta->agent_kept;
}

static void failed(struct monitor *m, const char *what)
{
	/* The workspace's problem is the one that matters. */
	if (m->save.part == SAVE_AGENT && m->meta->problem != NULL) {
		finish(m, bb_take_ptr(&m->meta->problem));
		return;
	}
	finish(m, bb_text_printf("%s could not be kept: %s%s", parts[m->save.part].what, what,
				 has_older(m) ? "; what was kept of an earlier run still is" : ""));
}

static void host_failed(struct monitor *m, int error)
{
	const char *id = m->plan->identity;

	if (m->save.is_last_try || m->save.part == SAVE_AGENT) {
		failed(m, bb_err_name(-error));
		return;
	}
	loop_timer_stop(m->save.timer);
	close_file(m);
	remove_partial(m);
	m->save.step = SAVE_STUCK;
	set_problem(m, bb_text_printf("the changed workspace cannot be kept: %s; the bottle stays "
				      "alive: make room and run 'bot-bottle stop %s', or fetch it "
				      "first with 'bot-bottle cp %s:%s DEST'",
				      bb_err_name(-error), id, id, m->meta->guest_workspace));
	(void)store_meta_write(m->meta, NULL); /* the disk is full: the status says it too */
	if (m->meta->problem != NULL)
		control_tell(m, m->meta->problem);
}

/* The guest's last frame: FILE_RESULT without a text. */
static bool is_complete(int fd)
{
	static const uint8_t want[PROTO_FRAME_HEAD] = { FILE_RESULT };
	uint8_t tail[PROTO_FRAME_HEAD];
	off_t size = lseek(fd, 0, SEEK_END);

	return size >= (off_t)sizeof(tail) &&
	       pread(fd, tail, sizeof(tail), size - (off_t)sizeof(tail)) == (ssize_t)sizeof(tail) &&
	       memcmp(tail, want, sizeof(tail)) == 0;
}

static void kept(struct monitor *m)
{
	BB_AUTO_FREE char *partial = save_path(m, "partial");
	BB_AUTO_FREE char *path = save_path(m, "frames");

	/* Synced: this is the one thing of a bottle that exists nowhere else. */
	if (partial == NULL || path == NULL || fdatasync(m->save.fd) < 0 ||
	    rename(partial, path) < 0) {
		host_failed(m, errno);
		return;
	}
	if (m->save.part == SAVE_WORKSPACE)
		m->meta->workspace_kept = true;
	else
		m->meta->agent_kept = true;
	finish(m, NULL);
}

static bool is_fault_of_host(uint32_t error)
{
	return error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS ||
	       error == ENOMEM;
}

void save_stream_closed(struct monitor *m, uint32_t id, uint32_t error)
{
	struct stat st;

	if (m->save.step != SAVE_FETCHING || id != m->save.open_id)
		return;
	if (is_fault_of_host(error))
		host_failed(m, (int)error);
	else if (error == 0 && is_complete(m->save.fd))
		kept(m);
	else if (fstat(m->save.fd, &st) == 0 &&
		 (uint64_t)st.st_size >= m->plan->resources.disk_bytes + SAVE_TAR_EXTRA)
		failed(m, "it is larger than the bottle's disk");
	else
		failed(m, "the guest did not send all of it");
}

static int fetch_body(struct monitor *m, struct bb_buf *body)
{
	BB_AUTO_BUF struct bb_buf fields;
	int r;

	bb_buf_init(&fields, LIMIT_PROTO_OPEN);
	r = bb_tlv_put_u32(&fields, FILE_TAG_OP, FILE_GET);
	if (r == 0)
		r = bb_tlv_put_str(&fields, FILE_TAG_PATH,
				   m->save.part == SAVE_AGENT ? AGENT_HOME
							      : m->meta->guest_workspace);
	for (size_t i = 0; r == 0 && m->save.part == SAVE_AGENT && m->plan->agent_state[i] != NULL;
	     i++)
		r = bb_tlv_put_str(&fields, FILE_TAG_ONLY, m->plan->agent_state[i]);
	if (r == 0)
		r = bb_tlv_put_u32(&fields, FILE_TAG_FLAGS, FILE_FLAG_CONTENTS);
	if (r == 0)
		r = bb_tlv_put_u32(body, 1, PROTO_FILE);
	if (r == 0)
		r = bb_tlv_put_view(body, 2, bb_buf_peek(&fields));
	return r < 0 ? r : bb_tlv_put_u64(body, 4, m->plan->resources.disk_bytes + SAVE_TAR_EXTRA);
}

static void fetch(struct monitor *m)
{
	BB_AUTO_FREE char *path = save_path(m, "partial");
	BB_AUTO_BUF struct bb_buf body;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (path == NULL || fetch_body(m, &body) < 0) {
		host_failed(m, ENOMEM);
		return;
	}
	m->save.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->save.fd < 0) {
		host_failed(m, errno);
		return;
	}
	m->save.step = SAVE_FETCHING;
	m->save.seen_bytes = 0;
	m->save.open_id = monitor_next_id(m);
	loop_timer_set(m->save.timer, SAVE_STALL_MS);
	if (link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_OPEN, m->save.open_id,
		      bb_buf_peek(&body), &m->save.fd, 1) < 0)
		failed(m, "the bundle's channel is gone");
}

void save_changed(struct monitor *m, bool is_changed)
{
	if (m->save.step != SAVE_ASKING)
		return;
	if (is_changed)
		fetch(m);
	else
		finish(m, NULL);
}

static void on_timer(void *arg)
{
	struct monitor *m = arg;
	struct stat st;

	if (m->save.step == SAVE_ASKING) {
		failed(m, "the guest does not say whether it changed");
		return;
	}
	if (m->save.step != SAVE_FETCHING)
		return;
	if (fstat(m->save.fd, &st) == 0 && (uint64_t)st.st_size > m->save.seen_bytes) {
		m->save.seen_bytes = (uint64_t)st.st_size;
		loop_timer_set(m->save.timer, SAVE_STALL_MS);
		return;
	}
	failed(m, "the guest stopped sending it");
}

bool save_is_wanted(const struct monitor *m)
{
	return m->meta != NULL && !m->save.is_done &&
	       (m->meta->guest_workspace != NULL || wants_agent(m));
}

void save_start(struct monitor *m)
{
	if (m->save.timer == NULL)
		m->save.timer = loop_timer_new(m->loop, on_timer, m);
	if (m->save.timer == NULL) {
		host_failed(m, ENOMEM);
		return;
	}
	if (m->meta->guest_workspace == NULL) {
		m->save.part = SAVE_AGENT;
		fetch(m);
		return;
	}
	m->save.step = SAVE_ASKING;
	loop_timer_set(m->save.timer, SAVE_ANSWER_MS);
	if (link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_CHANGED, 0, bb_view_of(NULL, 0), NULL,
		      0) < 0)
		failed(m, "the bundle's channel is gone");
}

void save_last_try(struct monitor *m)
{
	m->save.is_last_try = true;
	if (m->save.step == SAVE_STUCK)
		save_start(m);
}

void save_free(struct monitor *m)
{
	loop_timer_free(m->save.timer);
	m->save.timer = NULL;
	close_file(m);
}
