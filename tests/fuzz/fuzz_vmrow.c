/*
 * What smolvm writes about machines: rows, effective configurations, lists, its version. Oracle: a
 * row that is patched says exactly one address afterwards and is not patched again; what is refused
 * says why; a list that is read has names that end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend/smolmachines/smolvm.h"
#include "backend/smolmachines/vmrow.h"

#define NAME "m"
#define CIDR "127.0.0.16/32"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_patch(struct bb_view v)
{
	BB_AUTO_BUF struct bb_buf fresh, again;
	struct bb_err err = { 0 };
	bool changed = false, changed_again = true;
	int r;

	bb_buf_init(&fresh, VMROW_MAX);
	bb_buf_init(&again, VMROW_MAX);
	r = vmrow_patch(v, NAME, CIDR, &fresh, &changed, &err);
	if (r < 0) {
		assert(err.code == r && err.msg[0] != '\0' && !changed);
		return;
	}
	if (!changed)
		return;
	assert(vmrow_patch(bb_buf_peek(&fresh), NAME, CIDR, &again, &changed_again, &err) == 0);
	assert(!changed_again && bb_buf_size(&again) == 0);
	/* A row that was not patched is never taken for one that was. */
	assert(vmrow_check(v, NAME, CIDR, NULL, NULL) < 0);
}

static void try_list(struct bb_view v)
{
	struct smolvm_status *all = NULL, one;
	size_t n = 0;

	if (smolvm_parse_ls(v, &all, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			assert(memchr(all[i].name, '\0', sizeof(all[i].name)) != NULL &&
			       all[i].state < SMOLVM_NUM_STATES && all[i].pid >= 0);
	free(all);
	if (smolvm_parse_status(v, &one, NULL) == 0)
		assert(memchr(one.name, '\0', sizeof(one.name)) != NULL);
}

static void try_version(const uint8_t *data, size_t size)
{
	struct smolvm_version version;
	enum smolvm_mode mode;
	char *text = strndup((const char *)data, size);

	if (text != NULL && smolvm_version_parse(text, &version, NULL) == 0 &&
	    smolvm_version_gate(&version, &mode, NULL) == 0)
		assert(mode == SMOLVM_TSI || mode == SMOLVM_SOCKET);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bb_view v = bb_view_of(data, size);

	try_patch(v);
	try_list(v);
	try_version(data, size);
	(void)vmrow_check_effective(v, CIDR, NULL);
	(void)vmrow_check(v, NAME, NULL, "/g", NULL);
	return 0;
}
