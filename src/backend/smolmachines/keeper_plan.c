/* What the monitor tells the keeper, in typed fields. */
#include <stdlib.h>
#include <string.h>

#include "backend/smolmachines/keeper.h"
#include "base/cleanup.h"
#include "base/tlv.h"
#include "ipc/messages.h"

#define PLAN_TEXT_MAX 4096

int keeper_plan_encode(const struct keeper_plan *p, struct bb_buf *out)
{
	int r = bb_tlv_put_str(out, KEEPER_PLAN_IDENTITY, p->identity);

	if (r == 0)
		r = bb_tlv_put_str(out, KEEPER_PLAN_IMAGE, p->image);
	if (r == 0)
		r = bb_tlv_put_str(out, KEEPER_PLAN_RUN_DIR, p->run_dir);
	if (r == 0)
		r = bb_tlv_put_u32(out, KEEPER_PLAN_CPUS, p->resources.cpus);
	if (r == 0)
		r = bb_tlv_put_u64(out, KEEPER_PLAN_MEMORY, p->resources.memory_bytes);
	if (r == 0)
		r = bb_tlv_put_u64(out, KEEPER_PLAN_DISK, p->resources.disk_bytes);
	return r < 0 ? r : bb_tlv_put_u32(out, KEEPER_PLAN_PIDS, p->resources.pids);
}

static int take(struct bb_view v, char **ret)
{
	*ret = strndup((const char *)v.p, v.n);
	return *ret == NULL ? -ENOMEM : 0;
}

int keeper_plan_decode(struct bb_view in, struct keeper_plan *ret, struct bb_err *err)
{
	struct bb_view identity = { 0 }, image = { 0 }, run_dir = { 0 };
	struct keeper_plan p = { 0 };
	const struct bb_tlv_field fields[] = {
		{ KEEPER_PLAN_IDENTITY, BB_TLV_STR, PLAN_TEXT_MAX, true, &identity, NULL, 0 },
		{ KEEPER_PLAN_IMAGE, BB_TLV_STR, PLAN_TEXT_MAX, true, &image, NULL, 0 },
		{ KEEPER_PLAN_RUN_DIR, BB_TLV_STR, PLAN_TEXT_MAX, true, &run_dir, NULL, 0 },
		{ KEEPER_PLAN_CPUS, BB_TLV_U32, 0, true, &p.resources.cpus, NULL, 0 },
		{ KEEPER_PLAN_MEMORY, BB_TLV_U64, 0, true, &p.resources.memory_bytes, NULL, 0 },
		{ KEEPER_PLAN_DISK, BB_TLV_U64, 0, true, &p.resources.disk_bytes, NULL, 0 },
		{ KEEPER_PLAN_PIDS, BB_TLV_U32, 0, true, &p.resources.pids, NULL, 0 },
	};
	int r = bb_tlv_read(in, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (take(identity, &p.identity) < 0 || take(image, &p.image) < 0 ||
	    take(run_dir, &p.run_dir) < 0) {
		keeper_plan_done(&p);
		return bb_err_set(err, -ENOMEM, "out of memory");
	}
	*ret = p;
	return 0;
}

void keeper_plan_done(struct keeper_plan *p)
{
	free(p->identity);
	free(p->image);
	free(p->archive);
	free(p->pack);
	free(p->run_dir);
	*p = (struct keeper_plan){ 0 };
}
