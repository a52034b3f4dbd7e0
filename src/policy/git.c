/*
 * Git over HTTPS, known by what its clients ask for. A push is refused on every route: it would go
 * around what is checked before code leaves. A fetch needs `git: {fetch: true}`. What cannot be
 * told apart (LFS, whose one request is either) counts as a push.
 */
#include "policy/policy_impl.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

/* The path as the most lenient server reads it: percent-encodings decoded (an encoded slash too),
 * slashes joined, parameters behind a ';' and a slash at the end dropped. Cut from the front when
 * it is longer than dst: the end is what tells. */
static struct bb_view plain_path(struct bb_view path, char *dst, size_t cap)
{
	size_t n = 0;
	bool is_parameter = false;

	if (path.n > 3 * cap)
		path = bb_view_from(path, path.n - 3 * cap);
	for (size_t i = 0; i < path.n; i++) {
		uint8_t c = path.p[i];

		if (c == '%' && i + 2 < path.n && bb_hex_byte(path.p + i + 1) >= 0) {
			c = (uint8_t)bb_hex_byte(path.p + i + 1);
			i += 2;
		}
		is_parameter = c != '/' && (is_parameter || c == ';');
		if (is_parameter || (c == '/' && n > 0 && dst[n - 1] == '/'))
			continue;
		if (n == cap) {
			memmove(dst, dst + cap / 2, cap - cap / 2);
			n -= cap / 2;
		}
		dst[n++] = (char)bb_ascii_lower(c);
	}
	while (n > 0 && dst[n - 1] == '/')
		n--;
	return bb_view_of(dst, n);
}

static bool ends_with(struct bb_view v, const char *end)
{
	size_t n = strlen(end);

	return v.n >= n && memcmp(v.p + v.n - n, end, n) == 0;
}

static bool has_part(struct bb_view v, const char *part)
{
	return v.n > 0 && memmem(v.p, v.n, part, strlen(part)) != NULL;
}

enum policy_git policy_git_of(const struct policy_request *q)
{
	char plain[512];
	struct bb_view path = plain_path(q->path, plain, sizeof(plain));

	if (ends_with(path, "/git-receive-pack") || has_part(path, "/info/lfs/"))
		return POLICY_GIT_PUSH;
	if (ends_with(path, "/git-upload-pack") || has_part(path, "/objects/info/") ||
	    has_part(path, "/objects/pack/"))
		return POLICY_GIT_FETCH;
	if (!ends_with(path, "/info/refs"))
		return POLICY_GIT_NONE;
	/* "service=git-upload-pack" alone, or none at all (the older protocol). */
	if (q->query.n == 0 || bb_view_eq_str(q->query, "service=git-upload-pack"))
		return POLICY_GIT_FETCH;
	return POLICY_GIT_PUSH;
}
