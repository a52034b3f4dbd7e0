/* The archive codec: round trips, and what it refuses to read. */
#include "../unit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "guest/tar.h"

static int put(void *arg, const void *p, size_t n)
{
	return bb_buf_append(arg, p, n);
}

static int take(void *arg, void *p, size_t n)
{
	struct bb_buf *b = arg;

	if (bb_buf_size(b) < n)
		return -ENODATA;
	memcpy(p, bb_buf_peek(b).p, n);
	bb_buf_consume(b, n);
	return 0;
}

static void fill(char *dst, size_t n)
{
	memset(dst, 'n', n);
	for (size_t i = 50; i < n; i += 50)
		dst[i] = '/';
	dst[n] = '\0';
}

static void tar_returns_what_was_written(void **state)
{
	static struct tar_entry entries[] = {
		{ .type = TAR_FILE, .path = "f", .mode = 0644, .size = 3, .mtime = 1 },
		{ .type = TAR_FILE, .path = "empty", .mode = 0 },
		{ .type = TAR_DIRECTORY, .path = "d", .mode = 0755, .mtime = 077777777777LL },
		{ .type = TAR_SYMLINK, .path = "l", .link = "/else where", .mode = 0777 },
		{ .type = TAR_HARDLINK, .path = "h", .link = "f", .mode = 0644 },
		{ .type = TAR_FILE, .path = "old", .size = 512, .mtime = -5 },
		{ .type = TAR_FILE, .path = "late", .size = 513, .mtime = 077777777777LL + 1 },
		{ .type = TAR_FILE, .path = "", .size = 1 },     /* 100 bytes */
		{ .type = TAR_FILE, .path = "", .size = 1 },     /* 101 */
		{ .type = TAR_SYMLINK, .path = "", .link = "" }, /* 4096 both */
	};
	static struct tar_reader t;
	static uint8_t data[1024];
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, 1 << 20);
	fill(entries[7].path, 100);
	fill(entries[8].path, 101);
	fill(entries[9].path, LIMIT_TAR_NAME);
	fill(entries[9].link, LIMIT_TAR_NAME);
	for (size_t i = 0; i < BB_ARRAY_LEN(entries); i++) {
		assert_int_equal(tar_write_header(put, &b, &entries[i]), 0);
		assert_int_equal(put(&b, data, entries[i].size), 0);
		assert_int_equal(tar_write_pad(put, &b, entries[i].size), 0);
		assert_int_equal(bb_buf_size(&b) % TAR_BLOCK, 0);
	}
	assert_int_equal(tar_write_end(put, &b), 0);
	tar_reader_init(&t, take, &b);
	for (size_t i = 0; i < BB_ARRAY_LEN(entries); i++) {
		struct bb_err err = { 0 };

		if (tar_next(&t, &err) != 1)
			fail_msg("entry %zu: %s", i, err.msg);
		assert_int_equal(t.entry.type, entries[i].type);
		assert_string_equal(t.entry.path, entries[i].path);
		assert_string_equal(t.entry.link, entries[i].link);
		assert_int_equal(t.entry.mode, entries[i].mode);
		assert_int_equal(t.entry.size, entries[i].size);
		assert_int_equal(t.entry.mtime, entries[i].mtime);
		if (i % 2 == 0) /* the others are skipped by the next call */
			assert_int_equal(tar_read(&t, data, sizeof(data), &err), entries[i].size);
	}
	assert_int_equal(tar_next(&t, NULL), 0);
	assert_int_equal(tar_next(&t, NULL), 0);
	bb_buf_done(&b);
}

/* One header block, made valid again after it was changed. */
struct header {
	uint8_t h[TAR_BLOCK];
};

static struct header header(char type)
{
	static const struct tar_entry e = { .type = TAR_FILE, .path = "name", .size = 0 };
	struct header r;
	struct bb_buf b;

	bb_buf_init(&b, 4096);
	tar_write_header(put, &b, &e);
	memcpy(r.h, bb_buf_peek(&b).p, TAR_BLOCK);
	bb_buf_done(&b);
	r.h[156] = (uint8_t)type;
	return r;
}

