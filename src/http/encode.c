/* See encode.h. */
#include "http/encode.h"

#include <errno.h>
#include <stdbool.h>

#include "base/text.h"

#define HEX_LOWER "0123456789abcdef"
#define HEX_UPPER "0123456789ABCDEF"

/* Characters of `bits` bits each; ahead: bytes in front of v that are not known. */
static int put_bits(struct bb_buf *out, struct bb_view v, size_t bits, size_t ahead,
		    const char *digits)
{
	size_t first = (8 * ahead + bits - 1) / bits, end = 8 * (ahead + v.n) / bits;
	int r = 0;

	for (size_t c = first; r == 0 && c < end; c++) {
		size_t at = bits * c - 8 * ahead; /* the first bit, of v's */
		unsigned two = (unsigned)v.p[at / 8] << 8;

		if (at / 8 + 1 < v.n)
			two |= v.p[at / 8 + 1];
		r = bb_buf_append_byte(
			out, (uint8_t)digits[two >> (16 - at % 8 - bits) & ((1u << bits) - 1)]);
	}
	return r;
}

static int put_hex(struct bb_buf *out, struct bb_view v, const char *prefix, const char *digits)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v.n; i++)
		r = bb_buf_printf(out, "%s%c%c", prefix, digits[v.p[i] >> 4], digits[v.p[i] & 15]);
	return r;
}

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static int put_percent(struct bb_buf *out, struct bb_view v, const char *digits)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v.n; i++)
		r = is_unreserved(v.p[i]) ? bb_buf_append_byte(out, v.p[i])
					  : put_hex(out, bb_view_of(v.p + i, 1), "%", digits);
	return r;
}

/* slash: '/' too; unicode: what HTML would read, too. */
static int put_json(struct bb_buf *out, struct bb_view v, bool has_slash, bool has_unicode)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v.n; i++) {
		uint8_t c = v.p[i];
		bool is_markup = c == '<' || c == '>' || c == '&' || c == '\'';

		if (c == '"' || c == '\\' || (c == '/' && has_slash))
			r = bb_buf_printf(out, "\\%c", c);
		else if (c == '\t')
			r = bb_buf_append_str(out, "\\t");
		else if (is_markup && has_unicode)
			r = bb_buf_printf(out, "\\u%04x", c);
		else
			r = bb_buf_append_byte(out, c);
	}
	return r;
}

static int put_html(struct bb_buf *out, struct bb_view v)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v.n; i++) {
		uint8_t c = v.p[i];
		const char *entity = c == '<'    ? "&lt;"
				     : c == '>'  ? "&gt;"
				     : c == '&'  ? "&amp;"
				     : c == '"'  ? "&quot;"
				     : c == '\'' ? "&#39;"
						 : NULL;

		r = entity == NULL ? bb_buf_append_byte(out, c) : bb_buf_append_str(out, entity);
	}
	return r;
}

int http_encode(struct bb_buf *out, struct bb_view v, enum http_encoding how)
{
	static const char url_digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char base32_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	switch (how) {
	case HTTP_ENCODE_RAW:
		return bb_buf_append_view(out, v);
	case HTTP_ENCODE_BASE64_0:
	case HTTP_ENCODE_BASE64_1:
	case HTTP_ENCODE_BASE64_2:
		return put_bits(out, v, 6, how - HTTP_ENCODE_BASE64_0, bb_base64_digits);
	case HTTP_ENCODE_BASE64URL_0:
	case HTTP_ENCODE_BASE64URL_1:
	case HTTP_ENCODE_BASE64URL_2:
		return put_bits(out, v, 6, how - HTTP_ENCODE_BASE64URL_0, url_digits);
	case HTTP_ENCODE_BASE32:
		return put_bits(out, v, 5, 0, base32_digits);
	case HTTP_ENCODE_HEX_LOWER:
		return put_hex(out, v, "", HEX_LOWER);
	case HTTP_ENCODE_HEX_UPPER:
		return put_hex(out, v, "", HEX_UPPER);
	case HTTP_ENCODE_PERCENT_UPPER:
		return put_percent(out, v, HEX_UPPER);
	case HTTP_ENCODE_PERCENT_LOWER:
		return put_percent(out, v, HEX_LOWER);
	case HTTP_ENCODE_PERCENT_ALL_UPPER:
		return put_hex(out, v, "%", HEX_UPPER);
	case HTTP_ENCODE_PERCENT_ALL_LOWER:
		return put_hex(out, v, "%", HEX_LOWER);
	case HTTP_ENCODE_JSON:
		return put_json(out, v, false, false);
	case HTTP_ENCODE_JSON_SLASH:
		return put_json(out, v, true, false);
	case HTTP_ENCODE_JSON_UNICODE:
		return put_json(out, v, false, true);
	case HTTP_ENCODE_HTML:
		return put_html(out, v);
	}
	return -EINVAL;
}
