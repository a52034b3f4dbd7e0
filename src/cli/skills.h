/* What an agent's manifest gives it beside its prompt: skills, and the name under which it commits.
 */
#ifndef BB_CLI_SKILLS_H
#define BB_CLI_SKILLS_H

#include "cli/config.h"
#include "cli/control.h"

/* Every skill of the agent is a directory of the operator's: ROOT/skills/NAME, else
 * ~/.claude/skills/NAME. BB_E_USAGE with the manifest's line when one is not there. */
int cli_skills_check(const struct manifest_agent *a, struct bb_err *err);
/* Copies them to ~/.claude/skills in the guest; what was there under their names goes first. */
int cli_skills_put(struct cli_control *control, const struct manifest_agent *a, struct bb_err *err);

/* Claims the git identity in the guest, where one is stated: a claim, as every name in a commit is.
 */
int cli_identity_put(struct cli_control *control, const struct cli_config *c, struct bb_err *err);

#endif
