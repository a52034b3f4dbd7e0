/* Relative paths as text: what leads out of the tree they are meant for. Pure. */
#ifndef BB_BASE_RELATIVE_H
#define BB_BASE_RELATIVE_H

#include <stdbool.h>

/* "a/b" without "..", ".", empty components and a '/' at either end. */
bool bb_relative_is_plain(const char *path);
/* Does a symbolic link at path (plain) with this text stay inside the tree? ".." is allowed at the
 * front only, where it is counted from real directories: behind a name it would be counted from
 * wherever that name leads. */
bool bb_relative_link_stays(const char *path, const char *text);

#endif
