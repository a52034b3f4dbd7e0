/*
 * Runs every file of a corpus directory through a fuzz target and reports one TAP line each: what a
 * fuzzer once found is a unit test of every build. Without a file the run fails: a target needs
 * seeds.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int count, failed = 0;

	if (argc != 2 || (count = scandir(argv[1], &entries, is_seed, by_name)) <= 0) {
		printf("1..1\nnot ok 1 - the corpus has seeds\n");
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", argv[1], entries[i]->d_name);
		struct bb_err err = { 0 };
		struct bb_buf b;

		bb_buf_init(&b, 16u << 20);
		if (path == NULL || bb_path_read(path, 1, &b, &err) < 0) {
			printf("not ok %d - %s # %s\n", i + 1, entries[i]->d_name, err.msg);
			failed++;
		} else {
			/* An exact-size copy: a read beyond its end is seen by the sanitizers. */
			struct bb_view v = bb_buf_peek(&b);
			uint8_t *copy = malloc(v.n == 0 ? 1 : v.n);

			if (copy != NULL) {
				memcpy(copy, v.n == 0 ? (const uint8_t *)"" : v.p, v.n);
				(void)LLVMFuzzerTestOneInput(copy, v.n);
				free(copy);
			}
			printf("ok %d - %s\n", i + 1, entries[i]->d_name);
		}
		(void)fflush(stdout);
		bb_buf_done(&b);
		free(entries[i]);
	}
	free(entries);
	return failed > 0;
}
