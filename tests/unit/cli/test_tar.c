/* cli/tar: headers that every reader accepts. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/tar.h"

static unsigned octal(const uint8_t *p, size_t n)
{
	BB_AUTO_FREE char *text = strndup((const char *)p, n);

	return (unsigned)strtoul(text, NULL, 8);
}

static void tar_has_directories_files_checksums_and_an_end(void **state)
{
	BB_AUTO_BUF struct bb_buf tar = { 0 };
	const uint8_t *p;
	unsigned sum = 0;

	(void)state;
	bb_buf_init(&tar, 65536);
	assert_int_equal(cli_tar_add(&tar, ".claude/settings.json", bb_view_str("{}\n")), 0);
	assert_int_equal(cli_tar_end(&tar), 0);
	assert_int_equal(bb_buf_size(&tar), 512 + 512 + 512 + 1024);
	p = bb_buf_peek(&tar).p;
	assert_string_equal((const char *)p, ".claude/");
	assert_int_equal(p[156], '5');
	assert_string_equal((const char *)p + 512, ".claude/settings.json");
	assert_int_equal(p[512 + 156], '0');
	assert_int_equal(octal(p + 512 + 124, 12), 3);
	assert_memory_equal(p + 1024, "{}\n\0", 4);
	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : p[i];
	assert_int_equal(octal(p + 148, 8), sum);
}

static void tar_refuses_what_does_not_fit(void **state)
{
	BB_AUTO_BUF struct bb_buf tar = { 0 };
	char path[128];

	(void)state;
	bb_buf_init(&tar, 1024);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(cli_tar_add(&tar, path, bb_view_str("")), -ENAMETOOLONG);
	assert_int_equal(cli_tar_add(&tar, "a", bb_view_of(path, sizeof(path))), 0);
	assert_int_equal(cli_tar_add(&tar, "b", bb_view_of(path, sizeof(path))), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tar_has_directories_files_checksums_and_an_end),
		cmocka_unit_test(tar_refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
