/*
 * Every message between our processes: the one list of types and fields. docs/privsep.md shows who
 * holds which link. Types are unique over all links, so that a message on the wrong link is never
 * understood.
 * "->" is the direction. Fields are TLV tags, numbered per link.
 *
 * Start of every role (monitor -> role): the role is executed as `bot-bottle-ROLE` with no
 * arguments and these descriptors, nothing else: 0,1: /dev/null   2: the bundle's log   3: link to
 * the monitor (IPC_LINK_INTERNAL) Then IPC_SETUP (several are allowed) hands out what the role
 * needs, with its descriptors; IPC_SETUP_DONE locks the set: the role applies the rest of its
 * sandbox and answers IPC_ROLE_READY. Afterwards it opens, connects and executes nothing (except
 * dialler: connect; see sys/sandbox.h). A role whose link to the monitor closes ends at once.
 */
#ifndef BB_IPC_MESSAGES_H
#define BB_IPC_MESSAGES_H

#define IPC_ROLE_FD 3 /* the monitor link in every role */

/* A guest that comes by TCP says these random bytes, one bottle's own, before anything else. */
#define CHANNEL_CREDENTIAL_BYTES 32

enum ipc_type {
	/* monitor <-> every role */
	IPC_SETUP_DONE = 1, /* -> role, no body */
	IPC_ROLE_READY =
		2, /* role ->, no body (egress adds its certificate: IPC_EGRESS_READY instead) */
	IPC_ROLE_ERROR = 3, /* role ->, tag 1 str: why it ends; the last thing it says */
	IPC_SHUTDOWN = 4,   /* -> role: finish what is in flight (recorder: flush), then exit 0 */

	/* monitor -> recorder */
	IPC_RECORDER_SETUP =
		16, /* fds: audit.jsonl opened O_APPEND|O_WRONLY; tag 1 u64: bytes it holds */
	IPC_RECORDER_WRITER =
		17, /* fds: one end of a link on which records come (egress; later others) */

	/* writer (egress) <-> recorder: a record is on disk before it is answered */
	IPC_RECORD = 24,      /* -> recorder, id != 0; tags: enum record_tag */
	IPC_RECORD_DONE = 25, /* recorder ->, same id; tag 1 u32: 0 written, else errno */

	/* monitor -> dialler */
	IPC_DIALLER_SETUP =
		32, /* tag 1 bytes: the policy (policy_encode), fds: link to egress;
		     * tag 2 str, repeated: ports on host loopback that are ours (never dialled) */
	/* egress <-> dialler */
	IPC_DIAL = 40,      /* -> dialler, id; tag 1 str host, tag 2 u32 port */
	IPC_DIAL_DONE = 41, /* dialler ->, same id; fds: the connected socket (none when refused);
			     * tag 1 u32: enum dial_result; tag 2 str: sentence; tag 3 str: address
			     * dialled */

	/* monitor -> egress */
	IPC_EGRESS_SETUP = 48, /* tag 1 bytes: policy; fds: link to channel (streams arrive), link
				* to dialler, link to recorder */
	IPC_EGRESS_ROOTS = 49, /* fds: the host's CA bundle (PEM), read-only */
	IPC_EGRESS_SECRET =
		50, /* fds: a pipe with the secret; tag 1 str: token_ref it belongs to */
	/* Where the guest comes to egress by itself: */
	IPC_EGRESS_MINT = 52,   /* -> egress: what is its certificate? It serves nobody yet */
	IPC_EGRESS_MINTED = 53, /* egress ->: tag 1 bytes: the CA certificate (PEM) */
	IPC_EGRESS_LISTEN = 54, /* -> egress: fds: a listening TCP socket; tag 1 bytes:
				 * "user:password" that each request must bring */
	IPC_EGRESS_READY =
		51, /* egress ->: instead of ROLE_READY; tag 1 bytes: the CA certificate (PEM) */

	/* channel -> egress (and later git-gate, supervise): one per guest stream */
	IPC_STREAM = 56, /* fds: one end of a SOCK_STREAM pair, the bytes after the opening;
			  * tag 1 u32: enum proto_egress path */

