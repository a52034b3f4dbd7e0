/* sys/resolvers.h: which lines of resolv.conf name a server. */
#include "../unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/resolvers.h"

static void lines_that_name_a_server_of_ipv4_count(void **state)
{
	static const struct {
		const char *text;
		const char *found; /* "", or addresses with a blank between */
	} cases[] = {
		{ "", "" },
		{ "nameserver 10.0.0.1", "10.0.0.1" },
		{ "nameserver 10.0.0.1\n", "10.0.0.1" },
		{ "# nameserver 9.9.9.9\nsearch x\nnameserver\t \t10.0.0.1 # near\r\noptions a\n",
		  "10.0.0.1" },
		{ "nameserver 10.0.0.1\r\n", "10.0.0.1" },
		{ " nameserver 10.0.0.1\nnameservers 10.0.0.2\nnameserver10.0.0.3\n", "" },
		{ "nameserver\nnameserver \nnameserver 10.0.0\nnameserver 10.0.0.256\n", "" },
		{ "nameserver 111111111111111111111111.0.0.1\n", "" },
		{ "nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\n",
		  "127.0.0.53" },
		{ "nameserver 1.1.1.1\n\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n"
		  "nameserver 1.1.1.4\n",
		  "1.1.1.1 1.1.1.2 1.1.1.3" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct in_addr found[RESOLVERS_MAX];
		size_t n = resolvers_parse(bb_view_str(cases[i].text), found);
		char text[RESOLVERS_MAX * (INET_ADDRSTRLEN + 1)] = "";

		assert_true(n <= RESOLVERS_MAX);
		for (size_t k = 0; k < n; k++) {
			char one[INET_ADDRSTRLEN];

			assert_non_null(inet_ntop(AF_INET, &found[k], one, sizeof(one)));
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				       k == 0 ? "" : " ", one);
		}
		assert_string_equal(text, cases[i].found);
	}
}

static void a_zero_byte_ends_nothing(void **state)
{
	static const char text[] = "x\0y\nnameserver 10.0.0.1\0\nnameserver 10.0.0.2\n";
	struct in_addr found[RESOLVERS_MAX];

	(void)state;
	assert_int_equal(resolvers_parse(bb_view_of(text, sizeof(text) - 1), found), 2);
	assert_true(found[1].s_addr == inet_addr("10.0.0.2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_name_a_server_of_ipv4_count),
		cmocka_unit_test(a_zero_byte_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
