/*
 * What the files of the monitor share: one struct for the one bottle that this process owns.
 *
 * Phases (enum monitor_phase, changed by monitor_set_phase() only):
 *   LAUNCHING  from the plan to the guest's "ready". The report socket is the operator's hand: when
 *              it closes, the launch is undone. Failing leaves nothing, the state directory
 *              included.
 *   RUNNING    control.sock serves operators. Left by: the agent's end, stop, a lost terminal, the
 *              end of the bottle's time (all to SAVING, or to ENDING when there is nothing to
 *              keep); the death of any part (to ENDING at once).
 *   SAVING     the changed workspace is being fetched. When the host has no room for it, the bottle
 *              stays here, guest alive, until a stop, so that work is never lost in silence.
 *   ENDING     the guest is told to shut down (or is dead already), then everything is taken down.
 */
#ifndef BB_ROLE_MONITOR_MONITOR_IMPL_H
#define BB_ROLE_MONITOR_MONITOR_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "base/limit.h"
#include "image/image.h"
#include "ipc/ipc.h"
#include "loop/loop.h"
#include "mux/proto.h"
#include "role/link/link.h"
#include "role/monitor/monitor.h"
#include "role/monitor/plan.h"
#include "store/store.h"
#include "sys/spawn.h"

#define MONITOR_MAIN_STREAMS 16

enum part_id {
	PART_EGRESS, /* first: minting the CA takes longest */
	PART_CHANNEL,
	PART_RECORDER,
	PART_DIALLER,
};
#define NUM_PARTS 4

struct part {
	struct monitor *m;
	enum part_id id;
	struct link *link;
	char *path;
	struct spawn_pending pending; /* report_fd -1: nothing pending */
	struct spawn_child child;     /* pidfd -1: not running */
	struct loop_fd *exit_watch;
	bool is_ready;
	bool is_dead;
	int exit_code;
	char error[256]; /* what it said before it ended, escaped; "" */
};

/* Steps of the launch, in order; those between STARTING and DONE overlap. */
enum launch_stage {
	LAUNCH_WAITS_PLAN,
	LAUNCH_WAITS_GO,
	LAUNCH_STARTING,
	LAUNCH_DONE,
};

/* What the guest is asked to reach before anything runs in it; see probe.c. */
enum canary {
	CANARY_HOST,    /* on every address of the host */
	CANARY_ADDRESS, /* in the guest's own network, on an address that is not the bundle's */
	NUM_CANARIES,
};

struct probe_target {
	uint8_t endpoint[PROTO_PROBE_ENDPOINT];
	bool is_udp;
	unsigned bit;     /* of its kind, in the guest's answer */
	const char *what; /* for the operator */
};

struct probe {
	struct probe_target *targets;
	size_t target_count;
	int canaries[NUM_CANARIES]; /* listeners that nobody may reach; -1 */
	uint16_t listen_port;
	struct loop_timer *timer;
	bool is_asked, has_passed;
};

/* A guest that its backend's keeper starts; see kept.c. */
struct kept_launch {
	struct loop_fd *events;
	int console_fd; /* until channel has it; -1 */
	bool has_bundle, is_launched, is_started;
	bool has_failed;
	bool is_waited_for; /* the stream is lost: why is the keeper's to say */
	struct probe probe;
	char proxy_url[BACKEND_URL_MAX]; /* until the guest has it; "" */
};

struct launch {
	enum launch_stage stage;
	struct link *report;
	struct loop_timer *deadline;
	struct {
		char *token_ref;
		int fd;
	} secrets[MONITOR_SECRETS_MAX];
	size_t secret_count;
	bool has_hello, is_provisioned, is_guest_ready;
	struct kept_launch kept;
	char *ca_pem;
	size_t ca_pem_size;
};

struct control_peer {
	struct monitor *m;
	struct link *link;
	struct control_peer *next;
	bool holds, watches;
	bool stops;
	uint32_t stop_id;
};

struct control {
	int fd;
	struct loop_fd *watch;
	struct control_peer *peers;
	size_t peer_count;
	bool is_publish_due;
};

enum save_step {
	SAVE_IDLE,
	SAVE_ASKING,   /* CHANGED was sent */
	SAVE_FETCHING, /* the guest's tar stream goes into the file */
	SAVE_STUCK,    /* the host cannot keep it: waits for the operator */
};

/* What is kept of a bottle, in this order. */
enum save_part {
	SAVE_WORKSPACE,
	SAVE_AGENT, /* plan->agent_state */
};

