/* base/secret.h: locked, out of core dumps, gone afterwards. */
#include "../unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret.h"

#if defined(__has_feature)
#define BB_HAS_ASAN __has_feature(address_sanitizer)
#else
#define BB_HAS_ASAN 0
#endif

/* The VmFlags line of the mapping that holds p, from /proc/self/smaps. */
static int flags_of(const void *p, char *dst, size_t cap)
{
	BB_AUTO_FCLOSE FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	int is_inside = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_inside = from <= (unsigned long)p && (unsigned long)p < to;
		if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
			return snprintf(dst, cap, "%s", line);
	}
	return -1;
}

static void secret_is_locked_and_left_out_of_dumps(void **state)
{
	struct bb_secret *s = bb_secret_new("token", 5);
	char flags[512];

	(void)state;
	assert_non_null(s);
	assert_true(bb_view_eq_str(bb_secret_peek(s), "token"));
	assert_true(flags_of(bb_secret_peek(s).p, flags, sizeof(flags)) > 0);
#if !BB_HAS_ASAN /* AddressSanitizer makes mlock() do nothing */
	assert_non_null(strstr(flags, " lo"));
#endif
	assert_non_null(strstr(flags, " dd"));
	bb_secret_free(s);
	bb_secret_free(NULL);
}

static void secret_is_not_in_a_forked_child(void **state)
{
	struct bb_secret *s = bb_secret_new("token", 5);
	const uint8_t *bytes = bb_secret_peek(s).p;
	int status;
	pid_t pid;

	(void)state;
	assert_memory_equal(bytes, "token", 5);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(memcmp(bytes, "\0\0\0\0\0", 5) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_memory_equal(bytes, "token", 5);
	bb_secret_free(s);
}

static void secret_refuses_empty_and_huge(void **state)
{
	static char huge[1024 * 1024 + 1];

	(void)state;
	assert_null(bb_secret_new("", 0));
	assert_null(bb_secret_new(huge, sizeof(huge)));
}

static void secret_compares_whole_values(void **state)
{
	(void)state;
	assert_true(bb_secret_eq(bb_view_str("abc"), bb_view_str("abc")));
	assert_false(bb_secret_eq(bb_view_str("abc"), bb_view_str("abd")));
	assert_false(bb_secret_eq(bb_view_str("abc"), bb_view_str("ab")));
	assert_true(bb_secret_eq(bb_view_str(""), bb_view_str("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secret_is_locked_and_left_out_of_dumps),
		cmocka_unit_test(secret_is_not_in_a_forked_child),
		cmocka_unit_test(secret_refuses_empty_and_huge),
		cmocka_unit_test(secret_compares_whole_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
