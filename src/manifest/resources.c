/* The block `resources` of a bottle. */
#include "base/num.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

static int take_cpus(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 1, 64, &n);

	b->resources.cpus_at = manifest_origin_of(value);
	if (result == 0)
		b->resources.cpus = (uint32_t)n;
	return result;
}

static int take_memory(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_bottle *b = target;

	b->resources.memory_at = manifest_origin_of(value);
	return manifest_take_size(r, value, 64ull << 20, 1ull << 40, &b->resources.memory_bytes);
}

static int take_disk(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;

	b->resources.disk_at = manifest_origin_of(value);
	return manifest_take_size(r, value, 64ull << 20, 1ull << 44, &b->resources.disk_bytes);
}

static int take_pids(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 16, 1u << 20, &n);

	b->resources.pids_at = manifest_origin_of(value);
	if (result == 0)
		b->resources.pids = (uint32_t)n;
	return result;
}

/* "90s", "30m", "8h", or seconds. */
static int take_time(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	struct bb_view text = bb_view_str(value->text);
	uint64_t unit = 1, n = 0;

	if (text.n > 0) {
		uint8_t last = text.p[text.n - 1];

		unit = last == 'h' ? 3600 : last == 'm' ? 60 : 1;
		if (last == 'h' || last == 'm' || last == 's')
			text.n--;
	}
	if (bb_num_parse_u64(text, 30ull * 86400, &n) < 0 || n == 0 || n * unit > 30ull * 86400)
		return manifest_refuse(
			r, value->line,
			"'time' is '%s'; it must be a time such as 90s, 30m or 8h, at "
			"most 720h",
			BB_ESCAPED(bb_view_str(value->text)));
	b->resources.time_at = manifest_origin_of(value);
	b->resources.max_seconds = (uint32_t)(n * unit);
	return 0;
}

static const struct manifest_key resource_keys[] = {
	{ "cpus", MANIFEST_SCALAR, take_cpus, "processors", MANIFEST_RANGE(1, 64) },
	{ "memory", MANIFEST_SCALAR, take_memory, "such as 2G",
	  MANIFEST_PATTERN(MANIFEST_SIZE_PATTERN) },
	{ "disk", MANIFEST_SCALAR, take_disk, "such as 8G",
	  MANIFEST_PATTERN(MANIFEST_SIZE_PATTERN) },
	{ "pids", MANIFEST_SCALAR, take_pids, "processes at a time", MANIFEST_RANGE(16, 1u << 20) },
	{ "time", MANIFEST_SCALAR, take_time, "the bottle ends after this, such as 8h",
	  MANIFEST_PATTERN("^[0-9]+[smh]?$") },
};
const struct manifest_block manifest_resource_block = { "resources", resource_keys,
							BB_ARRAY_LEN(resource_keys) };

int manifest_take_resources(const struct manifest_reader *r, const struct manifest_node *value,
			    void *bottle)
{
	return manifest_take_block(r, &manifest_resource_block, value, bottle);
}
