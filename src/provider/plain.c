/* No provider: a login shell. What a bottle without agent_provider runs. */
#include "provider/provider_impl.h"

static int plain_prepare(const struct provider_input *in, struct provider_plan *plan,
			 struct bb_err *err)
{
	int r = provider_add_arg(plan, "/bin/bash");

	if (in->auth_token != NULL)
		return bb_err_set(err, BB_E_USAGE, "auth_token needs a provider template");
	if (r == 0)
		r = provider_add_arg(plan, "-l");
	if (r == 0 && in->task != NULL) /* --prompt without a provider: the shell's own input */
		r = provider_add_arg(plan, "-c");
	if (r == 0 && in->task != NULL)
		r = provider_add_arg(plan, in->task);
	return r;
}

const struct provider provider_plain = {
	.name = "shell",
	.image = "base",
	.prepare = plain_prepare,
};
