/*
 * What is said on the streams between bundle and guest. docs/protocol.md describes it; this header
 * is the one source of its numbers. Both sides treat what comes from the other as typed, bounded
 * fields.
 *
 * 1. Opening. The first bytes of every stream name its service:
 *      u16 magic 0xB077, u8 PROTO_VERSION, u8 service, u32 n, then n bytes of typed fields
 * (base/tlv.h, n <= LIMIT_PROTO_OPEN). Who may open what: guest EGRESS, GIT, SUPERVISE; host EXEC,
 * FILE, LIFECYCLE, FORWARD. Any other opening is a protocol error: the host ends the bottle, the
 * guest resets the stream.
 *
 * 2. Frames. EXEC, FILE and LIFECYCLE carry frames after the opening:
 *      u8 type, u8 zero, u16 zero, u32 n, then n <= LIMIT_PROTO_FRAME bytes.
 *    EGRESS, GIT, SUPERVISE and FORWARD carry raw bytes after the opening (egress: an HTTP proxy's
 *    input; forward: what a TCP connection to the guest's own loopback carries).
 */
#ifndef BB_MUX_PROTO_H
#define BB_MUX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

#define PROTO_MAGIC      0xB077
#define PROTO_VERSION    1
#define PROTO_OPEN_HEAD  8
#define PROTO_FRAME_HEAD 8

enum proto_service {
	PROTO_EGRESS = 1,
	PROTO_GIT = 2,
	PROTO_SUPERVISE = 3,
	PROTO_EXEC = 16,
	PROTO_FILE = 17,
	PROTO_LIFECYCLE = 18,
	PROTO_FORWARD = 19,
};

#define PROTO_PROBE_ENDPOINTS 16
#define PROTO_PROBE_ENDPOINT  6
#define PROTO_PROBE_OWN       (1u << 31)

/* bottle-init's explicit proxy listener, as its guest's programs name it; the port is
 * guest/net.h's. Where a guest has no such listener the host puts another address in its place. */
#define PROTO_PROXY_URL "http://127.0.0.1:9099"

/* Fields of an EGRESS opening (guest): how the connection came in, for the audit only; the verdict
 * never depends on it. */
enum proto_egress_tag {
	PROTO_EGRESS_PATH = 1, /* u32: 1 transparent, 2 explicit proxy */
};

/*
 * LIFECYCLE: opened by the host exactly once, first. The guest answers HELLO, the host sends
 * PROVISION, the guest answers READY. Later, either way as noted.
 */
enum proto_lifecycle {
	LIFECYCLE_HELLO = 1, /* guest: fields below */
	LIFECYCLE_PROVISION =
		2, /* host: may span several frames; the last one has LIFECYCLE_PROVISION_END */
	LIFECYCLE_PROVISION_END = 3, /* host: no body: apply what came */
	LIFECYCLE_READY = 4,     /* guest: exec and file are served from now on; or an error text */
	LIFECYCLE_MAIN_EXIT = 5, /* guest: the main session ended: u32 field EXIT_CODE */
	LIFECYCLE_SHUTDOWN =
		6, /* host: end all processes (TERM, 5 s, KILL), sync, answer BYE, power off */
	LIFECYCLE_BYE = 7,  /* guest: last words before it goes */
	LIFECYCLE_MARK = 8, /* host: remember this instant for the tree at field PATH */
	LIFECYCLE_CHANGED =
		9, /* host: asks; guest answers with the same type, field CHANGED (u32 0/1) */
	/* Before PROVISION, where somebody else made the guest's network: what does it reach? */
	LIFECYCLE_PROBE = 10,  /* host: fields below; once */
	LIFECYCLE_PROBED = 11, /* guest: what came of it; it listens until it is provisioned */
};

