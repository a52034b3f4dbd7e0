/* role/dialler/address.c: the first and last address of every special range, and their neighbours.
 */
#include "../../unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "role/dialler/address.h"

static enum policy_private admitted;

static const char *special(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (strchr(text, ':') == NULL) {
		assert_int_equal(inet_pton(AF_INET, text, &v4.sin_addr), 1);
		return address_special((const struct sockaddr *)&v4, admitted);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return address_special((const struct sockaddr *)&v6, admitted);
}

static void every_special_range_is_refused_from_end_to_end(void **state)
{
	static const char *const rows[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.100.100.200",
		"100.127.255.255",
		"127.0.0.0",
		"127.0.0.1",
		"127.255.255.255",
		"168.63.129.16",
		"169.254.0.0",
		"169.254.169.254",
		"169.254.255.255",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.0",
		"192.0.0.192",
		"192.0.0.255",
		"192.0.2.0",
		"192.0.2.255",
		"192.31.196.1",
		"192.52.193.1",
		"192.88.99.0",
		"192.88.99.255",
		"192.168.0.0",
		"192.168.255.255",
		"192.175.48.1",
		"198.18.0.0",
		"198.19.255.255",
		"198.51.100.0",
		"198.51.100.255",
		"203.0.113.0",
		"203.0.113.255",
		"224.0.0.0",
		"239.255.255.255",
		"240.0.0.0",
		"255.255.255.254",
		"255.255.255.255",
		/* v6, and the v4 addresses inside */
		"::",
		"::1",
		"::2",
		"::127.0.0.1",
		"::8.8.8.8",
		"::ffff:0.0.0.0",
		"::ffff:127.0.0.1",
		"::ffff:8.8.8.8",
		"::ffff:255.255.255.255",
		"64:ff9b::",
		"64:ff9b::8.8.8.8",
		"64:ff9b::127.0.0.1",
		"64:ff9b:1::",
		"64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
		"100::",
		"100::ffff:ffff:ffff:ffff",
		"100:0:0:1::",
		"2001::",
		"2001:0:ffff::1",
		"2001:2::1",
		"2001:10::1",
		"2001:20::1",
		"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db8::",
		"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2002::",
		"2002:7f00:1::",
		"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"2620:4f:8000::1",
		"3fff::",
		"3fff:fff::1",
		"5f00::1",
		"fc00::",
		"fd00:ec2::254",
		"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"fe80::",
		"febf::1",
		"fec0::",
		"feff::1",
		"ff00::",
		"ff02::1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"4000::1",
		"8000::1",
		"e000::1",
		"1000::1",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++)
		if (special(rows[i]) == NULL)
			fail_msg("%s would be dialled", rows[i]);
}

static void their_neighbours_are_ordinary(void **state)
{
	static const char *const rows[] = {
		"1.0.0.0",
		"8.8.8.8",
		"9.255.255.255",
		"11.0.0.0",
		"100.63.255.255",
		"100.128.0.0",
		"126.255.255.255",
		"128.0.0.0",
		"168.63.129.15",
		"168.63.129.17",
		"169.253.255.255",
		"169.255.0.0",
		"172.15.255.255",
		"172.32.0.0",
		"192.0.1.0",
		"192.0.3.0",
		"192.88.98.255",
		"192.88.100.0",
		"192.167.255.255",
		"192.169.0.0",
		"198.17.255.255",
		"198.20.0.0",
		"198.51.99.255",
		"198.51.101.0",
		"203.0.112.255",
		"203.0.114.0",
		"223.255.255.255",
		"2001:200::",
		"2001:4860:4860::8888",
		"2001:db7:ffff::1",
		"2001:db9::",
		"2003::1",
		"2600::1",
		"2620:4f:8001::1",
		"2a0e:b0b::1",
		"3ffe::1",
		"3fff:1000::1",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++)
		if (special(rows[i]) != NULL)
			fail_msg("%s is taken for %s", rows[i], special(rows[i]));
}

static void unknown_families_are_refused(void **state)
{
	const struct sockaddr unix_address = { .sa_family = AF_UNIX };

	(void)state;
	assert_non_null(address_special(&unix_address, POLICY_PRIVATE_NONE));
}

/* What a route with `private` reaches, and what it does not even so. */
static void private_admits_its_own_ranges_only(void **state)
{
	static const struct {
		const char *address;
		enum policy_private by;
	} table[] = {
		{ "10.0.0.0", POLICY_PRIVATE_NETWORKS },
		{ "10.255.255.255", POLICY_PRIVATE_NETWORKS },
		{ "172.16.0.1", POLICY_PRIVATE_NETWORKS },
		{ "172.31.255.255", POLICY_PRIVATE_NETWORKS },
		{ "192.168.0.1", POLICY_PRIVATE_NETWORKS },
		{ "100.64.0.1", POLICY_PRIVATE_NETWORKS },
		{ "100.127.255.255", POLICY_PRIVATE_NETWORKS },
		{ "fc00::1", POLICY_PRIVATE_NETWORKS },
		{ "fdff:ffff::1", POLICY_PRIVATE_NETWORKS },
		{ "127.0.0.1", POLICY_PRIVATE_LOOPBACK },
		{ "::1", POLICY_PRIVATE_LOOPBACK },
		/* Never, whatever a route says. */
		{ "127.0.0.2", POLICY_PRIVATE_NONE },
		{ "127.0.0.16", POLICY_PRIVATE_NONE },
		{ "127.255.255.255", POLICY_PRIVATE_NONE },
		{ "0.0.0.0", POLICY_PRIVATE_NONE },
		{ "::", POLICY_PRIVATE_NONE },
		{ "169.254.169.254", POLICY_PRIVATE_NONE },
		{ "100.100.100.200", POLICY_PRIVATE_NONE },
		{ "168.63.129.16", POLICY_PRIVATE_NONE },
		{ "192.0.0.192", POLICY_PRIVATE_NONE },
		{ "fd00:ec2::254", POLICY_PRIVATE_NONE },
		{ "fd20:ce::254", POLICY_PRIVATE_NONE },
		{ "fe80::1", POLICY_PRIVATE_NONE },
		{ "fec0::1", POLICY_PRIVATE_NONE },
		{ "ff02::1", POLICY_PRIVATE_NONE },
		{ "224.0.0.1", POLICY_PRIVATE_NONE },
		{ "255.255.255.255", POLICY_PRIVATE_NONE },
		{ "::ffff:10.0.0.1", POLICY_PRIVATE_NONE },
		{ "::ffff:127.0.0.1", POLICY_PRIVATE_NONE },
		{ "64:ff9b::a00:1", POLICY_PRIVATE_NONE },
		{ "2002:a00:1::", POLICY_PRIVATE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		for (int k = 0; k < POLICY_NUM_PRIVATES; k++) {
			bool is_refused;

			admitted = (enum policy_private)k;
			is_refused = special(table[i].address) != NULL;
			if (is_refused ==
			    (admitted != POLICY_PRIVATE_NONE && admitted == table[i].by))
				fail_msg("%s with private %d", table[i].address, k);
		}
	admitted = POLICY_PRIVATE_NETWORKS; /* ordinary ones stay ordinary */
	assert_null(special("8.8.8.8"));
	assert_null(special("2606:4700::1"));
	admitted = POLICY_PRIVATE_NONE;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_special_range_is_refused_from_end_to_end),
		cmocka_unit_test(their_neighbours_are_ordinary),
		cmocka_unit_test(unknown_families_are_refused),
		cmocka_unit_test(private_admits_its_own_ranges_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
