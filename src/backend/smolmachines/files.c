/* See files.h. The image stays locked for as long as this process lives. */
#include "backend/smolmachines/files.h"

#include <string.h>

#include "backend/smolmachines/pack.h"
#include "base/cleanup.h"
#include "image/image.h"
#include "sys/netns.h"

int files_find(const struct smolvm *vm, struct keeper_plan *plan, struct bb_err *err)
{
	static struct image *image; /* never freed: its locks are the keeper's */
	int r = image_find(plan->image, &image, err);

	if (r < 0)
		return r;
	if (image->oci == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "image '%s' has no archive for smolvm; run: bot-bottle image "
				  "build %s --for smolmachines",
				  plan->image, plan->image);
	plan->archive = strdup(image->oci);
	if (plan->archive == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (vm->mode == SMOLVM_SOCKET)
		return 0;
	return smolpack_find(vm, image->oci, image->oci_digest, netns_enter, &plan->pack, err);
}
