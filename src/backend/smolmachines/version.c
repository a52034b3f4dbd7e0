/*
 * The gate is a table of ranges. A range that is not proven to confine is refused with its reason:
 * between the last version whose filter was measured and the first that can do without a network
 * there is nothing that a bottle could trust.
 */
#include "backend/smolmachines/version.h"

#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/text.h"

#define INSTALL_EITHER                                                              \
	"install smolvm " SMOLVM_SOCKET_VERSION " or later (or " SMOLVM_OLD_VERSION \
	", the newest that confines by its allow-list)"

const char *const smolvm_mode_names[SMOLVM_NUM_MODES] = {
	[SMOLVM_TSI] = "TSI",
	[SMOLVM_SOCKET] = "socket",
};

/* Ranges in ascending order, each up to the next one's first version. */
static const struct {
	struct smolvm_version first;
	enum smolvm_mode mode;
	const char *refusal; /* NULL: supported */
} ranges[] = {
	{ { 0, 0, 0 }, 0, "it is older than what bot-bottle knows" },
	{ { 0, 8, 0 }, SMOLVM_TSI, NULL },
	{ { 0, 8, 2 },
	  0,
	  "its network filter is not proven to enforce an allow-list: an address that was not "
	  "allowed was seen to be reachable" },
	{ { 1, 1, 3 },
	  0,
	  "a guest with an allow-list cannot reach the bundle on a loopback address, and a guest "
	  "without a network cannot be made from an image" },
	{ { 1, 7, 5 }, SMOLVM_SOCKET, NULL },
};

static int compare(const struct smolvm_version *a, const struct smolvm_version *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	return a->patch == b->patch ? 0 : a->patch < b->patch ? -1 : 1;
}

static bool is_from(const struct smolvm_version *v, unsigned major, unsigned minor, unsigned patch)
{
	const struct smolvm_version first = { major, minor, patch };

	return compare(v, &first) >= 0;
}

/* The number up to `end` (or to the end of text), which is consumed. */
static int take_number(struct bb_view *text, char end, unsigned *ret)
{
	const uint8_t *stop = end == '\0' ? NULL : memchr(text->p, end, text->n);
	size_t n = end == '\0' ? text->n : stop == NULL ? 0 : (size_t)(stop - text->p);
	uint64_t value = 0;

	if (n == 0 || bb_num_parse_u64(bb_view_of(text->p, n), INT_MAX, &value) < 0)
		return -EINVAL;
	*text = bb_view_from(*text, end == '\0' ? n : n + 1);
	*ret = (unsigned)value;
	return 0;
}

int smolvm_version_parse(const char *text, struct smolvm_version *ret, struct bb_err *err)
{
	static const char program[] = "smolvm ";
	struct bb_view v = bb_view_str(text);
	struct smolvm_version found = { 0 };

	if (v.n > 0 && v.p[v.n - 1] == '\n')
		v.n--;
	if (v.n > sizeof(program) - 1 && memcmp(v.p, program, sizeof(program) - 1) == 0) {
		v = bb_view_from(v, sizeof(program) - 1);
		if (take_number(&v, '.', &found.major) == 0 &&
		    take_number(&v, '.', &found.minor) == 0 &&
		    take_number(&v, '\0', &found.patch) == 0) {
			*ret = found;
			return 0;
		}
	}
	return bb_err_set(
		err, BB_E_REFUSED,
		"'smolvm --version' says '%s' instead of 'smolvm MAJOR.MINOR.PATCH': what "
		"an unknown version confines is unknown; " INSTALL_EITHER,
		BB_ESCAPED(bb_view_str(text)));
}

int smolvm_version_gate(const struct smolvm_version *v, enum smolvm_mode *ret, struct bb_err *err)
{
	size_t i = BB_ARRAY_LEN(ranges) - 1;

	while (i > 0 && compare(v, &ranges[i].first) < 0)
		i--;
	if (ranges[i].refusal != NULL)
		return bb_err_set(err, BB_E_REFUSED,
				  "smolvm %u.%u.%u is refused: %s; " INSTALL_EITHER, v->major,
				  v->minor, v->patch, ranges[i].refusal);
	*ret = ranges[i].mode;
	return 0;
}

struct smolvm_quirks smolvm_version_quirks(const struct smolvm_version *v)
{
	return (struct smolvm_quirks){
		.named_flag = is_from(v, 1, 0, 2),
		.workload = is_from(v, 1, 0, 2),
		.delete_stops = is_from(v, 0, 8, 1),
		.stop_unknown_fails = is_from(v, 0, 8, 1),
		.sigwinch_ok = is_from(v, 0, 8, 1),
		.sig_exit_ok = is_from(v, 0, 8, 1),
		.local_image = is_from(v, 1, 1, 0),
		.drops_uid = is_from(v, 1, 2, 5),
		.mount_socket = is_from(v, 1, 7, 5),
		.labels = is_from(v, 1, 8, 0),
	};
}
