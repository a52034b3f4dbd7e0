/* What the DNS stub reads and writes. */
#include "../unit.h"

#include "guest/dns.h"

#define HEAD(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define PLAIN                       HEAD("\x01\x00", "\1", "\0", "\0", "\0")
#define NAME_AB                     "\1a\1b\0"
#define ASK_A                       "\0\1\0\1"
#define BYTES(s)                                    \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

static void dns_parse_accepts_only_what_it_understands(void **state)
{
	static const struct {
		const char *name;
		struct bb_view packet;
		int rcode;
		const char *asked;
	} cases[] = {
		{ "plain", BYTES(PLAIN NAME_AB ASK_A), DNS_NOERROR, "a.b" },
		{ "upper case", BYTES(PLAIN "\1A\3X-y\0" ASK_A), DNS_NOERROR, "a.x-y" },
		{ "root", BYTES(PLAIN "\0" ASK_A), DNS_NOERROR, "" },
		{ "underscore", BYTES(PLAIN "\5_dmarc\1b\0" ASK_A), DNS_FORMERR, NULL },
		{ "underscore label", BYTES(PLAIN "\2_d\1b\0" ASK_A), DNS_NOERROR, "_d.b" },
		{ "empty", { (const uint8_t *)"", 0 }, -1, NULL },
		{ "short head", BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), -1, NULL },
		{ "an answer", BYTES(HEAD("\x81\x00", "\1", "\0", "\0", "\0") NAME_AB ASK_A), -1,
		  NULL },
		{ "an update", BYTES(HEAD("\x28\x00", "\1", "\0", "\0", "\0") NAME_AB ASK_A),
		  DNS_NOTIMP, NULL },
		{ "cut short by its sender",
		  BYTES(HEAD("\x03\x00", "\1", "\0", "\0", "\0") NAME_AB ASK_A), DNS_FORMERR,
		  NULL },
		{ "no question", BYTES(HEAD("\x01\x00", "\0", "\0", "\0", "\0")), DNS_FORMERR,
		  NULL },
		{ "two questions",
		  BYTES(HEAD("\x01\x00", "\2", "\0", "\0", "\0") NAME_AB ASK_A NAME_AB ASK_A),
		  DNS_FORMERR, NULL },
		{ "an answer record", BYTES(HEAD("\x01\x00", "\1", "\1", "\0", "\0") NAME_AB ASK_A),
		  DNS_FORMERR, NULL },
		{ "trailing byte", BYTES(PLAIN NAME_AB ASK_A "\0"), DNS_FORMERR, NULL },
		{ "name without end", BYTES(PLAIN "\1a\1b"), DNS_FORMERR, NULL },
		{ "label beyond the end", BYTES(PLAIN "\077a\0" ASK_A), DNS_FORMERR, NULL },
		{ "compression", BYTES(PLAIN "\xc0\x0c" ASK_A), DNS_FORMERR, NULL },
		{ "no class", BYTES(PLAIN NAME_AB "\0\1\0"), DNS_FORMERR, NULL },
		{ "chaos", BYTES(PLAIN NAME_AB "\0\1\0\3"), DNS_REFUSED, NULL },
		{ "space in a name", BYTES(PLAIN "\3a b\0" ASK_A), DNS_NXDOMAIN, NULL },
		{ "NUL in a name", BYTES(PLAIN "\3a\0b\0" ASK_A), DNS_NXDOMAIN, NULL },
		{ "dot in a label", BYTES(PLAIN "\3a.b\0" ASK_A), DNS_NXDOMAIN, NULL },
		{ "an address",
		  BYTES(PLAIN "\1"
			      "1\1"
			      "2\1"
			      "3\1"
			      "4\0" ASK_A),
		  DNS_NXDOMAIN, NULL },
		{ "edns",
		  BYTES(HEAD("\x01\x00", "\1", "\0", "\0", "\1") NAME_AB ASK_A
			"\0\0\x29\x04\xd0\0\0\0\0\0\2xy"),
		  DNS_NOERROR, "a.b" },
		{ "edns, cut",
		  BYTES(HEAD("\x01\x00", "\1", "\0", "\0", "\1") NAME_AB ASK_A
			"\0\0\x29\x04\xd0\0\0\0\0\0\3xy"),
		  DNS_FORMERR, NULL },
		{ "another additional record",
		  BYTES(HEAD("\x01\x00", "\1", "\0", "\0", "\1") NAME_AB ASK_A
			"\0\0\1\0\1\0\0\0\0\0\4abcd"),
		  DNS_FORMERR, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_query q;
		int r = dns_parse(cases[i].packet, &q);

		if (r != cases[i].rcode)
			fail_msg("%s: %d, not %d", cases[i].name, r, cases[i].rcode);
		if (cases[i].asked != NULL)
			assert_string_equal(q.name, cases[i].asked);
	}
}

/* 253 characters are a name, 254 are not: the longest four-label name on the wire has 255 bytes. */
static void dns_parse_takes_the_longest_name_and_no_longer(void **state)
{
	(void)state;
	for (size_t last = 61; last <= 62; last++) {
		uint8_t p[300] = { 0x12, 0x34, 1, 0, 0, 1 };
		struct dns_query q;
		size_t n = 12;

		for (int label = 0; label < 4; label++) {
			size_t size = label < 3 ? 63 : last;

			p[n++] = (uint8_t)size;
			memset(p + n, 'x', size);
			n += size;
		}
		memcpy(p + n, (const uint8_t[]){ 0, 0, 1, 0, 1 }, 5);
		assert_int_equal(dns_parse(bb_view_of(p, n + 5), &q),
				 last == 61 ? DNS_NOERROR : DNS_FORMERR);
		if (last == 61)
			assert_int_equal(strlen(q.name), DNS_NAME_MAX);
	}
}

static void dns_answer_repeats_the_question_and_adds_one_record(void **state)
{
	static const char packet[] = HEAD("\x01\x10", "\1", "\0", "\0", "\0") "\1A\1b\0" ASK_A;
	static const char expected[] =
		HEAD("\x81\x80", "\1", "\1", "\0",
		     "\0") "\1A\1b\0" ASK_A "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x12\0\7";
	static const uint8_t address[] = { 198, 18, 0, 7 };
	uint8_t out[DNS_ANSWER_MAX];
	struct bb_view in = bb_view_of(packet, sizeof(packet) - 1);
	struct dns_query q;
	size_t n;

	(void)state;
	assert_int_equal(dns_parse(in, &q), 0);
	n = dns_answer(in, &q, 0, address, 4, out);
	assert_int_equal(n, sizeof(expected) - 1);
	assert_memory_equal(out, expected, n);
}

static void dns_answer_to_a_broken_query_has_no_question(void **state)
{
	static const char packet[] = HEAD("\x01\x00", "\1", "\0", "\0", "\0") "\xc0\x0c";
	uint8_t out[DNS_ANSWER_MAX];
	struct bb_view in = bb_view_of(packet, sizeof(packet) - 1);
	struct dns_query q;

	(void)state;
	assert_int_equal(dns_parse(in, &q), DNS_FORMERR);
	assert_int_equal(dns_answer(in, &q, DNS_FORMERR, NULL, 0, out), 12);
	assert_memory_equal(out, HEAD("\x81\x81", "\0", "\0", "\0", "\0"), 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dns_parse_accepts_only_what_it_understands),
		cmocka_unit_test(dns_parse_takes_the_longest_name_and_no_longer),
		cmocka_unit_test(dns_answer_repeats_the_question_and_adds_one_record),
		cmocka_unit_test(dns_answer_to_a_broken_query_has_no_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
