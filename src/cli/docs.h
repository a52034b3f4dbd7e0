/*
 * Man pages, shell completions and schemas, printed from the tables that the program itself uses.
 * Run at build time (docs_main.c), not part of what is installed.
 */
#ifndef BB_CLI_DOCS_H
#define BB_CLI_DOCS_H

#include "cli/command.h"

void docs_man_main(void);
void docs_man_command(const struct cli_command *c);
void docs_bash(void);
void docs_zsh(void);
void docs_fish(void);

#endif
