/* See review.h. */
#include "workspace/review.h"

#include <limits.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wctype.h>

#include "base/cleanup.h"
#include "base/relative.h"
#include "base/text.h"
#include "workspace/git.h"
#include "workspace/risky.h"

#define MODE_LINK 0120000u
#define MODE_FILE 0100644u
#define MODE_EXEC 0100755u

void review_done(struct review *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->changes[i].path);
	free(r->changes);
	*r = (struct review){ 0 };
}

static bool read_mode(const char **at, unsigned *ret)
{
	char *end;
	unsigned long mode = strtoul(*at, &end, 8);

	if (end != *at + 6 || *end != ' ')
		return false;
	*ret = (unsigned)mode;
	*at = end + 1;
	return true;
}

static bool read_id(const char **at, char ret[REVIEW_ID_MAX])
{
	size_t n = strspn(*at, "0123456789abcdef");

	if ((n != 40 && n != 64) || (*at)[n] != ' ')
		return false;
	memcpy(ret, *at, n);
	ret[n] = '\0';
	*at += n + 1;
	return true;
}

/* ":100644 100755 ID ID M" */
static bool read_head(const char *text, struct review_change *c)
{
	while (*text == '\n')
		text++; /* between two commits of a log */
	if (*text++ != ':')
		return false;
	return read_mode(&text, &c->old_mode) && read_mode(&text, &c->new_mode) &&
	       read_id(&text, c->old_id) && read_id(&text, c->new_id) && text[0] != '\0' &&
	       strchr("AMDT", text[0]) != NULL && (c->status = text[0]) != '\0' && text[1] == '\0';
}

int review_read(struct bb_view raw, struct review *ret, struct bb_err *err)
{
	const char *head, *path;
	size_t room = 0;

	while (git_next(&raw, &head)) {
		struct review_change c = { .is_taken = true };

		if (head[0] == '\0')
			continue;
		if (!read_head(head, &c) || !git_next(&raw, &path))
			return bb_err_set(err, BB_E_PART,
					  "git's list of changes is not understood");
		if (ret->count == room) {
			struct review_change *grown;

			room = room == 0 ? 64 : room * 2;
			grown = reallocarray(ret->changes, room, sizeof(*grown));
			if (grown == NULL)
				return bb_err_set(err, -ENOMEM, "out of memory");
			ret->changes = grown;
		}
		c.path = strdup(path);
		if (c.path == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
		ret->changes[ret->count++] = c;
	}
	return raw.n == 0 ? 0 : bb_err_set(err, BB_E_PART, "git's list of changes is cut off");
}

/* A component that is git's own directory on some file system: case, NTFS's short name, trailing
 * dots and streams; git's own checks (core.protectHFS) know the invisible characters as well. */
static bool is_git_name(const char *part, size_t n)
{
	size_t k = n;

	if (n >= 4 && strncasecmp(part, "git~", 4) == 0)
		return true;
	while (k > 4 && (part[k - 1] == '.' || part[k - 1] == ' '))
		k--;
	return (k == 4 || (k > 4 && part[4] == ':')) && strncasecmp(part, ".git", 4) == 0;
}

static const char *refusal(const struct review_change *c, size_t dir_length)
{
	const char *path = c->path;

	if (path[0] == '/')
		return "its name is absolute";
	if (!bb_relative_is_plain(path))
		return "its name holds '..', '.' or an empty part";
	if (dir_length + 1 + strlen(path) >= PATH_MAX)
		return "its path is longer than a path may be (4096 bytes)";
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");

		if (n > NAME_MAX)
			return "a part of its name is longer than 255 bytes";
		if (is_git_name(p, n))
			return "it is in a '.git' directory";
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	if (strpbrk(path, "\n\r\033\b\177") != NULL)
		return "its name holds control characters";
	if (c->new_mode != 0 && c->new_mode != MODE_FILE && c->new_mode != MODE_EXEC &&
	    c->new_mode != MODE_LINK)
		return "it is neither a file nor a link (a submodule?)";
	return NULL;
}

int review_check_names(const struct review *r, size_t dir_length, struct bb_err *err)
{
	for (size_t i = 0; i < r->count; i++) {
		const char *why = refusal(&r->changes[i], dir_length);

		if (why != NULL)
			return bb_err_set(err, BB_E_REFUSED, "'%s' is refused: %s",
					  BB_ESCAPED(bb_view_str(r->changes[i].path)), why);
	}
	return 0;
}

void review_judge(struct review *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct review_change *c = &r->changes[i];

		c->risk = risky_find(c->path);
		if (c->risk.n > 0 || c->new_mode == 0)
			continue; /* what only goes away runs nothing, unless its absence means
				     something */
		if (c->new_mode == MODE_LINK)
			c->risk = risky_special(":symlink");
		else if (c->new_mode == MODE_EXEC && c->old_mode != MODE_EXEC)
			c->risk = risky_special(":executable");
	}
}

int review_edits(const struct review *r, struct bb_buf *ret)
{
	int failed = 0;

	for (size_t i = 0; failed == 0 && i < r->count; i++) {
		const struct review_change *c = &r->changes[i];

		if (!c->is_taken)
			continue;
		failed = bb_buf_printf(ret, "%06o %s\t", c->new_mode, c->new_id);
		if (failed == 0)
			failed = bb_buf_append(ret, c->path, strlen(c->path) + 1);
	}
	return failed;
}