enum proto_lifecycle_tag {
	LIFECYCLE_TAG_VERSION = 1, /* u32, HELLO: PROTO_VERSION of the guest program */
	LIFECYCLE_TAG_KERNEL = 2,  /* str <= 128, HELLO: uname release, for display only */
	LIFECYCLE_TAG_ERROR = 3,   /* str <= 512, READY: what failed; absent when all is well */
	LIFECYCLE_TAG_EXIT_CODE = 4,
	LIFECYCLE_TAG_PATH = 5, /* str <= 4096 */
	LIFECYCLE_TAG_CHANGED = 6,
	/* PROVISION: each field may come in any frame; the repeated ones add up. */
	LIFECYCLE_TAG_CA_PEM = 16,   /* bytes <= 8192: the bottle's CA certificate */
	LIFECYCLE_TAG_HOSTNAME = 17, /* str <= 63 */
	LIFECYCLE_TAG_ENV = 18,  /* str "NAME=value", repeated: base environment of every session */
	LIFECYCLE_TAG_PORT = 19, /* u32, repeated: TCP ports that routes name, beside 80 and 443 */
	LIFECYCLE_TAG_CLOCK = 20,   /* u64: CLOCK_REALTIME in ns; microvm only */
	LIFECYCLE_TAG_ENTROPY = 21, /* bytes 32..64: added to the guest's pool; microvm only */
	LIFECYCLE_TAG_PIDS = 22,    /* u32: RLIMIT_NPROC of sessions; 0: none */
	/* PROBE. An endpoint is six bytes: an IPv4 address and a port. */
	LIFECYCLE_TAG_PROBE_TCP = 32, /* bytes 6, repeated: connect to it */
	LIFECYCLE_TAG_PROBE_UDP = 33, /* bytes 6, repeated: ask it for the name, as a name server */
	LIFECYCLE_TAG_PROBE_NAME = 34,    /* str: ask the machine's own name servers, too */
	LIFECYCLE_TAG_PROBE_LISTEN = 35,  /* u32: listen on this port of every address */
	LIFECYCLE_TAG_PROBE_PROXY = 36,   /* bytes 6: egress; absent: by a stream */
	LIFECYCLE_TAG_PROBE_REQUEST = 37, /* str: what is said to egress */
	/* PROBED. */
	LIFECYCLE_TAG_PROBED_TCP = 48,     /* u32: bit i: endpoint i was reached */
	LIFECYCLE_TAG_PROBED_UDP = 49,     /* u32: the same; bit 31: one of its own answered */
	LIFECYCLE_TAG_PROBED_LISTENS = 50, /* u32 0/1 */
	LIFECYCLE_TAG_PROBED_BUNDLE = 51,  /* u32: egress' status, e.g. 403; 0: it did not answer */
};

/* EXEC: one process or one attachment a stream. Opening without fields; first frame EXEC_START or
 * EXEC_ATTACH. The host closes its half of the stream to leave: that is the loss of the attachment
 * (the end of input is EXEC_STDIN_EOF). The guest closes its half after EXEC_EXIT or EXEC_FAILED.
 */
enum proto_exec {
	EXEC_START = 1,     /* host */
	EXEC_ATTACH = 2,    /* host: join a kept session; its ring is replayed first */
	EXEC_STDIN = 3,     /* host: bytes */
	EXEC_STDIN_EOF = 4, /* host */
	EXEC_RESIZE = 5,    /* host: u16 rows, u16 columns */
	EXEC_SIGNAL = 6, /* host: u32 signal number; to the foreground process group, or the process
			    group */
	EXEC_STARTED = 16, /* guest: u32 session id */
	EXEC_STDOUT = 17,  /* guest: bytes; a PTY has only this one */
	EXEC_STDERR = 18,  /* guest */
	EXEC_EXIT = 19,    /* guest, last: u32 code (128+n for signal n) */
	EXEC_FAILED = 20,  /* guest, last: u32 code (126 cannot be run, 127 not found, 125 other),
			      then text */
};

