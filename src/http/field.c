/* Single fields; see field.h. */
#include "http/field.h"

#include "base/cleanup.h"

#define CREDENTIAL_MIN 8 /* bytes: "basic plan" is none */

static bool is_token_byte(uint8_t c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_is_token(struct bb_view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!is_token_byte(v.p[i]))
			return false;
	return v.n > 0;
}

bool http_is_field_value(struct bb_view v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return false;
	return true;
}

struct bb_view http_trim(struct bb_view v)
{
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
		v = bb_view_from(v, 1);
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

bool http_next_member(struct bb_view *list, struct bb_view *ret)
{
	while (list->n > 0) {
		const uint8_t *comma = memchr(list->p, ',', list->n);
		size_t n = comma == NULL ? list->n : (size_t)(comma - list->p);

		*ret = http_trim(bb_view_of(list->p, n));
		*list = bb_view_from(*list, comma == NULL ? n : n + 1);
		if (ret->n > 0)
			return true;
	}
	return false;
}

static bool is_one_of(struct bb_view name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bb_view_ieq_str(name, list[i]))
			return true;
	return false;
}

bool http_is_hop_field(const struct http_head *h, struct bb_view name)
{
	static const char *const hop[] = {
		"connection",
		"keep-alive",
		"proxy-connection",
		"proxy-authenticate",
		"proxy-authorization",
		"proxy-authentication-info",
		"te",
		"trailer",
		"transfer-encoding",
		"upgrade",
		"http2-settings",
		"expect",
		/* Written anew. */
		"host",
		"content-length",
		/* Offers another way to the same host: around us, or in a protocol not read here.
		 */
		"alt-svc",
	};

	if (is_one_of(name, hop, BB_ARRAY_LEN(hop)))
		return true;
	for (size_t i = 0; i < h->field_count; i++) {
		struct bb_view list = h->fields[i].value, member;

		if (!bb_view_ieq_str(h->fields[i].name, "connection"))
			continue;
		while (http_next_member(&list, &member))
			if (bb_view_ieq(member, name))
				return true;
	}
	return false;
}

/* Lower case, '_' as '-'; cut to the buffer, which holds every name of the tables. */
static void fold(struct bb_view name, char *dst, size_t cap)
{
	size_t n = name.n < cap - 1 ? name.n : cap - 1;

	for (size_t i = 0; i < n; i++)
		dst[i] = name.p[i] == '_' ? '-' : (char)bb_ascii_lower(name.p[i]);
	dst[n] = '\0';
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

bool http_is_credential_field(struct bb_view name)
{
	/* A name that contains one of these. */
	static const char *const parts[] = {
		"authorization", "api-key",  "apikey",     "api-token",     "access-token",
		"auth-token",    "auth-key", "secret",     "password",      "passwd",
		"credential",    "cookie",   "access-key", "session-token", "security-token",
	};
	static const char *const ends[] = { "-token", "-auth", "-signature", "-jwt" };
	char folded[128];

	fold(name, folded, sizeof(folded));
	for (size_t i = 0; i < BB_ARRAY_LEN(parts); i++)
		if (strstr(folded, parts[i]) != NULL)
			return true;
	for (size_t i = 0; i < BB_ARRAY_LEN(ends); i++)
		if (ends_with(folded, ends[i]) || strcmp(folded, ends[i] + 1) == 0)
			return true;
	return false;
}

/* A scheme of RFC 9110 11.4 with a token68 behind it, under whatever name. */
bool http_is_credential_value(struct bb_view value)
{
	static const char *const schemes[] = { "bearer ", "basic ", "token ", "negotiate " };

	for (size_t i = 0; i < BB_ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);
		struct bb_view rest = http_trim(bb_view_from(value, n));

		if (value.n <= n || !bb_view_ieq_str(bb_view_of(value.p, n), schemes[i]))
			continue;
		n = 0;
		while (n < rest.n && (is_token_byte(rest.p[n]) || rest.p[n] == '/'))
			n++;
		while (n < rest.n && rest.p[n] == '=')
			n++;
		if (rest.n >= CREDENTIAL_MIN && n == rest.n)
			return true;
	}
	return false;
}
