/*
 * Every limit on what an outsider can consume: name, unit, reason. A test hits each one.
 */
#ifndef BB_BASE_LIMIT_H
#define BB_BASE_LIMIT_H

/* The stream (mux/). */
#define LIMIT_MUX_STREAMS 1024 /* open streams a session: an agent with its children needs tens */
#define LIMIT_MUX_WINDOW  (256 * 1024) /* bytes of credit a stream starts with (yamux) */
#define LIMIT_MUX_WINDOW_MAX                                                               \
	(1024 * 1024)               /* credit may grow to this for streams that drain fast \
				     */
#define LIMIT_MUX_FRAME (64 * 1024) /* bytes of data a frame: bounds the buffer on both sides */
#define LIMIT_MUX_BUFFERED                                                    \
	(16 * 1024 * 1024) /* bytes received and not yet taken, whole session \
			    */

/* Guest protocol (mux/proto.h). */
#define LIMIT_PROTO_OPEN    4096         /* bytes of the service header of a stream */
#define LIMIT_PROTO_FRAME   65536        /* bytes of one exec or file frame body */
#define LIMIT_EXEC_SESSIONS 64           /* processes started by the operator at a time */
#define LIMIT_EXEC_ARGS     512          /* argv and env entries each */
#define LIMIT_EXEC_RING     (256 * 1024) /* bytes of output kept for a later attach */

/* Inside the guest (guest/): what its own programs can make PID 1 hold. */
/* Bytes of input held while a process does not read. */
#define LIMIT_EXEC_STDIN (64 * 1024)
/* TCP ports that routes name, beside 80 and 443. */
#define LIMIT_GUEST_PORTS 64
/* File operations at a time. */
#define LIMIT_GUEST_COPIES 16
/* Connections to the listeners at a time; more are reset. */
#define LIMIT_GUEST_CONNECTIONS 512
/* Names that the DNS stub remembers; the one longest unused is forgotten. */
#define LIMIT_GUEST_NAMES 4096
/* DNS connections over TCP at a time. */
#define LIMIT_GUEST_DNS_TCP 32
/* Listeners on (synthetic address, port) pairs; the oldest is closed. */
#define LIMIT_GUEST_LISTENERS 192
/* Bytes of the answer to our CONNECT. */
#define LIMIT_GUEST_CONNECT_ANSWER 8192
/* Bytes of a path or link text in an archive. */
#define LIMIT_TAR_NAME 4096
/* Bytes of one extended header. */
#define LIMIT_TAR_PAX 65536
/* Bytes of one file in an archive: no disk of a bottle is larger. */
#define LIMIT_TAR_FILE (1LL << 40)
/* Entries looked at to tell whether a tree has changed. */
#define LIMIT_TREE_ENTRIES 500000

/* Messages between our own processes (ipc/). */
#define LIMIT_IPC_BODY 65536 /* bytes; one datagram of a SOCK_SEQPACKET pair */
#define LIMIT_IPC_FDS  8     /* descriptors with one message */

/* Egress. */
#define LIMIT_HTTP_HEAD    (64 * 1024) /* bytes of request or response line and headers */
#define LIMIT_HTTP_HEADERS 256
#define LIMIT_HTTP_TARGET  (16 * 1024)
/* Bytes of a credential: it must fit into a request's head. */
#define LIMIT_SECRET (16 * 1024)
/* A compressed response may grow to so many times its size, once it is larger than so many bytes:
 * text compresses to a fifth, zeros to a thousandth. */
#define LIMIT_INFLATE_RATIO 200
#define LIMIT_INFLATE_FREE  (1024 * 1024)
#define LIMIT_EGRESS_REFUSED_BODY \
	(64 * 1024)              /* bytes of a refused request's body that are still read */
#define LIMIT_EGRESS_TUNNELS 512 /* connections from the guest at a time */
/* Where the guest comes to egress by a listener: connections at a time that have not shown the
 * bottle's credential; one more and the oldest is closed. Refusals of such that are recorded, then
 * they are only counted: others of the host cannot fill the audit. */
