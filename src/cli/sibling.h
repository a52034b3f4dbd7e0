/* Our other programs, beside this one in the build tree or in ../libexec/bot-bottle once installed.
 */
#ifndef BB_CLI_SIBLING_H
#define BB_CLI_SIBLING_H

#include "base/err.h"

/* Absolute path on the heap; NULL with err set when it is not there. */
char *cli_sibling(const char *program, struct bb_err *err);

#endif
