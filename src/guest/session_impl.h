/* What session.c, session_input.c and attach.c share. */
#ifndef BB_GUEST_SESSION_IMPL_H
#define BB_GUEST_SESSION_IMPL_H

#include "guest/frames.h"
#include "guest/process.h"
#include "guest/ring.h"
#include "guest/session.h"

enum session_state {
	SESSION_STARTING, /* forked; exec not yet known to have worked. No output is read. */
	SESSION_RUNNING,  /* executed; pid is valid until has_exited */
	SESSION_FINISHED, /* code is final, output complete in the ring; no descriptor is open */
};

struct attach {
	struct peer peer;
	struct guest *guest;
	struct session *session; /* NULL before EXEC_START or EXEC_ATTACH, and after a failure */
	struct frames in;
	struct bb_buf pre; /* frames that go before the ring's bytes */
	uint64_t position; /* in the session's ring */
	bool is_owner;     /* started the process */
	bool is_observer;
	bool is_finished; /* last frame sent: only the host's close is awaited */
	struct attach *next;
};

struct session {
	struct guest *guest;
	uint32_t id, flags;
	enum session_state state;
	struct process process;
	bool has_pty, has_exited, is_in_eof, is_failed;
	uint32_t code;
	char failure[256]; /* with is_failed */
	struct poll_watch in, out, err, status;
	bool is_throttled;
	struct bb_buf input; /* stdin not yet taken by the process */
	struct ring ring;
	struct poll_timer drain;  /* after the exit: output is idle */
	size_t owed;              /* bytes in its pipes when it ended that were not read yet */
	uint64_t end_deadline_ms; /* when what others write into its pipes is waited for no more */
	struct poll_timer kill;   /* after the loss of the owner */
	struct attach *attached;
	struct session *next;
};

/* session.c */
struct session *session_start(struct guest *g, const struct process_plan *plan, uint32_t flags,
			      struct bb_err *err);
struct session *session_find(struct guest *g, uint32_t id); /* 0: the main one */
void session_signal(struct session *s, int number);
void session_owner_lost(struct session *s);
void session_resume(struct session *s); /* an attachment has moved on */
void session_collect(
	struct session *s); /* frees it when nobody needs it; do not use s afterwards */

/* Closes one of its descriptors, which is watched no more. */
void session_close(struct session *s, struct poll_watch *w, int *fd);

/* session_input.c */
void session_input(struct session *s, struct bb_view bytes);
void session_input_eof(struct session *s);
bool session_takes_input(const struct session *s);
void session_resize(struct session *s, uint16_t rows, uint16_t columns);
/* Writes what waits, then asks for the frames that were left in the streams meanwhile: nothing else
 * would, when the host has used up its credit. */
void session_take_input(struct session *s);
void session_on_input(void *arg, int events); /* arg: the session */

/* attach.c */
void attach_pump(struct attach *a);
void attach_input(struct attach *a); /* reads its frames as far as the session takes them */
void attach_session_changed(struct session *s); /* started, failed or finished: tell everybody */

#endif
