/*
 * Man pages, shell completions and schemas, printed from the tables that the program itself uses.
 * Run at build time (docs_main.c), not part of what is installed.
 */
#ifndef BB_CLI_DOCS_H
#define BB_CLI_DOCS_H

#include <stdbool.h>

void docs_man(void);
void docs_bash(void);
void docs_zsh(void);
void docs_fish(void);

/* False: there is no such command or format. */
bool docs_command(const char *name);
bool docs_format(const char *name); /* "bottle", "agent": the man page */
bool docs_schema(const char *name); /* the same: JSON Schema */

#endif
