/* Markdown front matter and the check of the file's characters; see node.h. */
#include <string.h>

#include "manifest/node.h"

/* The line that starts at off, without its end; *ret_next is where the following one starts. */
static struct bb_view line_at(struct bb_view text, size_t off, size_t *ret_next)
{
	const uint8_t *start = text.p + off;
	const uint8_t *end = memchr(start, '\n', text.n - off);
	size_t n = end == NULL ? text.n - off : (size_t)(end - start);

	*ret_next = end == NULL ? text.n : off + n + 1;
	if (n > 0 && start[n - 1] == '\r')
		n--;
	while (n > 0 && (start[n - 1] == ' ' || start[n - 1] == '\t'))
		n--;
	return bb_view_of(start, n);
}

int manifest_split(struct bb_view text, const char *file, struct bb_view *ret_yaml,
		   unsigned *ret_line, struct bb_view *ret_body, struct bb_err *err)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
	size_t off, next;

	if (text.n >= sizeof(mark) && memcmp(text.p, mark, sizeof(mark)) == 0)
		text = bb_view_from(text, sizeof(mark));
	*ret_line = 1;
	*ret_yaml = bb_view_of(text.p, 0);
	*ret_body = text;
	if (text.n == 0 || !bb_view_eq_str(line_at(text, 0, &next), "---"))
		return 0;
	*ret_line = 2;
	for (off = next; off < text.n; off = next) {
		if (!bb_view_eq_str(line_at(text, off, &next), "---"))
			continue;
		line_at(text, 0, &next);
		*ret_yaml = bb_view_of(text.p + next, off - next);
		line_at(text, off, &next);
		*ret_body = bb_view_from(text, next);
		return 0;
	}
	return bb_err_set(err, BB_E_USAGE,
			  "manifest '%s':1: the front matter that begins here has no end; close it "
			  "with a line '---'",
			  file);
}

/* Bytes of the UTF-8 character at p (n > 0 left) and its code point; 0 when it is not one. */
static size_t utf8_at(const uint8_t *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = p[0];

	if (len == 0 || len > n || p[0] > 0xf4)
		return 0;
	if (len > 1)
		c &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

static bool is_control(uint32_t c)
{
	return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0);
}

static bool is_deceiving(uint32_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0x061c || (c >= 0xe0000 && c <= 0xe007f);
}

int manifest_check_text(struct bb_view text, const char *file, unsigned first_line,
			struct bb_err *err)
{
	unsigned line = first_line;
	uint32_t c = 0;
	size_t n;

	for (size_t off = 0; off < text.n; off += n) {
		n = utf8_at(text.p + off, text.n - off, &c);
		if (n == 0)
			return bb_err_set(err, BB_E_USAGE, "manifest '%s':%u: not valid UTF-8",
					  file, line);
		if (is_control(c))
			return bb_err_set(err, BB_E_USAGE,
					  "manifest '%s':%u: control character U+%04X", file, line,
					  c);
		if (is_deceiving(c))
			return bb_err_set(
				err, BB_E_USAGE,
				"manifest '%s':%u: character U+%04X makes text look other "
				"than it is",
				file, line, c);
		if (c == '\n')
			line++;
	}
	return 0;
}