#define LIMIT_EGRESS_STRANGERS        64
#define LIMIT_EGRESS_STRANGER_RECORDS 256
#define LIMIT_EGRESS_LEAVES           256  /* cached leaf certificates */
#define LIMIT_EGRESS_LEAF_RATE        100  /* fresh leaves a second: minting costs CPU */
#define LIMIT_DIALS                   128  /* names being resolved or connected at a time */
#define LIMIT_ROUTES                  1024 /* routes of a policy */
#define LIMIT_ROUTE_PORTS             16   /* ports of a route */
#define LIMIT_ROUTE_MATCHES           64   /* alternatives of a route */
#define LIMIT_MATCH_METHODS           16   /* methods of an alternative */
#define LIMIT_MATCH_PATHS             32   /* paths of an alternative */
#define LIMIT_MATCH_FIELDS            16   /* headers, and query parameters, of an alternative */
#define LIMIT_MATCH_TEXT              1024 /* bytes of a path, value or regex of a rule */
#define LIMIT_MATCH_NAME              64   /* bytes of the name of a header or parameter */
#define LIMIT_REGEX_STATES            512  /* rows of a regex' table: what the guest walks in */
/* Bytes of the tables of all regexes of a policy: egress and dialler hold them. */
#define LIMIT_POLICY_REGEXES (1024 * 1024)

/* Recorder and logs. */
#define LIMIT_AUDIT_RECORD 8192               /* bytes of one record */
#define LIMIT_AUDIT_FILE   (64 * 1024 * 1024) /* bytes of audit.jsonl; then egress denies */
#define LIMIT_CONSOLE_LOG  (1024 * 1024) /* bytes of console.log; what comes later is dropped */
#define LIMIT_SESSION_LOG  (16 * 1024 * 1024) /* bytes of session.log */
#define LIMIT_BUNDLE_LOG   (1024 * 1024) /* bytes of monitor.log: the bundle's standard error */

/* Channel, where the guest connects by TCP: connections that have not said their credential yet.
 * One more and the oldest is closed: others on the host cannot keep the guest out. */
#define LIMIT_CHANNEL_CALLERS 16

/* The monitor. */
#define LIMIT_CONTROL_PEERS 32 /* connections to control.sock at a time */

/* Connections of one `forward` at a time; more wait until one has ended. */
#define LIMIT_FORWARD_CONNECTIONS 64

/* Terminal output (term/). */
#define LIMIT_TERM_STRING (64 * 1024) /* bytes of a dropped string before text shows again */

/* Archives (role/archive). */
#define LIMIT_ARCHIVE_PATH    4096          /* bytes of a path */
#define LIMIT_ARCHIVE_DEPTH   256           /* directories below each other: one descriptor each */
#define LIMIT_ARCHIVE_ENTRIES 4194304       /* of one archive: a guest can send for ever */
#define LIMIT_ARCHIVE_BYTES   (64ull << 30) /* of file content, of one archive */

/* The confined git (role/git) and what it lists (workspace). */
#define LIMIT_GIT_MEMORY (4ull << 30) /* data of one git: objects are inflated in memory */
#define LIMIT_GIT_OUTPUT (256u << 20) /* bytes of a list or a diff that is read */

/* Manifests. */
#define LIMIT_MANIFEST_FILE  (1024 * 1024)
#define LIMIT_MANIFEST_DEPTH 16
#define LIMIT_MANIFEST_NODES 8192 /* values of one file: duplicate keys are found by comparing */
#define LIMIT_PRESETS        64   /* of one bottle: each reads a file */
#define LIMIT_MANIFEST_ENV   256  /* entries of env */
#define LIMIT_MANIFEST_LIST  64   /* entries of a list of names */
#define LIMIT_MANIFEST_CHAIN 8    /* bottles that extend each other, one behind the other */
#define LIMIT_MANIFEST_FILES 32   /* files of one effective bottle, each reading counted */

#endif
