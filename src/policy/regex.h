/*
 * Regular expressions of rules, compiled when a policy is built into a table that is walked once a
 * byte: a verdict takes no memory, no backtracking and the same time whatever the guest sends
 * (attack L8). The price is a smaller language and a limit on the table; both are met when the
 * operator writes the rule, never when a request comes.
 *
 * The expression must match the whole value. Known are: literal bytes, `.` (any byte), classes
 * `[a-z]` and `[^/]`, `\d \w \s \D \W \S`, `\` before punctuation, groups `(...)` and `(?:...)`,
 * `|`, `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`; `^` in front and `$` at the end say what holds
 * anyway. Everything else, such as back references and look-around, is refused.
 */
#ifndef BB_POLICY_REGEX_H
#define BB_POLICY_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/view.h"

struct policy_regex; /* opaque, heap, immutable */

/* 0, or -EINVAL with a sentence that says at which byte, or -ENOMEM. */
int policy_regex_new(const char *text, struct policy_regex **ret, struct bb_err *err);
void policy_regex_free(struct policy_regex *re);
bool policy_regex_match(const struct policy_regex *re, struct bb_view value);
/* Bytes that it holds. */
size_t policy_regex_size(const struct policy_regex *re);

#endif
