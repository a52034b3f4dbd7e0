/*
 * Shared inside role/egress only: the process's state and one tunnel's. Who does what:
 *   tunnel.c    life of a tunnel: first request, peek, guest's handshake, time limits, end
 *   request.c   reads one request, judges it, writes it anew
 *   upstream.c  the connection to the host: dial, TLS, reuse
 *   credential.c  what a host with a bound credential gets, and what it does not get
 *   exchange.c  both bodies of a request that passed
 *   filter.c    a response's body without the credential that was sent
 *   answer.c    our own answers: refusals and failures
 *   rate.c      how much may leave in an hour
 *   show.c      what egress.log shows
 *   links.c     questions to recorder and dialler, and their answers
 *   listen.c    the listener of a guest that comes by itself, and its credential
 */
#ifndef BB_ROLE_EGRESS_EGRESS_IMPL_H
#define BB_ROLE_EGRESS_EGRESS_IMPL_H

#include "base/limit.h"
#include "base/secret.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/inflate.h"
#include "http/scrub.h"
#include "ipc/messages.h"
#include "policy/policy.h"
#include "role/egress/egress.h"
#include "role/egress/peer.h"
#include "role/link/link.h"
#include "role/link/role.h"
#include "tls/tls.h"

#define EGRESS_SECRETS 64
#define EGRESS_HOST    254 /* bytes of a normalised host with its end */

struct egress_secret {
	char *token_ref;
	struct bb_secret *secret;
};

/* The credential of one route, ready for use. */
struct egress_auth {
	struct bb_secret *value;  /* as it stands in the field or parameter */
	struct http_scrub *scrub; /* takes the secret out of responses */
};

struct egress {
	struct role role;
	struct tls_ca *ca;
	struct tls_server *server;
	struct tls_client *client;
	struct policy *policy;
	struct egress_secret secrets[EGRESS_SECRETS];
	size_t secret_count;
	struct egress_auth *auths;    /* one for each route of the policy, in its order */
	struct policy_meter **meters; /* likewise; NULL: that route has no rate */
	int channel_fd, dialler_fd, recorder_fd; /* until the sandbox is locked */
	struct link *channel, *dialler, *recorder;
	int roots_fd; /* -1: none, or read already */

	/* Where the guest comes by itself; see listen.c. */
	int listen_fd; /* -1: it does not */
	struct loop_fd *listen_watch;
	struct bb_secret *credential; /* base64 of user:password */
	size_t stranger_count, stranger_refusals;

	struct tunnel *tunnels;
	size_t tunnel_count;
	uint32_t last_id; /* of questions */
};

/*
 * States, what ends each, and what must not happen in it:
 *   FIRST      the first head: CONNECT, or a request in absolute form
 *   PEEK       CONNECT was answered: the first byte tells TLS from HTTP. Nothing is dialled
 *   GUEST_TLS  handshake with the guest
 *   REQUEST    waits for a head, then judges it
 *   DIAL       the dialler was asked; UPSTREAM_TLS: handshake with the upstream, verified
 *   RECORD     the recorder was asked; no byte of the request has left
 *   EXCHANGE   request and response pass
 *   FLUSH      the last bytes go to the guest, what it still sends is dropped (bounded)
 *   CLOSED     freed at the end of this turn
 */
enum tunnel_state {
	TUNNEL_FIRST,
	TUNNEL_PEEK,
	TUNNEL_GUEST_TLS,
	TUNNEL_REQUEST,
	TUNNEL_DIAL,
	TUNNEL_UPSTREAM_TLS,
	TUNNEL_RECORD,
	TUNNEL_EXCHANGE,
	TUNNEL_FLUSH,
	TUNNEL_CLOSED,
};
#define TUNNEL_NUM_STATES 10

/* One message's body on its way through. */
struct body {
	enum http_framing from, to;
	uint64_t left; /* from LENGTH */
	struct http_chunked chunked;
	struct filter *filter; /* NULL: it passes as it is. Owned by the response */
	bool is_done;
};

struct request {
	char host[EGRESS_HOST]; /* normalised: what was judged, and what is resolved */
	uint16_t port;
	bool is_tls;
	const struct policy_route *route; /* of the allowed host */
	char method[33];
	char path[1024];    /* for the record; cut */
	struct bb_buf head; /* rewritten, with the credential; wiped once sent */
	bool is_head_method, expects_continue, is_persistent, has_auth, is_old; /* HTTP/1.0 */
	struct body body;
};

struct response {
	size_t scanned;
	bool has_head; /* its head went to the guest */
	bool is_persistent;
	bool is_decoded; /* it came compressed and does not go on so */
	struct body body;
};

struct tunnel {
	struct egress *egress;
	struct tunnel *next, **at;
	enum tunnel_state state;
	bool is_transparent;   /* for the record only */
	bool is_connect;       /* CONNECT; else requests in absolute form */
	bool needs_credential; /* it came through the listener */
	bool is_stranger;      /* and has not shown it yet */
	bool is_recorded;      /* a record exists for what happens now */
	bool is_running;       /* tunnel_run() is on the stack */
	struct peer guest, upstream;
	struct loop_timer *timer;
	struct loop_timer *again; /* more to do after others had their turn */

	/* CONNECT: what was asked for. */
	char host[EGRESS_HOST];
	uint16_t port;
	bool is_tls;
	enum policy_reason verdict; /* on host and port, once TLS or not is known */

	size_t scanned; /* of guest.in, for the next head */
	bool has_first_byte;
	size_t drained;
	bool is_cut; /* the end is not a proper one: no close_notify */
	struct request request;
	struct response response;

