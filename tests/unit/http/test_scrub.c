/* http/scrub.c and encode.c: a secret is masked in every encoding, however the body is cut. */
#include "../unit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/encode.h"
#include "http/scrub.h"

BB_DEFINE_AUTO(http_scrub, http_scrub_free)

static const char secret[] = "sk-ant/0123+abc=<x>&\"y\"'z\\w";

static struct http_scrub *scrub_of(const char *s)
{
	struct http_scrub *scrub = NULL;
	struct bb_err err = { 0 };

	if (http_scrub_new(bb_view_str(s), &scrub, &err) < 0)
		fail_msg("%s", err.msg);
	return scrub;
}

static void encodings_are_those_that_servers_write(void **state)
{
	static const struct {
		enum http_encoding how;
		const char *text, *want;
	} table[] = {
		{ HTTP_ENCODE_RAW, "abc", "abc" },
		{ HTTP_ENCODE_BASE64_0, "abc", "YWJj" },
		{ HTTP_ENCODE_BASE64_0, "abcd", "YWJjZ" },   /* "YWJjZA==" */
		{ HTTP_ENCODE_BASE64_1, "abcde", "FiY2Rl" }, /* of "?abcde" */
		{ HTTP_ENCODE_BASE64_2, "abcd", "hYmNk" },   /* of "??abcd" */
		{ HTTP_ENCODE_BASE64_0, "\xfb\xff\xfe", "+//+" },
		{ HTTP_ENCODE_BASE64URL_0, "\xfb\xff\xfe", "-__-" },
		{ HTTP_ENCODE_BASE32, "abcde", "MFRGGZDF" },
		{ HTTP_ENCODE_HEX_LOWER, "a\xff", "61ff" },
		{ HTTP_ENCODE_HEX_UPPER, "a\xff", "61FF" },
		{ HTTP_ENCODE_PERCENT_UPPER, "a/b+~", "a%2Fb%2B~" },
		{ HTTP_ENCODE_PERCENT_LOWER, "a/b", "a%2fb" },
		{ HTTP_ENCODE_PERCENT_ALL_UPPER, "a/", "%61%2F" },
		{ HTTP_ENCODE_PERCENT_ALL_LOWER, "a/", "%61%2f" },
		{ HTTP_ENCODE_JSON, "a\"b\\c/d", "a\\\"b\\\\c/d" },
		{ HTTP_ENCODE_JSON_SLASH, "a/b", "a\\/b" },
		{ HTTP_ENCODE_JSON_UNICODE, "<&>", "\\u003c\\u0026\\u003e" },
		{ HTTP_ENCODE_HTML, "<&>\"'", "&lt;&amp;&gt;&quot;&#39;" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };

		bb_buf_init(&out, 256);
		assert_int_equal(http_encode(&out, bb_view_str(table[i].text), table[i].how), 0);
		if (!bb_view_eq_str(bb_buf_peek(&out), table[i].want))
			fail_msg("row %zu: %.*s", i, BB_VIEW_ARG(bb_buf_peek(&out)));
	}
}

/* What base64 really makes of the secret with something in front and behind. */
static void put_embedded(struct bb_buf *out, size_t ahead, size_t behind)
{
	char plain[128], text[256];
	size_t n = ahead + strlen(secret);

	memset(plain, 'u', ahead);
	memcpy(plain + ahead, secret, strlen(secret));
	memset(plain + n, 'v', behind);
	assert_int_equal(bb_base64(bb_view_of(plain, n + behind), text, sizeof(text)), 0);
	assert_int_equal(bb_buf_append_str(out, text), 0);
}

/* Text with the secret in each of its forms between "[" and "]". */
static void put_all(struct bb_buf *out)
{
	for (unsigned i = 0; i < HTTP_NUM_ENCODINGS; i++) {
		assert_int_equal(bb_buf_append_str(out, "some text ["), 0);
		assert_int_equal(http_encode(out, bb_view_str(secret), (enum http_encoding)i), 0);
		assert_int_equal(bb_buf_append_str(out, "] and more\n"), 0);
	}
	for (size_t ahead = 0; ahead < 6; ahead++)
		for (size_t behind = 0; behind < 3; behind++) {
			assert_int_equal(bb_buf_append_str(out, "embedded ["), 0);
			put_embedded(out, ahead, behind);
			assert_int_equal(bb_buf_append_str(out, "]\n"), 0);
		}
}

static void check_hidden(struct bb_view v)
{
	for (unsigned i = 0; i < HTTP_NUM_ENCODINGS; i++) {
		BB_AUTO_BUF struct bb_buf form = { 0 };

		bb_buf_init(&form, 1024);
		assert_int_equal(http_encode(&form, bb_view_str(secret), (enum http_encoding)i), 0);
		if (memmem(v.p, v.n, form.p, form.len) != NULL)
			fail_msg("encoding %u is still there", i);
	}
}

