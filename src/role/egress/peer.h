/*
 * One end of a tunnel: a non-blocking descriptor, in clear or under TLS, with a bounded buffer in
 * each direction. A peer moves bytes and never decides anything; its owner calls peer_io() until
 * nothing moves, works on the buffers, and then lets peer_watch() say what to wait for.
 */
#ifndef BB_ROLE_EGRESS_PEER_H
#define BB_ROLE_EGRESS_PEER_H

#include <stdbool.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "tls/tls.h"

#define PEER_IN_MAX   (72 * 1024)  /* a whole head and a bit */
#define PEER_OUT_HIGH (64 * 1024)  /* the owner adds nothing above this */
#define PEER_OUT_MAX  (256 * 1024) /* a rewritten head with a credential, and a chunk */

struct peer {
	struct loop *loop;
	int fd; /* owned; -1: closed */
	struct loop_fd *watch;
	struct tls_conn *tls; /* owned; NULL: in clear */
	struct bb_buf in, out;
	bool is_shaking;   /* the TLS handshake is not over */
	bool has_ended;    /* the peer will send no more, and said so properly */
	bool is_broken;    /* an error, a failed handshake, or an end that may hide a cut */
	bool is_mute;      /* it takes nothing more; what it has sent can still be read */
	bool is_shut;      /* our direction is closed */
	struct bb_err err; /* of the handshake */
};

/* Zeroed struct with fd -1: closed. */
void peer_init(struct peer *p, struct loop *loop);
/* Takes fd. 0 or -ENOMEM (fd closed). cb is called with arg on every event. */
int peer_open(struct peer *p, int fd, loop_fd_cb *cb, void *arg);
void peer_close(struct peer *p);
bool peer_is_open(const struct peer *p);
/* Takes tls; its handshake begins with the next peer_io(). */
void peer_start_tls(struct peer *p, struct tls_conn *tls);
/* Reads and writes what can be at once. True when anything happened. */
bool peer_io(struct peer *p);
/* May the owner add to out? */
bool peer_has_room(const struct peer *p);
/* Once out is empty: says that nothing more comes. */
void peer_shut(struct peer *p);
/* Arms the watch for what the peer waits for. */
void peer_watch(struct peer *p);

#endif