enum proto_exec_tag {
	EXEC_TAG_ARG = 1,  /* str, repeated: argv */
	EXEC_TAG_ENV = 2,  /* str "NAME=value", repeated: added to the base environment */
	EXEC_TAG_CWD = 3,  /* str; default: the user's home */
	EXEC_TAG_USER = 4, /* str: "node" (default) or "root" (microvm only) */
	EXEC_TAG_ROWS = 5, /* u32; with COLUMNS: the process gets a PTY of this size */
	EXEC_TAG_COLUMNS = 6,
	EXEC_TAG_FLAGS = 7,   /* u32: EXEC_FLAG_* */
	EXEC_TAG_SESSION = 8, /* u32, ATTACH: session id; 0: the main session */
};

#define EXEC_FLAG_KEEP 1u /* the process survives the loss of its stream */
#define EXEC_FLAG_MAIN                                                            \
	2u /* its end is the end of the bottle: LIFECYCLE_MAIN_EXIT; implies KEEP \
	    */
#define EXEC_FLAG_OBSERVE \
	4u /* ATTACH: no input from here; does not count as the session's terminal */

/* FILE: opening fields below; then FILE_DATA frames in the direction of the copy, FILE_END after
 * the last one, and FILE_RESULT from the guest at the very end of both. A copy without FILE_RESULT
 * ok is not complete. The bytes are a POSIX (pax) tar stream; the guest unpacks nothing outside its
 * root. */
enum proto_file {
	FILE_DATA = 1,
	FILE_END = 2,
	FILE_RESULT = 3, /* guest: empty body: ok; else error text */
};

enum proto_file_tag {
	FILE_TAG_OP = 1, /* u32: FILE_PUT or FILE_GET */
	FILE_TAG_PATH =
		2, /* str: absolute path: PUT the directory to unpack into (made when missing); GET
		    * the file or tree, whose names in the stream begin with its last component, or
		    * "." with FILE_FLAG_CONTENTS */
	FILE_TAG_USER = 3, /* str: owner of what is written: "node" (default) or "root" */
	FILE_TAG_FLAGS = 4,
	FILE_TAG_EXCLUDE = 5, /* str, repeated: GET: paths relative to the root that are left out */
	FILE_TAG_ONLY = 6,    /* str, repeated: GET with CONTENTS: nothing but these of its entries;
			       * those that are missing are no error */
};
#define FILE_PUT           1
#define FILE_GET           2
#define FILE_FLAG_CONTENTS 1u
#define FILE_FLAG_REPLACE  2u /* PUT: what is in the directory goes first */
/*
 * With PATH "/" and no USER: GET gives what the bottle has changed of its file system, PUT makes
 * the same changes. Entries have owners, set-id bits, a character device 0/0 for what was removed,
 * and SCHILY.xattr.trusted.overlay.opaque on a directory that replaced another. Where the machine's
 * changes are not told apart from its image (smolmachines) both are refused.
 */
#define FILE_FLAG_LAYER 4u

/* FORWARD: opening field PORT; the guest connects to its own 127.0.0.1 (or ::1) and resets the
 * stream when nothing listens there. */
enum proto_forward_tag {
	PROTO_FORWARD_PORT = 1, /* u32: 1..65535 */
};

/* Encoders append to b: 0 or the buffer's error. */
int proto_put_open(struct bb_buf *b, enum proto_service service, struct bb_view fields);
int proto_put_frame(struct bb_buf *b, uint8_t type, const void *body, size_t n);

struct proto_open {
	enum proto_service service;
	struct bb_view fields;
};
struct proto_frame {
	uint8_t type;
	struct bb_view body;
};

/* Decoders: bytes used, 0 when more is needed, negative with a sentence when broken. Views point
 * into in. */
int proto_get_open(struct bb_view in, struct proto_open *ret, struct bb_err *err);
int proto_get_frame(struct bb_view in, struct proto_frame *ret, struct bb_err *err);

#endif
