/* See files.h. The image stays locked for as long as this process lives. */
#include "backend/smolmachines/files.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "image/image.h"
#include "store/store.h"

int files_find(const struct smolvm *vm, struct keeper_plan *plan, struct bb_err *err)
{
	static struct image *image; /* never freed: its locks are the keeper's */
	BB_AUTO_FREE char *dir = store_image_dir(err);
	int r = image_find(plan->image, &image, err);

	if (r < 0 || dir == NULL)
		return r < 0 ? r : -ENOMEM;
	plan->archive = bb_text_printf("%s/%s/oci.tar", dir, image->id);
	if (plan->archive == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (access(plan->archive, R_OK) < 0)
		return bb_err_set(err, BB_E_MISSING,
				  "image '%s' has no OCI archive; run: bot-bottle image build %s",
				  plan->image, plan->image);
	if (vm->mode == SMOLVM_TSI)
		return bb_err_set(err, BB_E_MISSING, "image '%s' has no pack for smolvm %u.%u.%u",
				  plan->image, vm->version.major, vm->version.minor,
				  vm->version.patch);
	return 0;
}
