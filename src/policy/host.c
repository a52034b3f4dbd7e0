/*
 * Names: what a manifest may write and what a guest may ask for. One normal form (lower-case LDH
 * labels, no trailing dot); what cannot be brought to it is refused before any rule is looked at,
 * so the name that is matched is byte for byte the name that is resolved (attacks N13 to N17: NUL,
 * CR, percent, userinfo, backslash, look-alikes; all are bytes outside LDH).
 */
#include "policy/policy_impl.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static bool is_ldh(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_label(const char *p, size_t n)
{
	if (n == 0 || n > POLICY_LABEL_MAX || p[0] == '-' || p[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_ldh((uint8_t)p[i]))
			return false;
	return true;
}

bool policy_is_name(const char *host)
{
	if (strlen(host) > POLICY_HOST_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(host, ".");

		if (!is_label(host, n))
			return false;
		if (host[n] == '\0')
			return true;
		host += n + 1;
	}
}

bool policy_is_numeric(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot == NULL ? host : dot + 1;

	if (last[0] == '0' && last[1] == 'x')
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return last[0] != '\0' && last[strspn(last, "0123456789")] == '\0';
}

/* Copies text in lower case without one trailing dot; false when it cannot be a C string. */
static bool fold(struct bb_view text, char *dst, size_t cap)
{
	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	if (text.n == 0 || text.n >= cap || memchr(text.p, '\0', text.n) != NULL)
		return false;
	for (size_t i = 0; i < text.n; i++)
		dst[i] = (char)bb_ascii_lower(text.p[i]);
	dst[text.n] = '\0';
	return true;
}

/* "[v6]" or "v6" without a zone, in its canonical text. */
static bool parse_v6(const char *text, char *dst)
{
	char inner[INET6_ADDRSTRLEN + 2];
	size_t n = strlen(text);
	struct in6_addr address;

	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof(inner) || memchr(text, ':', n) == NULL)
		return false;
	memcpy(inner, text, n);
	inner[n] = '\0';
	if (inet_pton(AF_INET6, inner, &address) != 1)
		return false;
	return inet_ntop(AF_INET6, &address, dst, INET6_ADDRSTRLEN) != NULL;
}

enum policy_reason policy_normalise_host(struct bb_view text, char *dst)
{
	char name[POLICY_HOST_MAX + 1] = "";

	dst[0] = '\0';
	if (!fold(text, name, sizeof(name)))
		return POLICY_HOST_INVALID;
	if (parse_v6(name, dst))
		return POLICY_ADDRESS_LITERAL;
	if (!policy_is_name(name))
		return POLICY_HOST_INVALID;
	memcpy(dst, name, strlen(name) + 1);
	return policy_is_numeric(name) ? POLICY_ADDRESS_LITERAL : POLICY_ALLOWED;
}

/* Why a pattern can never match, as one sentence, or NULL. suffix: what stands behind "*.". */
static const char *pattern_fault(const char *text, const char *suffix, bool is_wildcard)
{
	char address[INET6_ADDRSTRLEN];

	if (strstr(text, "://") != NULL)
		return "a host is a name without a scheme";
	if (strchr(text, '/') != NULL)
		return "a host is a name without a path";
	if (parse_v6(text, address) || policy_is_numeric(suffix))
		return "an address is not a host; addresses are never allowed";
	if (strchr(text, ':') != NULL)
		return "a host is a name without a port; ports have a key of their own";
	if (strchr(text, '@') != NULL)
		return "a host is a name without a user";
	if (strcmp(text, "*") == 0 || strcmp(text, "*.") == 0)
		return "a bare '*' would allow every host";
	if (strchr(suffix, '*') != NULL)
		return "'*' may only stand for the labels at the front, as in '*.example.com'";
	if (suffix[0] == '\0' || suffix[0] == '.' || strstr(suffix, "..") != NULL)
		return "it has an empty label";
	for (const char *p = suffix; *p != '\0'; p++)
		if ((uint8_t)*p >= 0x80)
			return "write an international name in its ASCII form ('xn--...')";
	if (!policy_is_name(suffix))
		return "a name has letters, digits and '-' in labels of 1 to 63 bytes, 253 in all";
	if (is_wildcard && strchr(suffix, '.') == NULL)
		return "it would allow a whole top-level domain";
	return NULL;
}

int policy_parse_host(struct bb_view text, char **ret_host, bool *ret_is_wildcard,
		      struct bb_err *err)
{
	char name[POLICY_HOST_MAX + 3] = ""; /* "*." in front of the longest suffix */
	const char *suffix = name;
	bool is_wildcard;
	const char *fault;
	char *copy;

	if (text.n == 0)
		return bb_err_set(err, -EINVAL, "a host is empty");
	if (!fold(text, name, sizeof(name)))
		return bb_err_set(err, -EINVAL, "host '%s' can never match: %s", BB_ESCAPED(text),
				  text.n > POLICY_HOST_MAX ? "it is longer than 253 bytes"
							   : "it has an empty label or a NUL");
	is_wildcard = strncmp(name, "*.", 2) == 0;
	if (is_wildcard)
		suffix += 2;
	fault = pattern_fault(name, suffix, is_wildcard);
	if (fault != NULL)
		return bb_err_set(err, -EINVAL, "host '%s' can never match: %s", BB_ESCAPED(text),
				  fault);
	copy = strdup(suffix);
	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	*ret_host = copy;
	*ret_is_wildcard = is_wildcard;
	return 0;
}