/* --- names that are one name where case does not count -----------------------------------------
 */

struct name {
	char *folded;
	const char *path; /* not terminated: n bytes */
	size_t n;
};

struct names {
	struct name *all;
	size_t count, room;
	locale_t locale;
};

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->all[i].folded);
	free(n->all);
	if (n->locale != (locale_t)0)
		freelocale(n->locale);
}

/* UTF-8 with each character in lower case; bytes that are no UTF-8 as they are. Never longer than
 * 2 n: no lower case of Unicode needs more than two more bytes of a two-byte character. */
static char *fold(const struct names *names, const char *path, size_t n)
{
	char *out = malloc(2 * n + 4);
	size_t used = 0, i = 0;

	while (out != NULL && i < n) {
		const uint8_t *p = (const uint8_t *)path + i;
		size_t len = p[0] < 0x80    ? 1
			     : p[0] >= 0xf0 ? 4
			     : p[0] >= 0xe0 ? 3
			     : p[0] >= 0xc0 ? 2
					    : 1;
		uint32_t c = p[0];

		if (len > n - i)
			len = 1;
		if (len > 1)
			c = p[0] & (0xffu >> (len + 1));
		for (size_t k = 1; k < len; k++)
			c = c << 6 | (p[k] & 0x3fu);
		c = len > 1 || c < 0x80 ? (uint32_t)towlower_l((wint_t)c, names->locale) : c;
		i += len;
		if (c < 0x80 || (len == 1 && c < 0x100)) {
			out[used++] = (char)c;
		} else if (c < 0x800) {
			out[used++] = (char)(0xc0 | c >> 6);
			out[used++] = (char)(0x80 | (c & 0x3f));
		} else {
			if (c >= 0x10000)
				out[used++] = (char)(0xf0 | (c >> 18 & 7));
			out[used++] = (char)((c >= 0x10000 ? 0x80 : 0xe0) | (c >> 12 & 0x3f));
			out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
			out[used++] = (char)(0x80 | (c & 0x3f));
		}
	}
	if (out != NULL)
		out[used] = '\0';
	return out;
}

static int by_path(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int order = memcmp(x->path, y->path, n);

	return order != 0 ? order : x->n < y->n ? -1 : x->n > y->n;
}

static int by_folded(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->folded, y->folded);

	return order != 0 ? order : by_path(a, b);
}

static int names_add(struct names *names, const char *path, size_t n, struct bb_err *err)
{
	if (names->count == names->room) {
		size_t room = names->room == 0 ? 256 : names->room * 2;
		struct name *grown = reallocarray(names->all, room, sizeof(*grown));

		if (grown == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
		names->all = grown;
		names->room = room;
	}
	names->all[names->count] =
		(struct name){ .path = path, .n = n, .folded = fold(names, path, n) };
	return names->all[names->count++].folded == NULL ? bb_err_set(err, -ENOMEM, "out of memory")
							 : 0;
}

/* Every path and every directory of one; a directory again only where it differs from the last. */
static int names_read(struct names *names, struct bb_view paths, struct bb_err *err)
{
	const char *path, *last = "";
	int r = 0;

	names->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (names->locale == (locale_t)0)
		return bb_err_set(err, BB_E_MISSING, "the locale C.UTF-8 is missing");
	while (r == 0 && git_next(&paths, &path)) {
		for (const char *p = strchr(path, '/'); r == 0 && p != NULL; p = strchr(p + 1, '/'))
			if (strncmp(last, path, (size_t)(p - path) + 1) != 0)
				r = names_add(names, path, (size_t)(p - path), err);
		if (r == 0)
			r = names_add(names, path, strlen(path), err);
		last = path;
	}
	return r;
}

int review_check_case(struct bb_view after, struct bb_view before, struct bb_err *err)
{
	__attribute__((cleanup(names_done))) struct names now = { 0 }, then = { 0 };
	int r = names_read(&now, after, err);

	if (r == 0)
		r = names_read(&then, before, err);
	if (r < 0)
		return r;
	if (now.count > 0)
		qsort(now.all, now.count, sizeof(*now.all), by_folded);
	if (then.count > 0)
		qsort(then.all, then.count, sizeof(*then.all), by_path);
	for (size_t i = 1; i < now.count; i++) {
		const struct name *a = &now.all[i - 1], *b = &now.all[i];

		if (strcmp(a->folded, b->folded) != 0 || by_path(a, b) == 0)
			continue;
		if (then.count > 0 &&
		    bsearch(a, then.all, then.count, sizeof(*a), by_path) != NULL &&
		    bsearch(b, then.all, then.count, sizeof(*b), by_path) != NULL)
			continue;
		return bb_err_set(
			err, BB_E_REFUSED,
			"'%s' is refused: it differs from '%s' in case only, and is the same file "
			"on many hosts",
			BB_ESCAPED(bb_view_of(b->path, b->n)),
			BB_ESCAPED(bb_view_of(a->path, a->n)));
	}
	return 0;
}