struct save {
	enum save_part part;
	enum save_step step;
	uint32_t open_id; /* of the FILE stream */
	int fd;
	struct loop_timer *timer;
	uint64_t seen_bytes;
	bool is_last_try;
	bool is_done; /* all that was to be kept is, or cannot be */
};

/* Streams on which the main session's output leaves: its terminal, later attachments and the log.
 * The end waits for them, so that no output is lost. */
struct main_streams {
	uint32_t ids[MONITOR_MAIN_STREAMS];
	size_t count;
	struct loop_timer *deadline;
};

/* Why and how the bottle ends; the first reason stays. */
struct ending {
	bool is_wanted;
	int exit_code;
	char reason[512];
	bool is_torn_down;
	bool waits_for_guest; /* the parts had their time: only the keeper is still at it */
	bool has_remains;     /* the machine is not removed yet */
	struct loop_timer *timer;
};

struct log_pipe {
	int read_fd, write_fd, file_fd, null_fd;
	struct loop_fd *watch;
	uint64_t written;
};

struct monitor {
	struct loop *loop;
	enum monitor_phase phase;
	struct monitor_plan *plan;
	struct store_meta *meta;
	struct store_meta *meta_before; /* of a bottle that is resumed; NULL: it is new */
	int lock_fd;
	char *state_dir, *run_dir, *libexec_dir;
	struct image *image;
	const struct backend *backend;

	struct launch launch;
	struct part parts[NUM_PARTS];
	struct backend_guest *guest;
	struct loop_fd *guest_watch;
	bool is_guest_dead;
	char lost[256]; /* what channel said about the lost stream, escaped; "" */
	bool has_loss;  /* the verdict is being awaited: nothing new begins */
	struct loop_timer *verdict;

	struct control control;
	struct save save;
	struct ending ending;
	struct log_pipe log;
	struct loop_timer *orphan, *lifetime;
	bool is_detached;        /* its operator left on purpose */
	uint64_t alone_since_ms; /* with orphan running; 0: somebody is there */
	struct loop_signal *term, *interrupt;
	uint32_t next_id; /* of questions to channel */
	uint32_t main_exit_code;
	bool is_main_started, has_main_ended;
	struct main_streams main_streams;
};

