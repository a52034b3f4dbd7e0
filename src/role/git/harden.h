/*
 * What makes a git of the host harmless, in one place: the environment and the configuration that
 * every git of bot-bottle runs with. Command-line configuration wins over a repository's own file,
 * so none of it can be set back from inside a repository.
 */
#ifndef BB_ROLE_GIT_HARDEN_H
#define BB_ROLE_GIT_HARDEN_H

#include <stdbool.h>

/* "git -c ... args...", NULL-terminated, on the heap; NULL: out of memory. */
char **harden_argv(char *const *args);
/* The whole environment: the fixed part, and of environ the variables that name where git works. */
char **harden_env(char *const *environment);
/* May a caller pass this variable ("NAME=value") on? */
bool harden_passes(const char *entry);

#endif
