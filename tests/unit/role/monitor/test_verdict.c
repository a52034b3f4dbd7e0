/* role/monitor/verdict.c: one wrong answer of the probe is enough, and the sentence says which. */
#include "../../unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "role/monitor/monitor_impl.h"

#define GOOD 403

static struct probe_target targets[] = {
	{ .bit = 0, .what = "the first by TCP" },
	{ .bit = 1, .what = "the second by TCP" },
	{ .bit = 0, .is_udp = true, .what = "the first by UDP" },
	{ .bit = 15, .what = "the last by TCP" },
	{ .bit = 15, .is_udp = true, .what = "the last by UDP" },
};

static struct probe sample(void)
{
	return (struct probe){ .targets = targets,
			       .target_count = BB_ARRAY_LEN(targets),
			       .canaries = { -1, -1 } };
}

/* A listener as the canaries are, and its address. */
static int listen_here(struct sockaddr_in *ret)
{
	socklen_t n = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)ret, n), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
	return fd;
}

static void expect(const struct probe *p, const uint32_t n[PROBE_NUMBERS], const char *sentence)
{
	struct bb_err err = { 0 };
	int r = probe_judge(p, n, &err);

	if (sentence == NULL) {
		assert_int_equal(r, 0);
		return;
	}
	assert_error(r, BB_E_GUEST, err);
	assert_non_null(strstr(err.msg, sentence));
}

static void a_guest_that_reaches_the_bundle_alone_passes(void **state)
{
	struct probe p = sample();

	(void)state;
	expect(&p, (const uint32_t[]){ 0, 0, 0, GOOD }, NULL);
	p.target_count = 0;
	expect(&p, (const uint32_t[]){ 0, 0, 0, GOOD }, NULL);
}

static void each_endpoint_that_is_reached_is_named(void **state)
{
	struct probe p = sample();

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(targets); i++) {
		uint32_t n[PROBE_NUMBERS] = { 0, 0, 0, GOOD };

		n[targets[i].is_udp ? 1 : 0] = 1u << targets[i].bit;
		expect(&p, n, targets[i].what);
	}
	/* The first that was reached, and TCP's bits are not UDP's. */
	expect(&p, (const uint32_t[]){ 1u << 1, 1u << 15, 1, GOOD }, "the second by TCP");
	expect(&p, (const uint32_t[]){ 1u << 15, 0, 0, 0 }, "the last by TCP");
}

static void bits_of_nothing_that_was_asked_are_a_fault(void **state)
{
	struct probe p = sample();

	(void)state;
	for (unsigned bit = 2; bit < 32; bit++) {
		if (bit == 15)
			continue;
		expect(&p, (const uint32_t[]){ 1u << bit, 0, 0, GOOD }, "not asked for");
		if (bit != 31)
			expect(&p, (const uint32_t[]){ 0, 1u << bit, 0, GOOD }, "not asked for");
	}
	expect(&p, (const uint32_t[]){ 0, PROTO_PROBE_OWN, 0, GOOD }, "a name server of its own");
}

static void a_visit_at_a_canary_counts_whatever_the_guest_says(void **state)
{
	static const char *const words[NUM_CANARIES] = {
		[CANARY_HOST] = "on all its addresses",
		[CANARY_ADDRESS] = "an address beside the bundle's",
	};

	(void)state;
	for (size_t i = 0; i < NUM_CANARIES; i++) {
		struct probe p = sample();
		struct sockaddr_in at;
		BB_AUTO_CLOSE int canary = listen_here(&at);
		BB_AUTO_CLOSE int visitor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		p.canaries[i] = canary;
		expect(&p, (const uint32_t[]){ 0, 0, 0, GOOD }, NULL);
		assert_int_equal(connect(visitor, (struct sockaddr *)&at, sizeof(at)), 0);
		expect(&p, (const uint32_t[]){ 0, 0, 0, GOOD }, words[i]);
	}
}

static void a_port_of_the_guest_may_not_be_one_of_the_host(void **state)
{
	struct probe p = sample();
	struct sockaddr_in at;
	int listener = listen_here(&at);

	(void)state;
	p.listen_port = ntohs(at.sin_port);
	expect(&p, (const uint32_t[]){ 0, 0, 1, GOOD }, "open on this host");
	/* The guest could not listen: then it is somebody else's. */
	expect(&p, (const uint32_t[]){ 0, 0, 0, GOOD }, NULL);
	assert_int_equal(close(listener), 0);
	expect(&p, (const uint32_t[]){ 0, 0, 1, GOOD }, NULL);
}

static void egress_has_to_refuse_in_its_own_words(void **state)
{
	static const uint32_t others[] = { 0, 1, 200, 302, 402, 404, 407, 502, UINT32_MAX };
	struct probe p = sample();

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(others); i++)
		expect(&p, (const uint32_t[]){ 0, 0, 0, others[i] }, "does not reach the bundle");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_reaches_the_bundle_alone_passes),
		cmocka_unit_test(each_endpoint_that_is_reached_is_named),
		cmocka_unit_test(bits_of_nothing_that_was_asked_are_a_fault),
		cmocka_unit_test(a_visit_at_a_canary_counts_whatever_the_guest_says),
		cmocka_unit_test(a_port_of_the_guest_may_not_be_one_of_the_host),
		cmocka_unit_test(egress_has_to_refuse_in_its_own_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