static void seal(struct header *r)
{
	unsigned sum = 0;

	memset(r->h + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += r->h[i];
	(void)snprintf((char *)r->h + 148, 8, "%06o", sum);
}

/* Reads an archive of one header, body bytes (padded) and an end; the error's text. */
static const char *read_one(struct header r, const char *body, size_t n)
{
	static struct tar_reader t;
	static struct bb_err err;
	static const uint8_t zero[TAR_BLOCK];
	struct bb_buf b;
	int result;

	err = (struct bb_err){ 0 };
	seal(&r);
	bb_buf_init(&b, 1 << 20);
	put(&b, r.h, TAR_BLOCK);
	put(&b, body, n);
	put(&b, zero, (size_t)(-n & (TAR_BLOCK - 1)));
	if (r.h[156] == 'x') {
		struct header file = header('0');

		seal(&file);
		put(&b, file.h, TAR_BLOCK);
	}
	tar_write_end(put, &b);
	tar_reader_init(&t, take, &b);
	do
		result = tar_next(&t, &err);
	while (result > 0);
	bb_buf_done(&b);
	return result < 0 ? err.msg : "ok";
}

static void tar_refuses_by_name_what_it_does_not_unpack(void **state)
{
	static const struct {
		char type;
		const char *text;
	} cases[] = {
		{ '3', "'name' is a device node" },
		{ '4', "'name' is a device node" },
		{ '6', "'name' is a named pipe" },
		{ 'S', "unknown kind" },
		{ 'L', "unknown kind" },
		{ 'D', "unknown kind" },
		{ '0', "ok" },
		{ '7', "ok" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		assert_non_null(strstr(read_one(header(cases[i].type), "", 0), cases[i].text));
}

static void tar_refuses_damaged_headers(void **state)
{
	struct header r = header('0');
	static struct tar_reader t;
	struct bb_buf b;

	(void)state;
	memcpy(r.h + 124, "99999999999", 12);
	assert_non_null(strstr(read_one(r, "", 0), "size is no number"));
	r = header('0');
	r.h[124] = 0x80; /* binary, as GNU tar writes sizes of 8 GiB */
	assert_non_null(strstr(read_one(r, "", 0), "size is no number"));
	r = header('0');
	memcpy(r.h + 124, "77777777777", 12);
	assert_non_null(strstr(read_one(r, "", 0), "cut off"));
	r = header('0');
	memcpy(r.h + 257, "usXar", 5);
	assert_non_null(strstr(read_one(r, "", 0), "not POSIX"));
	r = header('5');
	memcpy(r.h + 124, "00000000010", 12);
	assert_non_null(strstr(read_one(r, "", 0), "with data"));
	r = header('0');
	memset(r.h, 0, 100);
	assert_non_null(strstr(read_one(r, "", 0), "without a name"));
	r = header('0'); /* a wrong sum */
	bb_buf_init(&b, 4096);
	r.h[0]++;
	put(&b, r.h, TAR_BLOCK);
	tar_reader_init(&t, take, &b);
	assert_int_equal(tar_next(&t, NULL), -EPROTO);
	bb_buf_done(&b);
}

static const char *read_pax(const char *body)
{
	struct header r = header('x');

	(void)snprintf((char *)r.h + 124, 12, "%011o", (unsigned)strlen(body) & 07777U);
	return read_one(r, body, strlen(body));
}

static void tar_reads_extended_headers_strictly(void **state)
{
	static const struct {
		const char *body, *text;
	} cases[] = {
		{ "10 path=a\n", "ok" },
		{ "11 path=ab\n10 path=b\n", "ok" },
		{ "18 mtime=12.000001\n", "malformed" }, /* one too short */
		{ "19 mtime=12.000001\n", "ok" },
		{ "11 mtime=x\n", "no number" },
		{ "30 size=99999999999999999999\n", "malformed" },
		{ "29 size=99999999999999999999\n", "too large" },
		{ "22 size=1099511627777\n", "too large" },
		{ "15 comment=abc\n", "ok" },
		{ "9 path=a\n", "ok" },
		{ "8 path=a\n", "malformed" },
		{ "99999 path=a\n", "malformed" },
		{ "10 path=aX", "malformed" },
		{ "10path==a\n", "malformed" },
		{ "9 pathaa\n", "malformed" },
		{ "-1 path=a\n", "malformed" },
		{ "0 \n", "malformed" },
		{ "8 path=\n", "without a name" },
		{ "22 GNU.sparse.major=1\n", "sparse" },
		{ "23 GNU.sparse.major=1\n", "malformed" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		const char *text = read_pax(cases[i].body);

		if (strstr(text, cases[i].text) == NULL)
			fail_msg("'%s': %s", cases[i].body, text);
	}
}

static void tar_bounds_extended_headers_and_names(void **state)
{
	static char body[LIMIT_TAR_PAX + 1024];
	struct header r = header('x');

	(void)state;
	memcpy(r.h + 124, "00000200001", 12); /* 65537 */
	assert_non_null(strstr(read_one(r, body, LIMIT_TAR_PAX + 1), "limit"));
	memset(body, 'a', 5000);
	body[snprintf(body, 11, "5000 path=")] = 'a';
	body[4999] = '\n';
	r = header('x');
	(void)snprintf((char *)r.h + 124, 12, "%011o", 5000);
	assert_non_null(strstr(read_one(r, body, 5000), "limit"));
}

static void tar_path_is_inside_knows_ways_out(void **state)
{
	static const struct {
		const char *path;
		bool is_inside;
	} cases[] = {
		{ "a", true },       { "a/b", true },   { "./a", true },       { ".", true },
		{ "a//b", true },    { "..a", true },   { "a/..b/c..", true }, { "...", true },
		{ "", false },       { "/", false },    { "/a", false },       { "..", false },
		{ "../a", false },   { "a/..", false }, { "a/../b", false },   { "a//../b", false },
		{ "./../a", false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		if (tar_path_is_inside(cases[i].path) != cases[i].is_inside)
			fail_msg("'%s'", cases[i].path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tar_returns_what_was_written),
		cmocka_unit_test(tar_refuses_by_name_what_it_does_not_unpack),
		cmocka_unit_test(tar_refuses_damaged_headers),
		cmocka_unit_test(tar_reads_extended_headers_strictly),
		cmocka_unit_test(tar_bounds_extended_headers_and_names),
		cmocka_unit_test(tar_path_is_inside_knows_ways_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