static void every_form_is_masked_wherever_the_body_is_cut(void **state)
{
	BB_AUTO(http_scrub) struct http_scrub *scrub = scrub_of(secret);
	BB_AUTO_BUF struct bb_buf in = { 0 }, whole = { 0 };
	const size_t sizes[] = { 1, 2, 3, 7, 16, 61, 1000, 65536 };

	(void)state;
	bb_buf_init(&in, 65536);
	bb_buf_init(&whole, 65536);
	put_all(&in);
	assert_int_equal(bb_buf_append_view(&whole, bb_buf_peek(&in)), 0);
	http_scrub_mask(scrub, whole.p, whole.len);
	check_hidden(bb_buf_peek(&whole));
	for (size_t k = 0; k < BB_ARRAY_LEN(sizes); k++) {
		struct http_scrub_stream stream;
		struct bb_view left = bb_buf_peek(&in), out;
		BB_AUTO_BUF struct bb_buf got = { 0 };

		bb_buf_init(&got, 65536);
		http_scrub_stream_init(&stream, scrub, 65536);
		while (left.n > 0) {
			size_t n = left.n < sizes[k] ? left.n : sizes[k];

			assert_int_equal(
				http_scrub_push(&stream, bb_view_of(left.p, n), n == left.n, &out),
				0);
			assert_int_equal(bb_buf_append_view(&got, out), 0);
			left = bb_view_from(left, n);
		}
		http_scrub_stream_done(&stream);
		if (!bb_view_eq(bb_buf_peek(&got), bb_buf_peek(&whole)))
			fail_msg("pieces of %zu bytes give another text", sizes[k]);
	}
}

static void ordinary_text_passes_at_once_and_unchanged(void **state)
{
	static const char text[] = "event: tick\ndata: {\"a\": \"sk-other\"}\n\n";
	BB_AUTO(http_scrub) struct http_scrub *scrub = scrub_of(secret);
	struct http_scrub_stream stream;
	struct bb_view out;

	(void)state;
	http_scrub_stream_init(&stream, scrub, 1024);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http_scrub_push(&stream, bb_view_str(text), false, &out), 0);
		assert_true(bb_view_eq_str(out, text)); /* nothing is held back */
	}
	assert_int_equal(http_scrub_push(&stream, bb_view_str("x sk-a"), false, &out), 0);
	assert_true(bb_view_eq_str(out, "x ")); /* this could be the beginning */
	assert_int_equal(http_scrub_push(&stream, bb_view_str("b"), true, &out), 0);
	assert_true(bb_view_eq_str(out, "sk-ab"));
	http_scrub_stream_done(&stream);
}

static void overlapping_and_repeated_forms_leave_nothing(void **state)
{
	BB_AUTO(http_scrub) struct http_scrub *scrub = scrub_of("abcabcab");
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "abcabcab", "********" },
		{ "xabcabcabcabx", "x***********x" },
		{ "abcabcababcabcab", "****************" },
		{ "abcabca", "abcabca" },
		{ "6162636162636162", "****************" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		for (size_t cut = 0; cut <= strlen(table[i].text); cut++) {
			struct http_scrub_stream stream;
			char got[64] = "";
			struct bb_view out;
			size_t n;

			http_scrub_stream_init(&stream, scrub, 64);
			assert_int_equal(http_scrub_push(&stream, bb_view_of(table[i].text, cut),
							 false, &out),
					 0);
			n = out.n;
			if (n > 0)
				memcpy(got, out.p, n);
			assert_int_equal(http_scrub_push(&stream, bb_view_str(table[i].text + cut),
							 true, &out),
					 0);
			if (out.n > 0)
				memcpy(got + n, out.p, out.n);
			assert_string_equal(got, table[i].want);
			http_scrub_stream_done(&stream);
		}
}

/* Against a search of each form at each place. */
static void random_bodies_agree_with_a_naive_search(void **state)
{
	BB_AUTO(http_scrub) struct http_scrub *scrub = scrub_of("aabaab");
	unsigned seed = 12345;
	uint8_t text[200], marks[200];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = (uint8_t)("aab6125W"[(seed >> 16) % 8]);
		}
		memset(marks, 0, sizeof(marks));
		for (unsigned e = 0; e < HTTP_NUM_ENCODINGS; e++) {
			BB_AUTO_BUF struct bb_buf form = { 0 };

			bb_buf_init(&form, 256);
			assert_int_equal(
				http_encode(&form, bb_view_str("aabaab"), (enum http_encoding)e),
				0);
			for (size_t i = 0; i + form.len <= sizeof(text); i++)
				if (memcmp(text + i, form.p, form.len) == 0)
					memset(marks + i, 1, form.len);
		}
		http_scrub_mask(scrub, text, sizeof(text));
		for (size_t i = 0; i < sizeof(text); i++)
			assert_int_equal(text[i] == '*', marks[i]);
	}
}

static void a_secret_that_is_too_short_is_refused(void **state)
{
	struct http_scrub *scrub = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_error(http_scrub_new(bb_view_str("abc"), &scrub, &err), -EINVAL, err);
	assert_null(scrub);
	http_scrub_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings_are_those_that_servers_write),
		cmocka_unit_test(every_form_is_masked_wherever_the_body_is_cut),
		cmocka_unit_test(ordinary_text_passes_at_once_and_unchanged),
		cmocka_unit_test(overlapping_and_repeated_forms_leave_nothing),
		cmocka_unit_test(random_bodies_agree_with_a_naive_search),
		cmocka_unit_test(a_secret_that_is_too_short_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
