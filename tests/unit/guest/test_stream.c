/* The line that tells bottle-init where its bundle is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "unit/unit.h"

#include "base/cleanup.h"
#include "guest/stream.h"

#define SECRET "00112233445566778899aabbccddeeff0102030405060708090a0b0c0d0e0f10"

static void stream_line_gives_address_port_and_credential(void **state)
{
	struct stream_target t = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(stream_parse_line(bb_view_str("127.0.0.16 65535 " SECRET), &t, &err), 0);
	assert_memory_equal(t.address, "\x7f\x00\x00\x10", 4);
	assert_int_equal(t.port, 65535);
	assert_int_equal(t.credential[0], 0);
	assert_int_equal(t.credential[15], 0xff);
	assert_int_equal(t.credential[31], 0x10);
}

static void stream_line_rejects_all_else_and_shows_no_secret(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"127.0.0.16",
		"127.0.0.16 80",
		"127.0.0.16 80 ",
		"127.0.0.16  80 " SECRET,
		" 127.0.0.16 80 " SECRET,
		"127.0.0.16 80 " SECRET " ",
		"127.0.0.16 80 " SECRET " more",
		"127.0.0.16 80 " SECRET "0",
		"127.0.0.16 80 0" SECRET,
		"127.0.0.16 80 A0112233445566778899aabbccddeeff0102030405060708090a0b0c0d0e0f10",
		"127.0.0.16 80 g0112233445566778899aabbccddeeff0102030405060708090a0b0c0d0e0f10",
		"127.0.0.16 0 " SECRET,
		"127.0.0.16 65536 " SECRET,
		"127.0.0.16 -1 " SECRET,
		"127.0.0.16 080 " SECRET,
		"127.0.0.16.1 80 " SECRET,
		"127.0.0.256 80 " SECRET,
		"localhost 80 " SECRET,
		"::1 80 " SECRET,
		"a-name-that-is-longer-than-any-address 80 " SECRET,
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(lines); i++) {
		struct stream_target t = { .port = 7 };
		struct bb_err err = { 0 };

		if (stream_parse_line(bb_view_str(lines[i]), &t, &err) >= 0)
			fail_msg("accepted: '%s'", lines[i]);
		assert_int_equal(t.port, 7); /* untouched */
		assert_true(err.code < 0 && err.msg[0] != '\0');
		assert_null(strstr(err.msg, "0011"));
	}
}

static void stream_socket_path_has_a_limit(void **state)
{
	char path[200];
	struct bb_err err = { 0 };
	int fd = -1;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(stream_open_socket(path, &fd, &err), -ENAMETOOLONG);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_line_gives_address_port_and_credential),
		cmocka_unit_test(stream_line_rejects_all_else_and_shows_no_secret),
		cmocka_unit_test(stream_socket_path_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
