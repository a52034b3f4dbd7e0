/* Names that are safe as file names, cgroup names, host names and on a command line. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/text.h"

#define SUFFIX_LEN 5

bool store_is_slug(const char *s)
{
	size_t n = s == NULL ? 0 : strnlen(s, STORE_SLUG_MAX + 1);

	if (n == 0 || n > STORE_SLUG_MAX || s[0] < 'a' || s[0] > 'z')
		return false;
	for (size_t i = 1; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	return true;
}

/* 36^5 are 60 million: a clash is unlikely, and store_claim() refuses it. */
char *store_new_identity(const char *stem, struct bb_err *err)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char suffix[SUFFIX_LEN + 1] = { 0 };
	uint8_t raw[SUFFIX_LEN * 4];
	BB_AUTO_FREE char *id = NULL;
	int stem_max = STORE_SLUG_MAX - SUFFIX_LEN - 1;

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw)) {
		bb_err_errno(err, "cannot get random bytes");
		return NULL;
	}
	for (size_t i = 0; i < SUFFIX_LEN; i++) {
		uint32_t v;

		memcpy(&v, raw + i * 4, 4);
		suffix[i] = digits[v % 36];
	}
	id = bb_text_printf("%.*s-%s", stem_max, stem, suffix);
	if (id == NULL) {
		bb_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (!store_is_slug(id)) {
		bb_err_set(err, BB_E_USAGE,
			   "agent name '%s' cannot name a bottle; use a-z, 0-9 and '-', a letter "
			   "first",
			   BB_ESCAPED(bb_view_str(stem)));
		return NULL;
	}
	return bb_take_ptr(&id);
}
