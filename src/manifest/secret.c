/* See secret.h. Prefixes are those that issuers put there to be found; what has none is judged by
 * length and mixture, as a long text of letters and digits is seldom anything else. */
#include "manifest/secret.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define LONG_MIN 24 /* characters: shorter ones are names and versions as often */

static const char *const prefixes[] = {
	"ghp_",    "gho_",   "ghu_",     "ghs_",  "ghr_",       "github_pat_", "glpat-", "gldt-",
	"sk-",     "sk_",    "rk_live_", "xoxb-", "xoxp-",      "xoxa-",       "xoxr-",  "xoxs-",
	"xapp-",   "AKIA",   "ASIA",     "AIza",  "ya29.",      "npm_",        "pypi-",  "hf_",
	"dop_v1_", "shpat_", "SG.",      "eyJ",   "-----BEGIN",
};

bool manifest_is_secret_name(const char *name)
{
	static const char *const words[] = { "TOKEN",  "SECRET",     "PASSWORD", "PASSWD",
					     "APIKEY", "CREDENTIAL", "PRIVATE" };
	static const char *const ends[] = { "_KEY", "_PAT", "_PASS", "_PW" };
	size_t n = strlen(name);

	for (size_t i = 0; i < BB_ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]) != NULL)
			return true;
	for (size_t i = 0; i < BB_ARRAY_LEN(ends); i++)
		if (n > strlen(ends[i]) && strcasecmp(name + n - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

/* scheme://user:password@ */
static bool has_password(const char *s)
{
	const char *start = strstr(s, "://");
	const char *colon;
	size_t n;

	if (start == NULL)
		return false;
	start += 3;
	n = strcspn(start, "/?#");
	colon = memchr(start, ':', n);
	return colon != NULL && memchr(colon, '@', n - (size_t)(colon - start)) != NULL;
}

static bool is_long_mixture(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n = strlen(s);

	return n >= LONG_MIN &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=_-") ==
		       n &&
	       s[0] != '/' && strpbrk(s, digits) != NULL && strspn(s, digits) < n;
}

bool manifest_is_secret_value(const char *value)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < BB_ARRAY_LEN(prefixes); i++) {
		size_t m = strlen(prefixes[i]);

		if (n >= m + 8 && strncmp(value, prefixes[i], m) == 0)
			return true;
	}
	return has_password(value) || is_long_mixture(value);
}
