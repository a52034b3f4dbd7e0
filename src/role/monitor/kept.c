/*
 * The launch of a guest that its backend's keeper starts, in turns with our parts:
 *
 *   1 the keeper takes its resources          4 it says what the guest must dial: the door; our
 *   2 egress, which serves nobody yet, mints    parts get its sockets, and all must be ready
 *   3 the keeper opens the listeners          5 the keeper launches the machine, 6 starts our init
 *
 * then the hello, the probe, and everything else as with any guest. The keeper deletes what it made
 * when its link closes, however that comes about. Of the door the monitor keeps the address that
 * goes into the guest's variables, until it has been told, and a canary.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static int take_door(struct monitor *m, struct backend_door *door, struct bb_err *err)
{
	struct kept_launch *k = &m->launch.kept;
	int r;

	if (k->has_bundle || m->launch.ca_pem == NULL)
		return bb_err_set(err, -EPROTO, "the keeper opened a door out of turn");
	k->has_bundle = true;
	(void)snprintf(k->proxy_url, sizeof(k->proxy_url), "%s", door->proxy_url);
	k->probe.canaries[1] = bb_take_fd(&door->canary_fd);
	r = parts_begin_behind(m, door, k->console_fd, err);
	bb_cleanup_fd(&k->console_fd);
	k->console_fd = -1;
	return r;
}

/* False: there will be no more events. */
static bool take_event(struct monitor *m, struct backend_event *e, struct bb_err *err)
{
	int r = 0;

	switch (e->kind) {
	case BACKEND_EVENT_NONE:
		return false;
	case BACKEND_EVENT_STEP:
		launch_step(m, e->text);
		break;
	case BACKEND_EVENT_DOOR:
		r = take_door(m, &e->door, err);
		if (r == 0)
			launch_advance(m);
		break;
	case BACKEND_EVENT_STARTED:
		m->launch.kept.is_started = true;
		launch_step(m, "waiting for the guest to say hello");
		launch_advance(m);
		break;
	case BACKEND_EVENT_FAILED:
		m->launch.kept.has_failed = true; /* and it says what it could not undo */
		r = bb_err_set(err, BB_E_GUEST, "%s", e->text);
		break;
	case BACKEND_EVENT_GONE: /* its end is watched, and says no less */
		loop_fd_free(m->launch.kept.events);
		m->launch.kept.events = NULL;
		return false;
	}
	if (r == BB_E_PART)
		monitor_lost_something(m); /* a part is gone: why will be seen in a moment */
	else if (r < 0)
		monitor_end(m, 125, "%s", err->msg);
	return r == 0;
}

static void on_event(void *arg, int events)
{
	struct monitor *m = arg;
	struct backend_event e;
	struct bb_err err = { 0 };
	bool has_more = true;

	(void)events;
	while (has_more && m->guest != NULL && !m->ending.is_wanted) {
		int r = backend_guest_next_event(m->guest, &e, &err);

		if (r < 0)
			monitor_end(m, 125, "the machine's keeper: %s", err.msg);
		has_more = r == 0 && take_event(m, &e, &err);
		backend_event_done(&e);
	}
	if (m->ending.is_wanted && m->launch.kept.events != NULL)
		loop_fd_set(m->launch.kept.events, 0); /* what it still says changes nothing */
}

int kept_begin(struct monitor *m, struct bb_err *err)
{
	BB_AUTO_CLOSE int writer = -1;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	m->launch.kept.console_fd = fds[0];
	writer = fds[1];
	r = guest_begin(m, -1, writer, err);
	if (r < 0)
		return r;
	m->launch.kept.events =
		loop_fd_new(m->loop, backend_guest_event_fd(m->guest), LOOP_READ, on_event, m);
	if (m->launch.kept.events == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return parts_mint(m, err);
}

void kept_minted(struct monitor *m)
{
	struct bb_err err = { 0 };

	if (backend_guest_minted(m->guest, bb_view_of(m->launch.ca_pem, m->launch.ca_pem_size),
				 &err) < 0)
		monitor_lost_something(m); /* the keeper is gone: it said why, or is seen to end */
}

void kept_advance(struct monitor *m)
{
	struct kept_launch *k = &m->launch.kept;
	struct bb_err err = { 0 };

	/* A guest that says hello before the keeper has compared what is in force waits. */
	if (m->launch.has_hello && k->is_started && !k->probe.is_asked)
		probe_ask(m);
	if (!k->has_bundle || k->is_launched || !parts_are_ready(m))
		return;
	k->is_launched = true;
	if (backend_guest_launch(m->guest, &err) < 0)
		monitor_lost_something(m); /* as above */
}

void kept_done(struct monitor *m)
{
	struct kept_launch *k = &m->launch.kept;

	loop_fd_free(k->events);
	k->events = NULL;
	bb_cleanup_fd(&k->console_fd);
	k->console_fd = -1;
	probe_done(&k->probe);
	explicit_bzero(k->proxy_url, sizeof(k->proxy_url));
}
