/*
 * Runs a fuzz target without libFuzzer: every seed of its corpus as it is, cut off at each length
 * and with each byte changed, in a child process so that one crash is one failed test. Mutations
 * are a fixed function of the seed: a failure repeats.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/path.h"

#define SEEDS_MAX     512
#define MUTATIONS_MAX 2000 /* of one seed: a long one is sampled */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly its size, so that a sanitizer sees one byte too many. */
static void run_exact(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_mutations(uint8_t *data, size_t size)
{
	size_t step = 1 + size / MUTATIONS_MAX;

	for (size_t n = 0; n < size; n += step)
		run_exact(data, n);
	for (size_t i = 0; i < size; i += step) {
		static const uint8_t changes[] = { 0x01, 0x80, 0xff };

		data[i] ^= changes[i / step % 3];
		run_exact(data, size);
		data[i] ^= changes[i / step % 3];
	}
}

static bool run_seed(const char *path)
{
	pid_t pid;
	int status;

	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		struct bb_buf b;
		struct bb_err err = { 0 };

		bb_buf_init(&b, 4u << 20);
		if (path != NULL && bb_path_read(path, 0, &b, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.msg);
			_exit(2);
		}
		run_exact(b.p, bb_buf_size(&b));
		run_mutations(b.p, bb_buf_size(&b));
		bb_buf_done(&b);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int is_seed(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **seeds = NULL;
	int count = argc == 2 ? scandir(argv[1], &seeds, is_seed, alphasort) : -1;
	int failed = 0;

	if (count <= 0 || count > SEEDS_MAX) {
		printf("1..1\nnot ok 1 - the corpus '%s' holds between 1 and %d seeds\n",
		       argc == 2 ? argv[1] : "", SEEDS_MAX);
		return 1;
	}
	printf("1..%d\n", count + 1);
	for (int i = 0; i <= count; i++) {
		char path[4096];
		bool is_ok;

		if (i < count)
			(void)snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i]->d_name);
		is_ok = run_seed(i < count ? path : NULL);
		failed += !is_ok;
		printf("%sok %d - %s\n", is_ok ? "" : "not ", i + 1,
		       i < count ? seeds[i]->d_name : "empty");
		if (i < count)
			free(seeds[i]);
	}
	free(seeds);
	return failed > 0;
}
