/* See pattern.h. */
#include "workspace/pattern.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

static bool has_directory(const char *name, size_t n, const char *path)
{
	for (;;) {
		size_t part = strcspn(path, "/");

		if (strncasecmp(path, name, n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
		if (path[part] == '\0')
			return false;
		path += part + 1;
	}
}

bool pattern_fits(const char *pattern, const char *path)
{
	const char *tail = path + strlen(path);
	size_t n = strlen(pattern), slashes = 0;

	if (n > 1 && pattern[n - 1] == '/')
		return has_directory(pattern, n - 1, path);
	for (const char *p = pattern; *p != '\0'; p++)
		slashes += *p == '/';
	for (; tail > path; tail--)
		if (tail[-1] == '/' && slashes-- == 0)
			break;
	return fnmatch(pattern, tail, FNM_CASEFOLD | FNM_PATHNAME) == 0;
}
