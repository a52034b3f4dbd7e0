/* Paths of an archive, as text; see tree.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/text.h"
#include "role/archive/tree.h"

#define NOTES_SHOWN 20

static unsigned notes;

void tree_note(const char *path, const char *why)
{
	if (notes++ < NOTES_SHOWN)
		(void)fprintf(stderr, "left out: '%s': %s\n", BB_ESCAPED(bb_view_str(path)), why);
}

void tree_note_end(void)
{
	if (notes > NOTES_SHOWN)
		(void)fprintf(stderr, "left out: %u more\n", notes - NOTES_SHOWN);
	notes = 0;
}

char *tree_path(const char *path, const char **ret_why)
{
	size_t n = strlen(path), used = 0;
	BB_AUTO_FREE char *out = NULL;

	*ret_why = NULL;
	if (path[0] == '/')
		*ret_why = "its path is absolute";
	else if (n == 0 || n >= LIMIT_ARCHIVE_PATH)
		*ret_why = "its path is empty or too long";
	if (*ret_why != NULL)
		return NULL;
	out = malloc(n + 2);
	if (out == NULL) {
		*ret_why = "out of memory";
		return NULL;
	}
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			*ret_why = "its path holds '..'";
		else if (len > NAME_MAX)
			*ret_why = "its name is too long";
		if (*ret_why != NULL)
			return NULL;
		if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (used > 0)
				out[used++] = '/';
			memcpy(out + used, path, len);
			used += len;
		}
		path += len;
		path += *path == '/';
	}
	if (used == 0)
		out[used++] = '.';
	out[used] = '\0';
	return bb_take_ptr(&out);
}

char *tree_place(const char *path, const char *only, const char *as, bool *ret_outside)
{
	size_t n = strlen(only);
	const char *rest = path;

	*ret_outside = false;
	if (strcmp(only, ".") != 0) {
		*ret_outside = strncmp(path, only, n) != 0 || (path[n] != '\0' && path[n] != '/');
		if (*ret_outside)
			return NULL;
		rest = path[n] == '/' ? path + n + 1 : ".";
	}
	if (strcmp(rest, ".") == 0)
		return strdup(as);
	return strcmp(as, ".") == 0 ? strdup(rest) : bb_text_printf("%s/%s", as, rest);
}
