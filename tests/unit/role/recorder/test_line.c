/* role/recorder/line.c: a record is one line of JSON, whatever a guest put into it (attack H5). */
#include "../../unit.h"

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/recorder/recorder.h"

static void put(struct bb_buf *b, uint16_t tag, const void *p, size_t n)
{
	assert_int_equal(bb_tlv_put(b, tag, p, n), 0);
}

static void fill(struct bb_buf *b, struct bb_view host, struct bb_view path)
{
	bb_buf_init(b, 65536);
	put(b, RECORD_HOST, host.p, host.n);
	put(b, RECORD_PATH, path.p, path.n);
	assert_int_equal(bb_tlv_put_u32(b, RECORD_VERDICT, 0), 0);
	assert_int_equal(bb_tlv_put_str(b, RECORD_REASON, "host_not_allowed"), 0);
	assert_int_equal(bb_tlv_put_u32(b, RECORD_PORT, 443), 0);
	assert_int_equal(bb_tlv_put_str(b, RECORD_ENTRY, "connect"), 0);
}

static void a_record_is_one_line_with_its_fields(void **state)
{
	BB_AUTO_BUF struct bb_buf body = { 0 }, out = { 0 };
	BB_AUTO_FREE char *line = NULL;
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&out, 2 * LIMIT_AUDIT_RECORD);
	fill(&body, bb_view_str("evil.test"), bb_view_str("/a"));
	assert_int_equal(recorder_line(bb_buf_peek(&body), &out, &err), 0);
	line = bb_buf_dup_str(&out);
	assert_non_null(strstr(line, "{\"time\":\"2"));
	assert_non_null(strstr(line, "\"verdict\":\"refused\",\"reason\":\"host_not_allowed\","
				     "\"entry\":\"connect\",\"host\":\"evil.test\",\"port\":443,"
				     "\"path\":\"/a\"}\n"));
}

static void outsider_bytes_cannot_leave_their_string(void **state)
{
	static const char host[] = "x\",\"verdict\":\"allowed\\\r\n{\x1b[2J\0\xc3\xa9\x7f";
	BB_AUTO_BUF struct bb_buf body = { 0 }, out = { 0 };
	struct bb_err err = { 0 };
	struct bb_view v;

	(void)state;
	bb_buf_init(&out, 2 * LIMIT_AUDIT_RECORD);
	fill(&body, bb_view_of(host, sizeof(host) - 1), bb_view_str("/"));
	assert_int_equal(recorder_line(bb_buf_peek(&body), &out, &err), 0);
	v = bb_buf_peek(&out);
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			assert_true(i == v.n - 1 && v.p[i] == '\n');
	assert_non_null(
		memmem(v.p, v.n,
		       "\"host\":\"x\\u0022,\\u0022verdict\\u0022:\\u0022allowed\\u005c"
		       "\\u000d\\u000a{\\u001b[2J\\u0000\\u00c3\\u00a9\\u007f\"",
		       sizeof("\"host\":\"x\\u0022,\\u0022verdict\\u0022:\\u0022allowed\\u005c"
			      "\\u000d\\u000a{\\u001b[2J\\u0000\\u00c3\\u00a9\\u007f\"") -
			       1));
}

static void the_longest_record_fits_its_limit(void **state)
{
	static uint8_t bytes[16384];
	BB_AUTO_BUF struct bb_buf body = { 0 }, out = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	bb_buf_init(&out, 2 * LIMIT_AUDIT_RECORD);
	fill(&body, bb_view_of(bytes, 1024), bb_view_of(bytes, 16384));
	put(&body, RECORD_METHOD, bytes, 256);
	put(&body, RECORD_DETAIL, bytes, 2048);
	assert_int_equal(bb_tlv_put_u64(&body, RECORD_BYTES_IN, UINT64_MAX), 0);
	assert_int_equal(bb_tlv_put_u64(&body, RECORD_BYTES_OUT, UINT64_MAX), 0);
	assert_int_equal(bb_tlv_put_u32(&body, RECORD_MS, UINT32_MAX), 0);
	assert_int_equal(recorder_line(bb_buf_peek(&body), &out, &err), 0);
	assert_true(bb_buf_size(&out) <= LIMIT_AUDIT_RECORD);
	assert_non_null(memmem(out.p, out.len, "\"truncated\":true", 16));
}

static void what_is_no_record_is_refused(void **state)
{
	BB_AUTO_BUF struct bb_buf body = { 0 }, out = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&out, 2 * LIMIT_AUDIT_RECORD);
	fill(&body, bb_view_str("a"), bb_view_str("/"));
	assert_int_equal(bb_tlv_put_u32(&body, 99, 1), 0);
	assert_error(recorder_line(bb_buf_peek(&body), &out, &err), -EPROTO, err);
	bb_buf_reset(&body);
	assert_int_equal(bb_tlv_put_str(&body, RECORD_HOST, "a"), 0);
	assert_int_equal(bb_tlv_put_str(&body, RECORD_REASON, "a"), 0);
	assert_error(recorder_line(bb_buf_peek(&body), &out, &err), -EPROTO, err);
	assert_int_equal(bb_tlv_put_u32(&body, RECORD_VERDICT, 2), 0);
	assert_error(recorder_line(bb_buf_peek(&body), &out, &err), -EPROTO, err);
	assert_int_equal(bb_buf_size(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_one_line_with_its_fields),
		cmocka_unit_test(outsider_bytes_cannot_leave_their_string),
		cmocka_unit_test(the_longest_record_fits_its_limit),
		cmocka_unit_test(what_is_no_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
