/*
 * One machine as smolvm writes it down: the JSON of its row in the state database, and its
 * effective configuration. Pure: bytes in, bytes or a sentence out. What is not exactly as expected
 * is an error that says what was expected and what was found.
 */
#ifndef BB_BACKEND_SMOLMACHINES_VMROW_H
#define BB_BACKEND_SMOLMACHINES_VMROW_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define VMROW_MAX (1024 * 1024) /* bytes of one row */

/* Is it one loopback address with /32, in its only spelling? */
bool vmrow_is_loopback_cidr(const char *cidr);

/*
 * Makes allowed_cidrs exactly ["<cidr>"] and keeps every other member, known or not. Only for a
 * machine that does not run and was created without a network. *ret_changed false: it was right
 * already and out is untouched.
 */
int vmrow_patch(struct bb_view row, const char *name, const char *cidr, struct bb_buf *out,
		bool *ret_changed, struct bb_err *err);

/* Confined exactly as meant: cidr is the only address; NULL: no network at all, and socket_guest is
 * the only socket (NULL: none). */
int vmrow_check(struct bb_view row, const char *name, const char *cidr, const char *socket_guest,
		struct bb_err *err);
/* The same of agent.config.json. */
int vmrow_check_effective(struct bb_view config, const char *cidr, struct bb_err *err);

#endif
