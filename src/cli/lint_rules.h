/*
 * What is risky in a bottle although it is valid: one rule a row, each with a code, how grave it
 * is, and a way out. Rules look at one route, or at the bottle; they change nothing.
 */
#ifndef BB_CLI_LINT_RULES_H
#define BB_CLI_LINT_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "manifest/manifest.h"

enum lint_grade {
	LINT_ERROR,   /* the parser refuses it */
	LINT_WARNING, /* it works, and somebody may regret it */
};
#define LINT_NUM_GRADES 2
extern const char *const lint_grade_words[LINT_NUM_GRADES];

struct lint_finding {
	const char *rule; /* "public-suffix": stable, for programs */
	enum lint_grade grade;
	const char *origin;  /* "bottles/dev.md:7" */
	const char *text;    /* what is the matter */
	const char *way_out; /* what to do; NULL: the text says it */
};
typedef void lint_found_cb(void *arg, const struct lint_finding *f);

/* A rule of the table, for help and man page. */
struct lint_rule {
	const char *name, *text;
	enum lint_grade grade;
};
extern const struct lint_rule lint_rules[];
extern const size_t lint_rule_count;

/* What the rules need beside the bottle: the list of hosts and the public suffixes. */
struct lint_data;
int lint_data_load(struct lint_data **ret, struct bb_err *err);
void lint_data_free(struct lint_data *d);
BB_DEFINE_AUTO(lint_data, lint_data_free)

/* Looks at the routes of the bottle's policy, presets not expanded, and at what stands beside. */
void lint_bottle(const struct lint_data *d, const struct manifest_bottle *b, lint_found_cb *found,
		 void *arg);

#endif
