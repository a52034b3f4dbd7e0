/*
 * What a bottle has made of its workspace, fetched and compared: for `diff` and `pull`. The guest's
 * tree lands in state/<id>/pull, unpacked by the confined archive process, and becomes a tree of
 * the ledger by the confined git; nobody else reads it.
 */
#ifndef BB_CLI_BRING_H
#define BB_CLI_BRING_H

#include "store/store.h"
#include "workspace/ledger.h"
#include "workspace/review.h"

struct cli_bring {
	char *identity, *staging, *tree; /* tree: what the guest has, in staging */
	struct store_meta *meta;
	struct ledger *ledger;
	int lock;
	char result[LEDGER_ID_MAX]; /* the ledger's tree of it */
	struct review review;       /* LEDGER_BASE to result; names are not checked yet */
	bool is_unchanged; /* an ended bottle whose guest said that nothing changed: no tree */
};

/* name: identity or label. BB_E_USAGE when there is nothing to compare with. */
int cli_bring_fetch(const char *name, struct cli_bring *ret, struct bb_err *err);
/* Removes what was fetched. */
void cli_bring_done(struct cli_bring *b);

#endif