	/* The upstream connection, for reuse. */
	char upstream_host[EGRESS_HOST];
	uint16_t upstream_port;
	bool upstream_is_tls;
	char upstream_address[64];

	uint32_t dial_id, record_id; /* 0: none pending */
	bool is_passing;             /* after RECORD: the request goes out; else our answer */
	unsigned retry_after;        /* seconds, of a 429 */
	unsigned answer_status;      /* of our answer; 0: none, the tunnel is closed */
	struct bb_buf answer_text;
};

/* tunnel.c */
enum tunnel_entry {
	TUNNEL_EXPLICIT,    /* the guest's stream, by its proxy variables */
	TUNNEL_TRANSPARENT, /* the guest's stream, without them */
	TUNNEL_LISTENER,    /* somebody who reached the listener */
};
void tunnel_new(struct egress *e, int fd, enum tunnel_entry entry); /* takes fd */
void tunnel_free(struct tunnel *t);
/* Runs until nothing moves; t may be gone afterwards. */
void tunnel_run(struct tunnel *t);
void tunnel_set_state(struct tunnel *t, enum tunnel_state state);
void tunnel_set_timeout(struct tunnel *t, unsigned ms);
void tunnel_close(struct tunnel *t); /* at once, without a word */

/* request.c: false: nothing to do yet. */
bool request_read(struct tunnel *t);
void request_reset(struct tunnel *t);

/* credential.c */
/* A value for every route with auth, from the secrets that came. */
int credential_prepare(struct egress *e, struct bb_err *err);
void credential_forget(struct egress *e);
const struct egress_auth *credential_of(const struct egress *e, const struct policy_route *route);
/* May this field of the guest's leave to this host? */
bool credential_keeps(const struct policy_route *route, const struct bb_field *f);
/* Does the query (without '?') carry a credential of its own? */
bool credential_is_foreign(const struct policy_route *route, struct bb_view query);
/* The target as it is sent: query with ours in the place of what the guest wrote there. */
int credential_put_target(const struct tunnel *t, struct bb_buf *out, struct bb_view path,
			  struct bb_view query);
int credential_put_fields(const struct tunnel *t, struct bb_buf *out);

/* rate.c */
int rate_prepare(struct egress *e, struct bb_err *err);
void rate_forget(struct egress *e);
/* Counts one request with the bytes that it announces. False: it was refused. */
bool rate_admits(struct tunnel *t, uint64_t bytes);
/* Counts more of a body that announced no length. False: it must not leave; see rate_cut(). */
bool rate_admits_more(struct tunnel *t, uint64_t bytes);
void rate_cut(struct tunnel *t); /* refuses the request in the middle of its body */

/* filter.c */
/* NULL: out of memory. */
struct filter *filter_new(const struct http_scrub *scrub, enum http_coding coding);
void filter_free(struct filter *f);
/* Has it work to do before it takes more? */
bool filter_is_busy(const struct filter *f);
/* Takes a piece while it is not busy; is_end: nothing comes behind. 0 or -ENOMEM. */
int filter_give(struct filter *f, struct bb_view piece, bool is_end);
/* What may go on now, valid until the next call. 1: the end has been reached; 0; or -EPROTO,
 * -ENOMEM. */
int filter_take(struct filter *f, struct bb_view *ret, struct bb_err *err);

/* upstream.c */
void upstream_get(struct tunnel *t);
bool upstream_step(struct tunnel *t);
void upstream_dialled(struct tunnel *t, int fd, enum dial_result result, struct bb_view text,
		      struct bb_view address); /* takes fd */

/* exchange.c */
void exchange_start(struct tunnel *t);
bool exchange_step(struct tunnel *t);

/* answer.c */
/* Refuses what is being asked: record first, then the answer. status 0: no answer, close. */
void answer_refuse(struct tunnel *t, unsigned status, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void answer_policy(struct tunnel *t, enum policy_reason reason, const char *host, uint16_t port);
/* Writes the answer that was prepared and begins to flush. */
void answer_send(struct tunnel *t);
/* An answer without a record of its own: the request has one already, or cannot have one. */
void answer_plain(struct tunnel *t, unsigned status, const char *text);

/* listen.c */
int listen_start(struct egress *e, struct bb_err *err);
void listen_stop(struct egress *e);
/* May this head go on? False: it was refused, or the tunnel is closed. */
bool listen_admits(struct tunnel *t, const struct http_head *h);
/* t is no stranger any more, or ends. */
void listen_forget(struct tunnel *t);

/* links.c */
struct record {
	bool is_allowed;
	const char *reason, *detail; /* detail may be NULL */
	unsigned status;
};
int links_start(struct egress *e, struct bb_err *err);
/* show.c */
void show_verdict(const struct tunnel *t, const struct record *r);
void show_fields(const struct tunnel *t, const char *what, const struct http_head *h);
/* Sends the record of t's request; t->record_id is then pending. False: it cannot be sent. */
bool links_record(struct tunnel *t, const struct record *r);
bool links_dial(struct tunnel *t);

extern const struct ipc_op egress_ops[];
extern const size_t egress_op_count;

const struct bb_secret *egress_find_secret(const struct egress *e, const char *token_ref);
/* What connections are made of. After the CA, which the guest's start waits for. */
int egress_start_tls(struct egress *e, struct bb_err *err);
/* Reads the host's roots when they are first needed. */
int egress_load_roots(struct egress *e, struct bb_err *err);

#endif
