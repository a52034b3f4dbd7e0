/*
 * The launch plan: what the CLI tells the monitor, encoded with base/tlv.h into a sealed memfd. The
 * monitor decodes it strictly and believes it (it is the operator's); secrets are never in it.
 */
#ifndef BB_ROLE_MONITOR_PLAN_H
#define BB_ROLE_MONITOR_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "base/err.h"

#define MONITOR_PLAN_MAX        (1024 * 1024) /* bytes of an encoded plan */
#define MONITOR_ORPHAN_GRACE_MS 60000         /* see orphan_grace_ms */

/* A launch that is taken back and whose machine is still there; else 0 or 1. */
#define MONITOR_EXIT_REMAINS 3
#define MONITOR_REMAINS \
	"its machine is not removed yet; the next command of bot-bottle looks after it"

struct monitor_plan {
	/* identity, agent, backend and image are required; the others may be NULL. */
	char *identity, *agent, *bottle, *backend, *image, *label, *color, *cwd;
	struct backend_resources resources;
	struct bb_view policy; /* policy_encode() bytes; a decoded plan's point into storage */
	char **env;            /* base environment of the guest: NAME=value */
	/* Of the agent's home: what is kept of it at the end beside the workspace, for a
	 * resumption; NULL: nothing. */
	char **agent_state;
	bool is_resumed;   /* an ended bottle of this identity lives again */
	char **token_refs; /* a secret arrives by IPC_LAUNCH_SECRET for each */
	uint16_t *ports;   /* ports that routes name, beside 80 and 443 */
	size_t port_count;
	bool is_headless;
	uint32_t max_seconds; /* life of the bottle; 0: no limit */
	char *roots_path;     /* the host's CA bundle; NULL: no roots (nothing verifies) */
	char *accelerator;    /* "tcg" or "kvm" forces it; NULL: the backend chooses */
	/* How long an interactive bottle without a terminal (or one whose agent nobody started)
	 * waits for one before it ends; 0: MONITOR_ORPHAN_GRACE_MS. */
	uint32_t orphan_grace_ms;
	struct bb_buf storage; /* of a decoded plan */
};

enum monitor_phase {
	MONITOR_LAUNCHING,
	MONITOR_RUNNING, /* guest ready; main session may or may not be started */
	MONITOR_SAVING,  /* the agent's work is over: the changed workspace is being kept */
	MONITOR_ENDING,
};
#define MONITOR_NUM_PHASES 4

/* out's cap is MONITOR_PLAN_MAX. 0, or the buffer's error. */
int monitor_plan_encode(const struct monitor_plan *p, struct bb_buf *out);
int monitor_plan_decode(struct bb_view in, struct monitor_plan **ret, struct bb_err *err);
void monitor_plan_free(struct monitor_plan *p);

#endif