	/* monitor <-> channel */
	IPC_CHANNEL_SETUP = 64, /* fds: the bottle's stream; tag 1 u64: hello deadline in ms */
	IPC_CHANNEL_SERVICE =
		65, /* fds: link of the service's role; tag 1 u32: enum proto_service (EGRESS..) */
	IPC_CHANNEL_CONSOLE =
		66, /* fds: read end of the console pipe, console.log opened for appending */
	IPC_CHANNEL_PROVISION =
		67, /* -> channel: tag 1 bytes: one LIFECYCLE_PROVISION body; tag 2 u32: 1 = last */
	IPC_CHANNEL_OPEN =
		68, /* -> channel, id; fds: the local end: a SOCK_STREAM socket (relayed both
		     * ways), or a regular file or pipe opened for writing (receives only);
		     * tag 1 u32: enum proto_service EXEC or FILE; tag 2 bytes: opening fields;
		     * tag 3 bytes: first bytes to send after the opening (optional);
		     * tag 4 u64: most bytes written to a file (optional), the rest is dropped */
	IPC_CHANNEL_CLOSED =
		69, /* channel ->, same id: that stream is over; tag 1 u32: errno or 0 */
	IPC_CHANNEL_HELLO = 70, /* channel ->: the guest said hello; tag 1 str: kernel */
	IPC_CHANNEL_READY = 71, /* channel ->: provisioned; tag 1 str: error text when it failed */
	IPC_CHANNEL_MAIN_EXIT = 72, /* channel ->: tag 1 u32: code */
	IPC_CHANNEL_BYE = 73,       /* channel -> */
	IPC_CHANNEL_LOST = 74,      /* channel ->: the stream ended or broke; tag 1 str: sentence */
	IPC_CHANNEL_MARK = 75,      /* -> channel: tag 1 str path */
	IPC_CHANNEL_CHANGED = 76,   /* -> channel: asks, and channel ->: tag 1 u32 0/1 */
	IPC_CHANNEL_SHUTDOWN = 77,  /* -> channel: LIFECYCLE_SHUTDOWN to the guest */
	IPC_CHANNEL_LISTEN =
		78, /* -> channel, instead of IPC_CHANNEL_SETUP: the guest connects.
		     * fds: a listening socket, on which exactly one connection is taken;
		     * tag 1 u64: hello deadline in ms, which covers the connecting; and
		     * one of: tag 2 u32: a Unix socket: the uid that may connect;
		     * tag 3 bytes: TCP: the CHANNEL_CREDENTIAL_BYTES that come first */

	/* monitor <-> keeper, which starts and removes the machine (backend smolmachines) */
	IPC_KEEPER_PLAN = 80,   /* -> keeper: tags: enum keeper_plan_tag */
	IPC_KEEPER_MINTED = 81, /* -> keeper: tag 1 bytes: egress's public certificate (PEM) */
	IPC_KEEPER_LAUNCH = 82, /* -> keeper: channel and egress hold the door's sockets */
	IPC_KEEPER_STEP = 83,   /* keeper ->: tag 1 str: what is being done now */
	IPC_KEEPER_DOOR =
		84,              /* keeper ->: fds: listener of the stream; in TSI mode also of the
				  * proxy and of the canary; tag 1 bytes: the stream's credential, tag 2
				  * str: the proxy's password, tag 3 str: its URL (in TSI mode only) */
	IPC_KEEPER_STARTED = 85, /* keeper ->: the machine runs; tag 1 str: note */
	IPC_KEEPER_FAILED = 86,  /* keeper ->: tag 1 str: sentence; the last thing it says */

	/* monitor <-> channel, of a guest whose network somebody else made */
	IPC_CHANNEL_PROBE = 88,  /* -> channel: tag 1 bytes: one LIFECYCLE_PROBE body */
	IPC_CHANNEL_PROBED = 89, /* channel ->: tags 1..4 u32: TCP, UDP, listens, egress' status:
				  * mux/proto.h */

	/* CLI -> monitor at launch: on the report socket (fd 3 of the monitor), see
	   role/monitor/plan.h */
	IPC_LAUNCH_PLAN = 96,   /* CLI ->: fds: sealed memfd with the plan */
	IPC_LAUNCH_SECRET = 97, /* CLI ->: fds: a pipe; tag 1 str token_ref */
	IPC_LAUNCH_GO = 98,     /* CLI -> */
	IPC_LAUNCH_STEP = 99,   /* monitor ->: tag 1 str: what is being waited for now */
	IPC_LAUNCH_READY = 100, /* monitor ->: exec is served; tag 1 str: accelerator or "shared
				   kernel" line */
	IPC_LAUNCH_FAILED =
		101, /* monitor ->: tag 1 str sentence; tag 2 str: last console lines (escaped) */
	IPC_LAUNCH_NOTE =
		102, /* monitor ->: tag 1 str: something the operator should know, e.g. why TCG */

