/*
 * Messages between our own processes, over SOCK_SEQPACKET pairs made by the monitor (or accepted on
 * control.sock): one datagram a message: u16 type, u16 zero, u32 id, then a typed-field body
 * (base/tlv.h) of at most LIMIT_IPC_BODY bytes, with at most LIMIT_IPC_FDS descriptors
 * (MSG_CMSG_CLOEXEC; MSG_CTRUNC and MSG_TRUNC are errors). id matches answers to questions; 0 for
 * messages that want none.
 *
 * Every link has a type, fixed at creation. LINK_INTERNAL: both ends are ours; a malformed message
 * ends the bottle. LINK_EDGE: the peer may be hostile or broken; a malformed message drops that
 * peer only.
 */
#ifndef BB_IPC_IPC_H
#define BB_IPC_IPC_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limit.h"
#include "base/view.h"

enum ipc_link {
	IPC_LINK_INTERNAL,
	IPC_LINK_EDGE,
};

struct ipc_message {
	uint16_t type;
	uint32_t id;
	struct bb_view body; /* points into the receiver's buffer, valid until its next receive */
	int fds[LIMIT_IPC_FDS]; /* owned by whoever holds the message; -1 when taken */
	int fd_count;
};

/* Closes the descriptors that nobody took. */
void ipc_message_done(struct ipc_message *m);
/* Takes descriptor i (-1 when it is not there). */
int ipc_message_take_fd(struct ipc_message *m, int i);

/* A CLOEXEC, SOCK_SEQPACKET pair. 0 or -errno. */
int ipc_pair(int ret_fds[2]);

/*
 * Sends one message; fds are borrowed (still the caller's afterwards). On a non-blocking socket
 * -EAGAIN means: not sent. 0, -EAGAIN, -EPIPE, or another -errno.
 */
int ipc_send(int fd, uint16_t type, uint32_t id, struct bb_view body, const int *fds, int fd_count);

/* Receives one message into the caller's buffer of LIMIT_IPC_BODY bytes. 1: got one; 0: the peer is
 * gone; -EAGAIN; -EPROTO with a sentence; or -errno. */
int ipc_receive(int fd, uint8_t *buffer, struct ipc_message *ret, struct bb_err *err);

/* Same, but waits at most timeout_ms. -ETIMEDOUT when nothing came. */
int ipc_receive_wait(int fd, uint8_t *buffer, int timeout_ms, struct ipc_message *ret,
		     struct bb_err *err);

/* Dispatch by table: what may be asked is data, not code. */
struct ipc_op {
	uint16_t type;
	const char *name; /* for errors and traces */
	uint32_t states;  /* bit mask of the states that allow it: IPC_IN(STATE_A) | IPC_IN(STATE_B)
			   */
	size_t body_min, body_max;
	int fds; /* exactly this many descriptors */
	int (*handle)(void *ctx, struct ipc_message *m, struct bb_err *err);
};
#define IPC_IN(state) (1u << (state))

/* Finds the op, checks state, body size and descriptors, and calls it. Negative: refused or failed;
 * what follows from that is the link's type. */
int ipc_dispatch(const struct ipc_op *ops, size_t count, unsigned state, void *ctx,
		 struct ipc_message *m, struct bb_err *err);

/* SO_PEERCRED uid of a connected unix socket, or -errno. */
long ipc_peer_uid(int fd);

#endif
