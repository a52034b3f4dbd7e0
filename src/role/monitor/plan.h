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

struct monitor_plan {
	char *identity, *agent, *bottle, *backend, *image, *label, *color, *cwd;
	struct backend_resources resources;
	struct bb_view policy; /* policy_encode() bytes; points into storage */
	char **env;            /* base environment of the guest: NAME=value */
	char **token_refs;     /* a secret arrives by IPC_LAUNCH_SECRET for each */
	uint16_t *ports;       /* ports that routes name, beside 80 and 443 */
	size_t port_count;
	bool is_headless;
	uint32_t max_seconds; /* life of the bottle; 0: no limit */
	char *roots_path;     /* the host's CA bundle */
	struct bb_buf storage;
};

enum monitor_phase {
	MONITOR_LAUNCHING,
	MONITOR_RUNNING, /* guest ready; main session may or may not be started */
	MONITOR_SAVING,  /* main session over: the changed workspace is being kept */
	MONITOR_ENDING,
};
#define MONITOR_NUM_PHASES 4

int monitor_plan_encode(const struct monitor_plan *p, struct bb_buf *out);
int monitor_plan_decode(struct bb_view in, struct monitor_plan **ret, struct bb_err *err);
void monitor_plan_free(struct monitor_plan *p);

#endif
