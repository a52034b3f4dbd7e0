/*
 * Our own processes: started side by side, each with one link to us and the ends of the links
 * between them, all made here. A part gets its descriptors once and then locks itself; none is ever
 * started again: when one dies, the bottle ends.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ipc/messages.h"

const char *const part_names[NUM_PARTS] = { "egress", "channel", "recorder", "dialler" };

/* A link between two parts: both ends are given away, ours are closed on return. */
struct pair {
	int a, b;
};

static void pair_done(const struct pair *p)
{
	if (p->a >= 0)
		(void)close(p->a);
	if (p->b >= 0)
		(void)close(p->b);
}
#define AUTO_PAIR __attribute__((cleanup(pair_done))) struct pair

static int pair_make(struct pair *ret, struct bb_err *err)
{
	int fds[2], r = ipc_pair(fds);

	if (r < 0)
		return bb_err_set(err, r, "cannot make a socket pair: %s", bb_err_name(r));
	*ret = (struct pair){ fds[0], fds[1] };
	return 0;
}

static int on_message(void *arg, struct ipc_message *msg, struct bb_err *err)
{
	return monitor_part_message(arg, msg, err);
}

static void on_link_gone(void *arg, const struct bb_err *err)
{
	struct part *p = arg;

	link_free(p->link);
	p->link = NULL;
	/* A part that says something malformed is not trusted a moment longer. */
	if (err->code != 0) {
		if (p->error[0] == '\0')
			(void)snprintf(p->error, sizeof(p->error), "%.200s", err->msg);
		spawn_kill(&p->child, SIGKILL);
	}
	monitor_lost_something(p->m);
}

static const struct link_handlers part_handlers = { on_message, on_link_gone };

static void on_exit_event(void *arg, int events)
{
	struct part *p = arg;

	(void)events;
	loop_fd_free(p->exit_watch);
	p->exit_watch = NULL;
	p->exit_code = spawn_reap(&p->child);
	p->is_dead = true;
	if (p->m->phase == MONITOR_ENDING)
		end_part_gone(p->m);
	else
		monitor_lost_something(p->m);
}