	/* CLI <-> monitor on control.sock (IPC_LINK_EDGE; same uid only) */
	IPC_CONTROL_OPEN =
		112, /* CLI ->, id; tags as IPC_CHANNEL_OPEN 1..3; answer IPC_CONTROL_OPENED. The
		      * main session's EXEC_START comes in tag 3: the monitor must know of it */
	IPC_CONTROL_OPENED =
		113,              /* fds: the CLI's end of the stream; tag 1 u32: 0 or errno,
				     ESHUTDOWN: as tag 2 of IPC_CONTROL_REFUSED; tag 2 str sentence */
	IPC_CONTROL_STATUS = 114, /* CLI ->, id; answer IPC_CONTROL_STATE */
	IPC_CONTROL_STATE = 115,  /* tags: enum control_state_tag */
	IPC_CONTROL_HOLD =
		116, /* CLI ->: this connection is the operator's terminal of the main session */
	IPC_CONTROL_STOP = 117,  /* CLI ->, id: end the bottle; answered by IPC_CONTROL_ENDED */
	IPC_CONTROL_WATCH = 118, /* CLI ->: tell this connection when the bottle has ended */
	IPC_CONTROL_ENDED = 119, /* monitor ->: tag 1 u32: exit code; tag 2 str: reason; tag 3 u32:
				  * workspace kept 0/1; tag 4 str: what could not be kept; tag 5
				  * u32: a resumption would find something 0/1 */
	IPC_CONTROL_WORKSPACE =
		120, /* CLI ->, id: the workspace is in place at tag 1 str path: mark it, and
		      * keep it at the end when it changed; answer IPC_CONTROL_OK */
	IPC_CONTROL_OK = 121,      /* monitor ->, id */
	IPC_CONTROL_REFUSED = 122, /* monitor ->, id; tag 1 str sentence; tag 2 u32: 1, the bottle
				    * is about to end, and who watches will be told why */
	IPC_CONTROL_NOTE = 123,    /* monitor -> who watches; tag 1 str: something is wrong that the
				    * operator must act on, e.g. no room for the workspace */
	IPC_CONTROL_COMMITTED = 125, /* CLI ->, id: an image was made of the bottle: tag 1 str: its
				      * id; answer IPC_CONTROL_OK */
	IPC_CONTROL_DETACH = 124, /* CLI ->: the operator leaves on purpose: the bottle waits for no
				   * terminal from now on */
};

enum dial_result {
	DIAL_OK = 0,
	DIAL_NOT_ALLOWED = 1, /* host or port outside the dialler's own policy */
	DIAL_NO_NAME = 2,     /* the name does not resolve */
	DIAL_BAD_ADDRESS = 3, /* special-purpose address */
	DIAL_UNREACHABLE = 4, /* refused, no route, timed out */
	DIAL_BUSY = 5,        /* too many dials at a time */
};
#define DIAL_NUM_RESULTS 6

enum record_tag {
	RECORD_HOST = 1,       /* str, as asked, escaped by the recorder */
	RECORD_PORT = 2,       /* u32 */
	RECORD_METHOD = 3,     /* str */
	RECORD_PATH = 4,       /* str, query left out */
	RECORD_VERDICT = 5,    /* u32: 0 refused, 1 allowed */
	RECORD_REASON = 6,     /* str: a word of policy/reason.h, e.g. host_not_allowed */
	RECORD_DETAIL = 7,     /* str: sentence, optional */
	RECORD_ENTRY = 8,      /* str: connect | absolute | transparent */
	RECORD_STATUS = 9,     /* u32: HTTP status given to the guest, 0 none */
	RECORD_BYTES_OUT = 10, /* u64 request bytes */
	RECORD_BYTES_IN = 11,  /* u64 response bytes */
	RECORD_MS = 12,        /* u32 */
	RECORD_ADDRESS = 13,   /* str: address dialled, optional */
	RECORD_AUTH = 14,      /* u32: 1 when a credential was injected */
};

enum keeper_plan_tag {
	KEEPER_PLAN_IDENTITY = 1, /* str */
	KEEPER_PLAN_IMAGE = 2,    /* str: its name */
	KEEPER_PLAN_RUN_DIR = 3,  /* str: the bottle's own */
	KEEPER_PLAN_CPUS = 4,     /* u32 */
	KEEPER_PLAN_MEMORY = 5,   /* u64: bytes */
	KEEPER_PLAN_DISK = 6,     /* u64: bytes */
	KEEPER_PLAN_PIDS = 7,     /* u32 */
};

enum control_state_tag {
	CONTROL_STATE_PHASE = 1,   /* u32: enum monitor_phase */
	CONTROL_STATE_AGENT = 2,   /* str */
	CONTROL_STATE_BACKEND = 3, /* str, with accelerator: "microvm (kvm)" */
	CONTROL_STATE_STARTED = 4, /* u64: CLOCK_REALTIME seconds */
	CONTROL_STATE_HELD = 5,    /* u32: 1 when a terminal is attached */
	CONTROL_STATE_PARTS = 6, /* str, repeated: "egress 1234": name and pid of a running part */
	CONTROL_STATE_DISK = 8,  /* u64: bytes that the guest's own files may take */
	CONTROL_STATE_PROBLEM = 7, /* str: what the operator must act on; absent: nothing */
};

#endif
