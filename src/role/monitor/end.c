/*
 * The end of a bottle, in this order: the guest is asked to shut down and given a few seconds
 * (unless there is nobody to ask), then it is killed, and while the kernel takes its cage down our
 * parts finish what is in flight, the recorder last, and only when all of that is gone the metadata
 * says so, the lock goes, and whoever waits is told: after "ended" nothing of the bottle is left.
 */
#include "role/monitor/monitor_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "ipc/messages.h"

#define END_GUEST_MS 8000 /* TERM, 5 s, KILL, sync: the guest's own order takes less */
#define END_PARTS_MS 500
/* For a keeper to remove its machine; then it goes on alone, and the next command looks after it.
 * Less than a command that takes its launch back waits (cli/launch.c). */
#define END_KEEPER_MS 10000

static void end_finish(struct monitor *m);

static void arm(struct monitor *m, uint64_t ms)
{
	loop_timer_set(m->ending.timer, ms);
}

void end_on_timer(void *arg)
{
	struct monitor *m = arg;

	if (!m->ending.is_torn_down) {
		end_tear_down(m);
		return;
	}
	parts_kill(m);
	if (!guest_is_gone(m) && !m->ending.waits_for_guest) {
		m->ending.waits_for_guest = true;
		launch_step(m, "removing the machine");
		arm(m, END_KEEPER_MS);
		return;
	}
	end_finish(m);
}

void end_shutdown(struct monitor *m)
{
	monitor_set_phase(m, MONITOR_ENDING);
	arm(m, END_GUEST_MS);
	if (link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_SHUTDOWN, 0, bb_view_of(NULL, 0),
		      NULL, 0) < 0)
		end_tear_down(m);
}

void end_tear_down(struct monitor *m)
{
	if (m->ending.is_torn_down)
		return;
	m->ending.is_torn_down = true;
	if (m->phase != MONITOR_ENDING)
		monitor_set_phase(m, MONITOR_ENDING);
	guest_kill(m);
	parts_shutdown(m);
	arm(m, END_PARTS_MS);
	end_part_gone(m);
}

void end_part_gone(struct monitor *m)
{
	if (!m->ending.is_torn_down) {
		end_tear_down(m); /* nobody left to shut the guest down for us */
		return;
	}
	/* Egress may have had a last record to write. */
	if (m->parts[PART_EGRESS].exit_watch == NULL && m->parts[PART_RECORDER].link != NULL)
		(void)link_send(m->parts[PART_RECORDER].link, IPC_SHUTDOWN, 0, bb_view_of(NULL, 0),
				NULL, 0); /* one that is gone needs no word */
	if (parts_are_gone(m) && guest_is_gone(m))
		end_finish(m);
}

void end_discard(struct monitor *m)
{
	struct bb_err err = { 0 };

	if (m->lock_fd < 0)
		return; /* nothing was claimed */
	store_remove_run_dir(m->plan->identity);
	if (m->meta_before != NULL) {
		/* It was there before, and is as it was. */
		if (store_meta_write_synced(m->meta_before, &err) < 0)
			bb_error("%s", err.msg); /* the next command says that it was killed */
	} else if (m->state_dir != NULL && bb_path_remove_tree(m->state_dir, &err) < 0)
		bb_error("%s", err.msg); /* the next command reaps what has no metadata */
	(void)close(bb_take_fd(&m->lock_fd));
}

static void give_room_back(const struct monitor *m)
{
	BB_AUTO_FREE char *reserve = bb_text_printf("%s/reserve", m->state_dir);

	if (reserve != NULL)
		(void)unlink(reserve); /* gone with the whole directory, perhaps */
}

/* Where something is kept, what says so is as safe as that. */
static int write_last(const struct monitor *m, struct bb_err *err)
{
	const struct store_meta *meta = m->meta;
	bool keeps = meta->workspace_kept || meta->agent_kept || meta->committed_image != NULL;

	return keeps ? store_meta_write_synced(meta, err) : store_meta_write(meta, err);
}

static void write_epitaph(struct monitor *m)
{
	struct bb_err err = { 0 };

	if (m->ending.has_remains && m->meta->problem == NULL)
		m->meta->problem = strdup(MONITOR_REMAINS);
	m->meta->has_ended = true;
	m->meta->exit_code = m->ending.exit_code;
	m->meta->reason = strdup(m->ending.reason);
	if (write_last(m, &err) == 0)
		return;
	/* Room that was set aside at the start: the reason is told on a full disk too. */
	give_room_back(m);
	if (write_last(m, &err) < 0)
		bb_error("%s", err.msg);
}

static void end_finish(struct monitor *m)
{
	loop_timer_stop(m->ending.timer);
	m->ending.has_remains =
		m->guest != NULL && !m->launch.kept.has_failed && backend_guest_is_left(m->guest);
	guest_destroy(m);
	log_drain(m);
	if (m->launch.stage != LAUNCH_DONE) {
		launch_failed(m, m->ending.reason);
		loop_stop(m->loop, m->ending.has_remains ? MONITOR_EXIT_REMAINS : 1);
		return;
	}
	write_epitaph(m);
	store_remove_run_dir(m->plan->identity);
	(void)close(bb_take_fd(&m->lock_fd));
	control_tell_ended(m);
	give_room_back(m); /* nobody waits for this */
	loop_stop(m->loop, 0);
}