/* Makes the process and its link; finish_part() waits for its exec. */
static int begin_part(struct monitor *m, enum part_id id, struct bb_err *err)
{
	BB_AUTO_FREE char *name = bb_text_printf("bot-bottle-%s", part_names[id]);
	const char *level = getenv("BOT_BOTTLE_LOG");
	BB_AUTO_FREE char *log_env = bb_text_printf("BOT_BOTTLE_LOG=%s", level ? level : "warn");
	AUTO_PAIR pair = { -1, -1 };
	struct part *p = &m->parts[id];
	int r;

	p->path = bb_text_printf("%s/bot-bottle-%s", m->libexec_dir, part_names[id]);
	if (p->path == NULL || name == NULL || log_env == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = pair_make(&pair, err);
	if (r < 0)
		return r;
	r = spawn_begin(
		&(struct spawn_plan){
			.path = p->path,
			.argv = (char *[]){ name, NULL },
			.envp = (char *[]){ log_env, NULL },
			.fds = (struct spawn_fd[]){ { m->log.write_fd, 2 },
						    { pair.b, IPC_ROLE_FD } },
			.fd_count = 2,
			.dies_with_parent = true,
		},
		&p->pending, err);
	if (r < 0)
		return r;
	p->link = link_new(m->loop, pair.a, &part_handlers, p);
	if (p->link == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	pair.a = -1;
	return 0;
}

static int finish_part(struct part *p, struct bb_err *err)
{
	int r;

	if (p->pending.report_fd < 0)
		return 0;
	r = spawn_finish(&p->pending, &p->child, err);
	if (r < 0)
		return r;
	p->exit_watch = loop_fd_new(p->m->loop, p->child.pidfd, LOOP_READ, on_exit_event, p);
	return p->exit_watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* The guest's stream and console: our ends go to channel, the others to the backend. */
static int begin_guest(struct monitor *m, struct pair *stream, struct pair *console,
		       struct bb_err *err)
{
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return bb_err_errno(err, "cannot make a socket pair");
	*stream = (struct pair){ fds[0], fds[1] };
	if (pipe2(fds, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	*console = (struct pair){ fds[0], fds[1] };
	r = guest_begin(m, stream->b, console->b, err);
	if (r == 0)
		stream->b = -1; /* taken */
	return r;
}

static int begin_parts(struct monitor *m, struct bb_err *err)
{
	int r = begin_part(m, PART_DIALLER, err);

	if (r == 0)
		r = begin_part(m, PART_RECORDER, err);
	return r < 0 ? r : begin_part(m, PART_CHANNEL, err);
}

int parts_begin_egress(struct monitor *m, struct bb_err *err)
{
	return begin_part(m, PART_EGRESS, err);
}

static int finish_parts(struct monitor *m, int r, struct bb_err *err)
{
	for (int i = 0; i < NUM_PARTS; i++) {
		struct bb_err why = { 0 };
		int finished = finish_part(&m->parts[i], &why);

		/* A part that could not be executed explains a link that broke. */
		if (finished < 0 && (r == 0 || r == BB_E_PART)) {
			*err = why;
			r = finished;
		}
	}
	return r;
}

/* What is sent to a part that still loads waits in its link; the links between parts exist before
 * any of them is told, so nothing waits for anything. */
static int connect_parts(struct monitor *m, const struct parts_guest *g, struct bb_err *err)
{
	AUTO_PAIR streams = { -1, -1 };
	AUTO_PAIR dials = { -1, -1 };
	AUTO_PAIR records = { -1, -1 };
	int r = begin_parts(m, err);

	if (r == 0)
		r = pair_make(&streams, err);
	if (r == 0)
		r = pair_make(&dials, err);
	if (r == 0)
		r = pair_make(&records, err);
	if (r == 0)
		r = setup_egress(m, (int[]){ streams.a, dials.a, records.a }, g->door, err);
	if (r == 0)
		r = setup_dialler(m, dials.b, err);
	if (r == 0)
		r = setup_recorder(m, records.b, err);
	return r < 0 ? r : setup_channel(m, g, streams.b, err);
}

int parts_begin(struct monitor *m, struct bb_err *err)
{
	AUTO_PAIR stream = { -1, -1 };
	AUTO_PAIR console = { -1, -1 };
	int r = begin_guest(m, &stream, &console, err);

	return r < 0 ? r
		     : connect_parts(m,
				     &(struct parts_guest){ .stream_fd = stream.a,
							    .console_fd = console.a },
				     err);
}

int parts_mint(struct monitor *m, struct bb_err *err)
{
	return setup_tell(&m->parts[PART_EGRESS], IPC_EGRESS_MINT, NULL, NULL, 0, err);
}

int parts_begin_behind(struct monitor *m, const struct backend_door *door, int console_fd,
		       struct bb_err *err)
{
	int r = connect_parts(
		m, &(struct parts_guest){ .stream_fd = -1, .door = door, .console_fd = console_fd },
		err);

	return finish_parts(m, r, err);
}

int parts_finish(struct monitor *m, int r, struct bb_err *err)
{
	if (r == 0)
		r = backend_guest_started(m->guest, err);
	return finish_parts(m, r, err);
}

bool parts_are_ready(const struct monitor *m)
{
	for (int i = 0; i < NUM_PARTS; i++)
		if (!m->parts[i].is_ready)
			return false;
	return true;
}

bool parts_are_gone(const struct monitor *m)
{
	for (int i = 0; i < NUM_PARTS; i++)
		if (m->parts[i].exit_watch != NULL)
			return false;
	return true;
}

void parts_shutdown(struct monitor *m)
{
	for (int i = 0; i < NUM_PARTS; i++)
		if (i != PART_RECORDER && m->parts[i].link != NULL)
			(void)link_send(m->parts[i].link, IPC_SHUTDOWN, 0, bb_view_of(NULL, 0),
					NULL, 0); /* one that is gone needs no word */
}

/* Also frees what is left; parts_are_gone() afterwards. */
void parts_kill(struct monitor *m)
{
	for (int i = 0; i < NUM_PARTS; i++) {
		struct part *p = &m->parts[i];

		link_free(p->link);
		p->link = NULL;
		free(bb_take_ptr(&p->path));
		if (p->exit_watch == NULL)
			continue;
		loop_fd_free(p->exit_watch);
		p->exit_watch = NULL;
		spawn_kill(&p->child, SIGKILL);
		(void)spawn_wait(&p->child, 1000); /* it was killed: its code says nothing */
	}
}

static void explain(const struct part *p, char *reason, size_t cap)
{
	const char *name = part_names[p->id];

	if (p->error[0] != '\0')
		(void)snprintf(reason, cap, "the %s failed: %s", name, p->error);
	else if (p->is_dead && p->exit_code > 128)
		(void)snprintf(reason, cap, "the %s was killed by signal %d", name,
			       p->exit_code - 128);
	else if (p->is_dead)
		(void)snprintf(reason, cap, "the %s ended with code %d", name, p->exit_code);
	else
		(void)snprintf(reason, cap, "the %s closed its link", name);
}

static int score_of(const struct part *p)
{
	if (p->is_dead && p->exit_code > 128 && p->error[0] == '\0')
		return PART_KILLED;
	if (p->error[0] != '\0')
		return PART_SAID_WHY;
	if (p->is_dead)
		return PART_ENDED;
	return p->exit_watch != NULL && p->link == NULL ? PART_CLOSED_LINK : 0;
}

int parts_explain(const struct monitor *m, char *reason, size_t cap)
{
	const struct part *best = NULL;
	int best_score = 0;

	for (int i = 0; i < NUM_PARTS; i++) {
		int score = score_of(&m->parts[i]);

		if (score > best_score) {
			best = &m->parts[i];
			best_score = score;
		}
	}
	if (best != NULL)
		explain(best, reason, cap);
	return best_score;
}

struct link *part_link(struct monitor *m, enum part_id id)
{
	return m->parts[id].link;
}
