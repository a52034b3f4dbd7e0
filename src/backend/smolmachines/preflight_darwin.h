/*
 * The preflight of macOS. There is no KVM and no network namespace there: Hypervisor.framework is
 * asked for, and in TSI mode the operator is shown what a machine could reach on this Mac, and
 * asked. Compiled and tested everywhere through the injected runner; what only a Mac shows is in
 * docs/macos.md.
 */
#ifndef BB_BACKEND_SMOLMACHINES_PREFLIGHT_DARWIN_H
#define BB_BACKEND_SMOLMACHINES_PREFLIGHT_DARWIN_H

#include "backend/smolmachines/preflight.h"
#include "sys/darwin/host.h"

struct smol_seen_darwin {
	struct smol_seen common; /* first: rows that both systems have look at this */
	int hypervisor_result;
	struct bb_err hypervisor_why;
	int listener_count; /* negative: not to be told, or more than can be shown; TSI mode only */
	struct bb_err listeners_why;
	struct darwin_listener listeners[DARWIN_LISTENERS_MAX];
};

/* Looks; s->common has what smolvm_open() found. */
void smol_see_darwin(const struct darwin_runner *runner, struct smol_seen_darwin *s);
/* As smol_judge(). With listeners a start is possible when the operator says so: ret->question. */
int smol_judge_darwin(struct smol_seen_darwin *s, struct backend_report *ret, struct bb_err *err);

#endif
