/* cli-docs PAGE [NAME]: writes one page; see docs.h. */
#include "cli/docs.h"

#include <string.h>

#include "base/cleanup.h"

static const struct {
	const char *name;
	void (*put)(void);
	bool (*put_named)(const char *name); /* with a name behind it */
} pages[] = {
	{ "man", docs_man, docs_command }, { "format", NULL, docs_format },
	{ "schema", NULL, docs_schema },   { "bash", docs_bash, NULL },
	{ "zsh", docs_zsh, NULL },         { "fish", docs_fish, NULL },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < BB_ARRAY_LEN(pages); i++) {
		if (strcmp(argv[1], pages[i].name) != 0)
			continue;
		if (argc == 3 && pages[i].put_named != NULL)
			return pages[i].put_named(argv[2]) ? 0 : 1;
		if (argc == 2 && pages[i].put != NULL) {
			pages[i].put();
			return 0;
		}
	}
	return 1;
}
