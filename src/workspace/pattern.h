/* Patterns of the two lists of names (credential.c, data/host-run-files.txt). Pure. */
#ifndef BB_WORKSPACE_PATTERN_H
#define BB_WORKSPACE_PATTERN_H

#include <stdbool.h>

/* "name": the last name of the path. "dir/name": as many of its last names. "dir/", "a/b/": it is
 * below (or is) a directory of that name. Case does not count; '*' does not match '/'. */
bool pattern_fits(const char *pattern, const char *path);

#endif
