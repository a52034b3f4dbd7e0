/* cli-docs PAGE [COMMAND]: writes one page; see docs.h. */
#include <string.h>

#include "base/cleanup.h"
#include "cli/docs.h"

static const struct {
	const char *name;
	void (*put)(void);
} pages[] = {
	{ "man", docs_man_main },
	{ "bash", docs_bash },
	{ "zsh", docs_zsh },
	{ "fish", docs_fish },
};

int main(int argc, char **argv)
{
	const struct cli_command *c = argc == 3 ? cli_command_find(argv[2]) : NULL;

	if (c != NULL && strcmp(argv[1], "man") == 0) {
		docs_man_command(c);
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < BB_ARRAY_LEN(pages); i++)
		if (strcmp(argv[1], pages[i].name) == 0) {
			pages[i].put();
			return 0;
		}
	return 1;
}
