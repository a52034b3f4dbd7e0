/* image/integrity.c and image/sha512.c: only the pinned bytes pass. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/integrity.h"

/* FIPS 180-4's examples and the empty message. */
static const struct {
	const char *text;
	size_t repeat;
	const char *integrity;
} vectors[] = {
	{ "", 1,
	  "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
	  "SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==" },
	{ "abc", 1,
	  "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/"
	  "uu9RU1EI2Q86A4qmslPpUyknw==" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
	  "lmnopqrsmnopq"
	  "rstnopqrstu",
	  1,
	  "sha512-jpWbddrjE9qM9PcoFPwUP493ecbrn3+"
	  "hcpmurbaIkBhQHSieSQD35DMbmd7EtUM6x9Mp7rbdJlReluVbh0vpCQ==" },
	{ "a", 1000000,
	  "sha512-5xhIPQznaWROLkLHvBW0Y44fmLE7IEQoVjKoA6+pc+veD/"
	  "JEh36mCkywQyzld8Mb6wCcXCxJqi5OrbIXrYzAmw==" },
};

/* A file with the text so many times; its path on the heap. */
static char *file_of(const char *text, size_t repeat)
{
	char *path = strdup("/tmp/bb-integrity-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (size_t i = 0; i < repeat; i++)
		assert_int_equal(bb_fd_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
	return path;
}

static void the_standards_vectors_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char *path = file_of(vectors[i].text, vectors[i].repeat);
		struct bb_err err = { 0 };

		if (integrity_check_file(path, vectors[i].integrity, &err) < 0)
			fail_msg("vector %zu: %s", i, err.msg);
		(void)unlink(path);
		free(path);
	}
}

static void one_changed_byte_fails(void **state)
{
	char *path = file_of("abd", 1);
	struct bb_err err = { 0 };

	(void)state;
	assert_error(integrity_check_file(path, vectors[1].integrity, &err), -EBADMSG, err);
	assert_non_null(strstr(err.msg, vectors[1].integrity));
	(void)unlink(path);
	free(path);
}

static void updates_of_any_size_give_one_digest(void **state)
{
	uint8_t text[1000], whole[SHA512_BYTES], parts[SHA512_BYTES];
	struct sha512 s;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= sizeof(text); n += 37) {
		sha512_init(&s);
		sha512_update(&s, text, n);
		sha512_final(&s, whole);
		for (size_t step = 1; step < 300; step += 61) {
			sha512_init(&s);
			for (size_t at = 0; at < n; at += step)
				sha512_update(&s, text + at, n - at < step ? n - at : step);
			sha512_final(&s, parts);
			assert_memory_equal(whole, parts, SHA512_BYTES);
		}
	}
}

static void only_canonical_sha512_is_parsed(void **state)
{
	static const char good[] = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
				   "SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
	static const char *const bad[] = {
		"",
		"sha512-",
		"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
		"sha384-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
		"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
		"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
		"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg",
		"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
		"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPh==",
		"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
		"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+Sfa*g==",
		"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"
		"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg== ",
	};
	uint8_t digest[SHA512_BYTES];

	(void)state;
	assert_int_equal(integrity_parse(good, digest), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (integrity_parse(bad[i], digest) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standards_vectors_pass),
		cmocka_unit_test(one_changed_byte_fails),
		cmocka_unit_test(updates_of_any_size_give_one_digest),
		cmocka_unit_test(only_canonical_sha512_is_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
