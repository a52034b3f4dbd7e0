/*
 * What must be there before a machine may be started. Looking at the host and judging what was seen
 * are apart: judging is pure, so every finding is tested anywhere.
 */
#ifndef BB_BACKEND_SMOLMACHINES_PREFLIGHT_H
#define BB_BACKEND_SMOLMACHINES_PREFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/microvm/kvm.h"
#include "backend/smolmachines/smolvm.h"
#include "base/distro.h"

/* For a smolvm that needs no KVM, which is none that was released. */
#define SMOL_UNPROVEN_VARIABLE "BOT_BOTTLE_SMOLVM_UNPROVEN"

/* Whether KVM runs a guest, by the foundation's proof: a guest of ours in QEMU said hello. */
enum smol_proof {
	SMOL_PROOF_NOT_TRIED,
	SMOL_PROOF_DONE,
	SMOL_PROOF_FAILED,
	SMOL_PROOF_NO_QEMU,
	SMOL_PROOF_NO_IMAGE,
};

struct smol_seen {
	struct smolvm vm;   /* path NULL: not on PATH */
	int version_result; /* of asking its version and of the gate */
	struct bb_err version_why;
	bool is_root;
	int user_result; /* of smolvm_check_user() */
	struct bb_err user_why;
	bool kvm_is_skipped; /* SMOL_UNPROVEN_VARIABLE */
	struct kvm_look kvm;
	enum smol_proof proof;
	uint64_t proof_ms;
	char proof_why[256];
	int netns_result; /* of netns_probe(); looked at in TSI mode only */
	struct bb_err netns_why;
	int pack_result; /* of smolpack_check(); looked at in TSI mode only */
	struct bb_err pack_why;
	enum bb_distro distro;
};

/* deep: boots a guest to prove KVM when nothing is remembered. */
void smol_see(bool deep, struct smol_seen *ret);
void smol_seen_done(struct smol_seen *s);
/* 0, or BB_E_MISSING with the first check that failed. */
int smol_judge(struct smol_seen *s, struct backend_report *ret, struct bb_err *err);

/* Rows that every system has; arg begins with a struct smol_seen. */
void smol_judge_smolvm(void *arg, struct backend_check *c);
void smol_judge_version(void *arg, struct backend_check *c);
void smol_judge_packing(void *arg, struct backend_check *c);
void smol_judge_verified(void *arg, struct backend_check *c);

/* The preflight member of struct backend: both. */
int smolmachines_preflight(bool deep, struct backend_report *ret, struct bb_err *err);

#endif
