/* Colours of bottles in lists. Only the six that can be read on a dark and on a light ground. */
#ifndef BB_CLI_COLOR_H
#define BB_CLI_COLOR_H

#include <stdbool.h>
#include <stdio.h>

#define CLI_NUM_COLORS 6
extern const char *const cli_color_names[CLI_NUM_COLORS];

/* Index of the name, or -EINVAL. The terminal's colour number is the index plus 1. */
int cli_color_find(const char *name);
/* Does what is written here reach a terminal that shows colours? NO_COLOR (set and not empty) says
 * no. */
bool cli_color_is_wanted(FILE *to);
/* The sequence that begins the colour; "" for NULL, an unknown name, or when is_wanted is false. */
const char *cli_color_begin(const char *name, bool is_wanted);
/* The sequence that ends it; "" where cli_color_begin() gives "". */
const char *cli_color_end(const char *name, bool is_wanted);

#endif
