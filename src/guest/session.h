/*
 * Sessions: processes started by the operator, and the EXEC streams attached to them.
 *
 * A process writes into its session's ring; every attachment sends from its own position of the
 * ring. The process waits for the slowest attachment; with none attached the oldest output is
 * dropped. The end of an attachment is the loss of its stream: reset, or closed by the host. Losing
 * the stream that started the process ends the process, unless it is kept.
 */
#ifndef BB_GUEST_SESSION_H
#define BB_GUEST_SESSION_H

#include "guest/guest.h"

/* Takes an EXEC stream whose opening was read. 0, or negative: the caller resets it. */
int exec_accept(struct guest *g, struct mux_stream *s);

/* A child of ours ended. True when it was a session's. */
bool session_reaped(struct guest *g, pid_t pid, int wait_status);
/* What runs on terminals is hung up. */
void session_hang_up(struct guest *g);
/* True when an attachment still has output to send. */
bool session_has_output(const struct guest *g);
/* Frees all sessions and attachments; the processes are gone already. */
void session_free_all(struct guest *g);

#endif