/* monitor.c */
void monitor_set_phase(struct monitor *m, enum monitor_phase phase);
/* The guest serves: LAUNCHING -> RUNNING. */
void monitor_is_ready(struct monitor *m);
void monitor_main_started(struct monitor *m);
/* A stream carries output of a session; it is over (the error says how). */
void monitor_stream_opened(struct monitor *m, uint32_t id);
void monitor_stream_closed(struct monitor *m, uint32_t id);
void monitor_main_ended(struct monitor *m, uint32_t code);
/* The bottle ends: keeps the workspace, shuts the guest down. In LAUNCHING: undoes the launch. */
void monitor_end(struct monitor *m, int exit_code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A part or the guest is gone: after a moment, in which others that died of it or with it are seen
 * too, ends with the reason that explains it best. */
void monitor_lost_something(struct monitor *m);
/* Arms or disarms the grace of a bottle that nobody attends. */
void monitor_review_orphan(struct monitor *m);
uint32_t monitor_next_id(struct monitor *m);

/* launch.c */
int launch_start(struct monitor *m, int report_fd, struct bb_err *err);
/* Something that a launch waits for has come. */
void launch_advance(struct monitor *m);
void launch_step(struct monitor *m, const char *text);
void launch_failed(struct monitor *m, const char *reason);
void launch_done(struct monitor *m);
void launch_free(struct monitor *m);

/* guest.c: the isolated guest and what it is told at its start. */
int guest_begin(struct monitor *m, int stream_fd, int console_fd, struct bb_err *err);
int guest_provision(struct monitor *m, struct bb_err *err);
void guest_kill(struct monitor *m); /* and does not wait for its end */
/* With a keeper: it has ended, so its machine is removed. True with any other guest, whose end is
 * waited for by guest_destroy(). */
bool guest_is_gone(const struct monitor *m);
void guest_destroy(struct monitor *m);

/* kept.c: the launch in turns with the keeper of the guest's backend. */
int kept_begin(struct monitor *m, struct bb_err *err);
/* Egress has minted. */
void kept_minted(struct monitor *m);
/* Something else that it waits for has come. */
void kept_advance(struct monitor *m);
void kept_done(struct monitor *m); /* the launch is over, well or not */

/* probe.c: proof, before the agent, that a guest reaches the bundle and nothing else. */
void probe_init(struct probe *p);
/* The launch goes on when it has passed: launch_advance(). */
void probe_ask(struct monitor *m);
/* What the guest says: the four numbers of IPC_CHANNEL_PROBED. */
#define PROBE_NUMBERS 4
void probe_answered(struct monitor *m, const uint32_t numbers[PROBE_NUMBERS]);
void probe_done(struct probe *p);

/* verdict.c: 0 when it is confined and reaches the bundle; else the sentence that ends the launch.
 */
int probe_judge(const struct probe *p, const uint32_t numbers[PROBE_NUMBERS], struct bb_err *err);

/* parts.c: our own processes. */
extern const char *const part_names[NUM_PARTS];
/* Egress alone, which takes longest: it mints the CA. */
int parts_begin_egress(struct monitor *m, struct bb_err *err);
/* The guest, which takes second longest, then the others; all are told what to do. */
/* Asks egress, which serves nobody yet, for its certificate. */
int parts_mint(struct monitor *m, struct bb_err *err);
/* The others, and egress' set-up; the guest comes through the door. Descriptors stay the caller's.
 */
int parts_begin_behind(struct monitor *m, const struct backend_door *door, int console_fd,
		       struct bb_err *err);
int parts_begin(struct monitor *m, struct bb_err *err);
/* Waits until what was begun is executed; parts are watched from here on, also when something
 * failed meanwhile. Takes that result and returns it, or a better one. */
int parts_finish(struct monitor *m, int r, struct bb_err *err);
bool parts_are_ready(const struct monitor *m);
bool parts_are_gone(const struct monitor *m);
/* Tells all to finish; parts_kill() ends those that do not. */
void parts_shutdown(struct monitor *m); /* the recorder last: see end.c */
void parts_kill(struct monitor *m);
/* Why: the part whose death explains the others', in reason; how well it explains. 0: all live. */
enum {
	PART_CLOSED_LINK = 1,
	PART_ENDED,
	PART_SAID_WHY,
	PART_KILLED, /* by a signal, without a word: nothing else explains that */
};
int parts_explain(const struct monitor *m, char *reason, size_t cap);
struct link *part_link(struct monitor *m, enum part_id id);

/* monitor_ops.c: what parts may say. */
int monitor_part_message(struct part *p, struct ipc_message *msg, struct bb_err *err);

/* setup.c */
/* What channel is given of the guest: its stream, or a door through which it comes. */
struct parts_guest {
	int stream_fd;
	const struct backend_door *door; /* NULL: there is a stream */
	int console_fd;
};
int setup_tell(struct part *p, uint16_t type, const struct bb_buf *body, const int *fds,
	       int fd_count, struct bb_err *err);
/* fds: the links to channel, dialler and recorder. */
int setup_egress(struct monitor *m, const int fds[3], const struct backend_door *door,
		 struct bb_err *err);
int setup_dialler(struct monitor *m, int egress_fd, struct bb_err *err);
int setup_recorder(struct monitor *m, int writer_fd, struct bb_err *err);
int setup_channel(struct monitor *m, const struct parts_guest *g, int egress_fd,
		  struct bb_err *err);

/* control.c */
int control_start(struct monitor *m, struct bb_err *err);
size_t control_holders(const struct monitor *m);
/* Who takes part: not those that only ask for the status, as `list` does. */
size_t control_watchers(const struct monitor *m);
/* Says something to everybody who watches. */
void control_tell(struct monitor *m, const char *text);
void control_tell_ended(struct monitor *m);
void control_free(struct monitor *m);

/* status.c */
/* CONTROL_STATE fields. */
int status_put(const struct monitor *m, struct bb_buf *body);
/* Something of what they say is different now. */
void status_changed(struct monitor *m);

/* save.c */
void save_start(struct monitor *m);
/* The operator insists on the end: one more try, then without. */
void save_last_try(struct monitor *m);
bool save_is_wanted(const struct monitor *m);
void save_changed(struct monitor *m, bool is_changed);
void save_stream_closed(struct monitor *m, uint32_t id, uint32_t error);
void save_free(struct monitor *m);

/* end.c */
void end_shutdown(struct monitor *m); /* tell the guest, wait, tear down */
void end_tear_down(struct monitor *m);
void end_part_gone(struct monitor *m);
void end_on_timer(void *arg);
/* Removes all that a failed launch made. */
void end_discard(struct monitor *m);

/* log.c: standard error of the whole bundle, bounded. */
int log_open(struct monitor *m, struct bb_err *err);  /* the pipe: write_fd */
int log_start(struct monitor *m, struct bb_err *err); /* its file; ours goes there, too */
void log_drain(struct monitor *m);
void log_free(struct monitor *m);

#endif
