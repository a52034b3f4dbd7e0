/* See color.h. */
#include "cli/color.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/table.h"

const char *const cli_color_names[CLI_NUM_COLORS] = { "red",  "green",   "yellow",
						      "blue", "magenta", "cyan" };

int cli_color_find(const char *name)
{
	return bb_table_index(cli_color_names, CLI_NUM_COLORS, bb_view_str(name));
}

bool cli_color_is_wanted(FILE *to)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (no == NULL || no[0] == '\0') && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0 && isatty(fileno(to)) == 1;
}

const char *cli_color_begin(const char *name, bool is_wanted)
{
	static const char *const begin[CLI_NUM_COLORS] = { "\033[31m", "\033[32m", "\033[33m",
							   "\033[34m", "\033[35m", "\033[36m" };
	int index = name == NULL || !is_wanted ? -1 : cli_color_find(name);

	return index < 0 ? "" : begin[index];
}

const char *cli_color_end(const char *name, bool is_wanted)
{
	return cli_color_begin(name, is_wanted)[0] == '\0' ? "" : "\033[0m";
}
