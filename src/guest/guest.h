/*
 * bottle-init's one context: the stream to the host, what runs, and what the host provisioned. The
 * host is trusted, but a protocol error still ends the guest; the programs of the guest that reach
 * the listeners are not trusted at all.
 */
#ifndef BB_GUEST_GUEST_H
#define BB_GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "guest/poll.h"
#include "guest/provision.h"
#include "mux/mux.h"
#include "mux/proto.h"

enum guest_mode {
	GUEST_NAMESPACE, /* the jail made everything; the stream is fd 3; no capability, one uid */
	GUEST_MICROVM,   /* PID 1 of a kernel of our own, root; ends by reboot(2) */
	GUEST_SOCKET,    /* the workload of a machine without a network that somebody else booted */
	GUEST_CONNECT,   /* a process in such a machine, which reaches the bundle by TCP */
};
#define GUEST_NUM_MODES 4

/* What differs between the modes. */
struct guest_traits {
	bool may_switch;    /* starts as root and becomes the agent */
	bool is_workload;   /* the machine is not ours: prepared, never ended by us */
	bool has_network;   /* listeners and DNS stub are ours; else the proxy is elsewhere */
	bool is_drained;    /* ends only when the other side has taken the last bytes */
	unsigned provision; /* PROVISION_* */
};

/* Whoever owns a stream of the mux: embedded first in the owner's struct, set as the mux's owner.
 */
struct peer_ops {
	void (*readable)(void *peer);
	void (*writable)(void *peer);
	void (*reset)(void *peer); /* must release the stream */
};
struct peer {
	const struct peer_ops *ops;
	struct mux_stream *stream;
};

struct session;
struct copy;
struct net;
struct relay;
struct lifecycle;
struct probe;

struct guest {
	enum guest_mode mode;
	struct poll_loop loop;
	struct mux *mux;
	int stream_fd;
	struct poll_watch stream;
	bool has_output; /* the mux has bytes to send */

	int signal_fd;
	struct poll_watch signals;

	struct provision provision;
	bool is_ready;  /* provisioned: EXEC and FILE are served */
	bool is_ending; /* SHUTDOWN came: nothing new starts */

	struct lifecycle *lifecycle; /* NULL before the host opened it */
	struct probe *probe;         /* NULL: none was asked for, or it is over */
	struct session *sessions;
	uint32_t last_session;
	struct copy *copies;
	struct net *net; /* NULL before provisioning */
	struct relay *forwards;
	size_t forward_count;

	struct bb_err failure; /* why the loop stopped, when it is an error */
};

/* Takes stream_fd. */
int guest_init(struct guest *g, enum guest_mode mode, int stream_fd, struct bb_err *err);
/* Serves until the host says SHUTDOWN, or the stream ends. 0 after BYE, else g->failure says why.
 */
int guest_run(struct guest *g);
/* Stops the loop after this turn. err NULL: all is well. */
void guest_stop(struct guest *g, const struct bb_err *err);
const struct guest_traits *guest_traits(const struct guest *g);

/* Which user a session or copy runs as. "" and "node": the agent; "root" only where we are root.
 * In a namespace there is one uid and nothing is changed. */
struct guest_user {
	const char *name, *home;
	uid_t uid;
	gid_t gid;
	bool must_switch; /* setgroups, setgid, setuid in the child */
};
int guest_user(const struct guest *g, struct bb_view name, struct guest_user *ret,
	       struct bb_err *err);
/* In a child: become that user. 0 or -errno. */
int guest_user_become(const struct guest_user *u);

#endif
