/* The block `dlp` of a route: which detectors look at its bytes and what a match does. */
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

const char *const manifest_on_matches[MANIFEST_NUM_ON_MATCHES] = {
	[MANIFEST_MATCH_UNSTATED] = "",
	[MANIFEST_MATCH_SUPERVISE] = "supervise",
	[MANIFEST_MATCH_REDACT] = "redact",
	[MANIFEST_MATCH_BLOCK] = "block",
};
const char *const manifest_outbound_detectors[MANIFEST_NUM_OUTBOUND] = {
	"token_patterns",
	"known_secrets",
	"entropy",
};
const char *const manifest_inbound_detectors[MANIFEST_NUM_INBOUND] = {
	"naive_injection_detection",
};

/* `false`, or a list of detectors. */
static int take_detectors(const struct manifest_reader *r, const struct manifest_node *value,
			  const char *const *names, size_t count, uint32_t *ret)
{
	*ret = 0;
	if (value->kind == MANIFEST_SCALAR && !value->is_quoted &&
	    strcmp(value->text, "false") == 0)
		return 0;
	if (value->kind != MANIFEST_LIST || value->count == 0)
		return manifest_refuse(r, value->line,
				       "'%s' is a list of detectors, or false for none; left out, "
				       "the usual ones look",
				       value->key);
	for (size_t i = 0; i < value->count; i++) {
		size_t index = 0;
		int result = manifest_take_word(r, value->items[i], names, count, &index);

		if (result < 0)
			return result;
		if ((*ret >> index & 1) != 0)
			return manifest_refuse(r, value->items[i]->line, "'%s' names '%s' twice",
					       value->key, names[index]);
		*ret |= 1u << index;
	}
	return 0;
}

static int take_outbound(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_dlp *d = target;

	d->has_outbound = true;
	return take_detectors(r, value, manifest_outbound_detectors, MANIFEST_NUM_OUTBOUND,
			      &d->outbound);
}

static int take_inbound(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct manifest_dlp *d = target;

	d->has_inbound = true;
	return take_detectors(r, value, manifest_inbound_detectors, MANIFEST_NUM_INBOUND,
			      &d->inbound);
}

static int take_on_match(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_dlp *d = target;
	size_t index = 0;
	int result = manifest_take_word(r, value, manifest_on_matches + 1,
					MANIFEST_NUM_ON_MATCHES - 1, &index);

	d->on_match = (enum manifest_on_match)(index + 1);
	return result;
}

static const struct manifest_key dlp_keys[] = {
	{ "outbound_detectors", MANIFEST_SCALAR_OR_LIST, take_outbound,
	  "token_patterns, known_secrets, entropy; or false",
	  MANIFEST_PATTERN("^(token_patterns|known_secrets|entropy)$") },
	{ "inbound_detectors", MANIFEST_SCALAR_OR_LIST, take_inbound,
	  "naive_injection_detection; or false", MANIFEST_PATTERN("^naive_injection_detection$") },
	{ "outbound_on_match", MANIFEST_SCALAR, take_on_match, "what a match does",
	  MANIFEST_WORDS("supervise", "redact", "block") },
};
const struct manifest_block manifest_dlp_block = { "dlp", dlp_keys, BB_ARRAY_LEN(dlp_keys) };

int manifest_take_dlp(const struct manifest_reader *r, const struct manifest_node *value,
		      struct manifest_dlp *ret)
{
	if (value->count == 0)
		return manifest_refuse(r, value->line, "'dlp' says nothing; leave it out");
	ret->at = manifest_origin_of(value);
	return manifest_take_block(r, &manifest_dlp_block, value, ret);
}
