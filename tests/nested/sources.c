/* Prints the host's apt sources as images are built from them, for the script that builds the outer
 * machine. */
#include <stdio.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "image/sources.h"

int main(void)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = 65536 };
	BB_AUTO_FREE char *codename = NULL;
	struct bb_err err = { 0 };

	if (sources_of_host(&out, &codename, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	(void)printf("# %s\n%.*s", codename, BB_VIEW_ARG(bb_buf_peek(&out)));
	return 0;
}
