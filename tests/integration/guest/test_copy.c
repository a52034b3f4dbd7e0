/* Files in and out of a bottle: what arrives, and what an archive cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/tlv.h"
#include "guest/tar.h"
#include "host.h"

static int setup(void **state)
{
	*state = host_start(&(struct host_options){ 0 });
	return 0;
}

static int teardown(void **state)
{
	host_free(*state);
	return 0;
}

static struct host_stream *copy_open(struct host *h, uint32_t op, const char *path, uint32_t flags,
				     const char *exclude)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };

	bb_buf_init(&b, 4096);
	bb_tlv_put_u32(&b, FILE_TAG_OP, op);
	bb_tlv_put_str(&b, FILE_TAG_PATH, path);
	bb_tlv_put_u32(&b, FILE_TAG_FLAGS, flags);
	if (exclude != NULL)
		bb_tlv_put_str(&b, FILE_TAG_EXCLUDE, exclude);
	return host_open(h, PROTO_FILE, bb_buf_peek(&b));
}

static int append(void *arg, const void *p, size_t n)
{
	return bb_buf_append(arg, p, n);
}

/* A PUT of a whole archive; the result text ("": ok). */
static void put(struct host *h, const char *path, struct bb_view archive, char *text, size_t cap)
{
	struct host_stream *s = copy_open(h, FILE_PUT, path, 0, NULL);
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 65536);
	while (archive.n > 0) {
		size_t n = archive.n < 30000 ? archive.n : 30000;

		host_send(s, FILE_DATA, archive.p, n);
		archive = bb_view_from(archive, n);
	}
	host_send(s, FILE_END, NULL, 0);
	assert_int_equal(host_recv(s, &body), FILE_RESULT);
	(void)snprintf(text, cap, "%s", host_text(&body));
	host_close(s);
}

/* A GET into archive; the result text. */
static void get(struct host *h, const char *path, uint32_t flags, const char *exclude,
		struct bb_buf *archive, char *text, size_t cap)
{
	struct host_stream *s = copy_open(h, FILE_GET, path, flags, exclude);
	BB_AUTO_BUF struct bb_buf body = { 0 };
	uint8_t type;

	bb_buf_init(&body, 128 * 1024);
	bb_buf_init(archive, 64 * 1024 * 1024);
	while ((type = host_recv(s, &body)) == FILE_DATA)
		assert_int_equal(bb_buf_append_view(archive, bb_buf_peek(&body)), 0);
	if (type == FILE_END)
		type = host_recv(s, &body);
	assert_int_equal(type, FILE_RESULT);
	(void)snprintf(text, cap, "%s", host_text(&body));
	host_close(s);
}

static void put_unpacks_what_a_real_tar_packs(void **state)
{
	BB_AUTO_BUF struct bb_buf archive = { 0 };
	char text[600];
	FILE *f;
	uint8_t chunk[4096];
	size_t n;

	/* The tar of this machine, not ours, is the reference. */
	char command[] = "/tmp/bb-copy-XXXXXX";
	assert_non_null(mkdtemp(command));
	assert_int_equal(chdir(command), 0);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("sh", "sh", "-c",
		       "mkdir -p t/sub; echo hello >t/a; printf '#!/bin/sh\\necho run\\n' "
		       ">t/sub/x; "
		       "chmod 4755 t/sub/x; ln -s ../a t/sub/l; ln t/a t/hard; "
		       "long=$(printf '%0150d' 0); mkdir t/$long; echo deep >t/$long/$long; "
		       "touch -d @1000000000 t/a; tar --format=pax -cf a.tar t",
		       (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	f = fopen("a.tar", "rb");
	assert_non_null(f);
	bb_buf_init(&archive, 1024 * 1024);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		bb_buf_append(&archive, chunk, n);
	fclose(f);
	pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(chdir("/"), 0);

	put(*state, "/home/node/new/place", bb_buf_peek(&archive), text, sizeof(text));
	assert_string_equal(text, "");
	host_expect_sh(
		*state,
		"cd new/place/t; cat a sub/l hard; sub/x; stat -c '%a %Y' sub/x a | head -1 | cut "
		"-d' ' -f1; stat -c %Y a; stat -c %h a; cat 0*/0*",
		0, "hello\nhello\nhello\nrun\n755\n1000000000\n2\ndeep\n");
}

static void get_returns_what_put_brought(void **state)
{
	BB_AUTO_BUF struct bb_buf first = { 0 };
	BB_AUTO_BUF struct bb_buf second = { 0 };
	char text[600];

	host_expect_sh(
		*state,
		"mkdir -p w/d/skip w/.git; echo 1 >w/d/f; echo 2 >w/d/skip/g; ln -s / w/root; "
		"mkfifo w/pipe; long=$(printf '%0200d' 7); echo l >w/d/$long; chmod 700 w/d",
		0, "");
	get(*state, "/home/node/w/", 0, "d/skip", &first, text, sizeof(text));
	assert_string_equal(text, "");
	put(*state, "/home/node/copy", bb_buf_peek(&first), text, sizeof(text));
	assert_string_equal(text, "");
	host_expect_sh(
		*state,
		"cd copy/w; readlink root; cat d/f d/0*; ls -A | tr '\\n' ' '; ls d | wc -l; "
		"stat -c %a d; cd; diff -r --no-dereference w/d copy/w/d",
		1, "/\n1\nl\n.git d root 2\n700\nOnly in w/d: skip\n");
	get(*state, "/home/node/w", FILE_FLAG_CONTENTS, NULL, &second, text, sizeof(text));
	assert_string_equal(text, "");
	put(*state, "/home/node/copy2", bb_buf_peek(&second), text, sizeof(text));
	assert_string_equal(text, "");
	host_expect_sh(*state, "ls copy2/d/skip; rm w/pipe; diff -r --no-dereference w copy2", 0,
		       "g\n");
}

static void get_of_one_file_and_of_nothing(void **state)
{
	BB_AUTO_BUF struct bb_buf archive = { 0 };
	BB_AUTO_BUF struct bb_buf none = { 0 };
	char text[600];

	host_expect_sh(*state, "head -c 3000000 /dev/urandom >big; ln -s /etc/passwd link", 0, "");
	get(*state, "/home/node/big", 0, NULL, &archive, text, sizeof(text));
	assert_string_equal(text, "");
	put(*state, "/home/node/out", bb_buf_peek(&archive), text, sizeof(text));
	assert_string_equal(text, "");
	host_expect_sh(*state, "cmp big out/big", 0, "");
	get(*state, "/home/node/missing", 0, NULL, &none, text, sizeof(text));
	assert_non_null(strstr(text, "No such file"));
}

static void get_says_what_it_could_not_read(void **state)
{
	BB_AUTO_BUF struct bb_buf archive = { 0 };
	char text[600];

	host_expect_sh(*state, "mkdir w; echo a >w/a; echo b >w/b; chmod 000 w/a", 0, "");
	get(*state, "/home/node/w", 0, NULL, &archive, text, sizeof(text));
	assert_non_null(strstr(text, "1 could not be read, the first 'w/a'"));
	put(*state, "/home/node/out", bb_buf_peek(&archive), text, sizeof(text));
	assert_string_equal(text, "");
	host_expect_sh(*state, "ls out/w", 0, "b\n");
}

struct attack {
	const char *name;
	struct tar_entry entries[3];
	const char *refusal; /* in the result text; NULL: must succeed, harmlessly */
};

static const struct attack attacks[] = {
	{ "dotdot", { { .path = "../escaped", .type = TAR_FILE, .size = 4 } }, "leads out" },
	{ "dotdot inside",
	  { { .path = "a/../../escaped", .type = TAR_FILE, .size = 4 } },
	  "leads out" },
	{ "absolute",
	  { { .path = "/home/node/escaped", .type = TAR_FILE, .size = 4 } },
	  "leads out" },
	{ "through a link of the archive",
	  { { .path = "l", .link = "/home/node", .type = TAR_SYMLINK },
	    { .path = "l/escaped", .type = TAR_FILE, .size = 4 } },
	  "in the way" },
	{ "onto a link of the archive",
	  { { .path = "l2", .link = "/home/node/escaped", .type = TAR_SYMLINK },
	    { .path = "l2", .type = TAR_FILE, .size = 4 } },
	  NULL },
	{ "directory over a link",
	  { { .path = "l3", .link = "/home/node/outside", .type = TAR_SYMLINK },
	    { .path = "l3", .type = TAR_DIRECTORY, .mode = 0777 } },
	  "in the way" },
	{ "through a link that was there",
	  { { .path = "old/escaped", .type = TAR_FILE, .size = 4 } },
	  "in the way" },
	{ "hard link out",
	  { { .path = "h", .link = "../secret", .type = TAR_HARDLINK } },
	  "out of" },
	{ "hard link absolute",
	  { { .path = "h", .link = "/home/node/secret", .type = TAR_HARDLINK } },
	  "out of" },
	{ "hard link through a link",
	  { { .path = "h", .link = "old/secret", .type = TAR_HARDLINK } },
	  "in the way" },
	{ "hard link to a link",
	  { { .path = "s", .link = "/home/node/secret", .type = TAR_SYMLINK },
	    { .path = "h", .link = "s", .type = TAR_HARDLINK } },
	  "not a file" },
};

static void put_never_leaves_its_directory(void **state)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		const struct attack *a = &attacks[i];
		BB_AUTO_BUF struct bb_buf archive = { 0 };
		char text[600];

		bb_buf_init(&archive, 65536);
		for (size_t k = 0; k < 3 && a->entries[k].path[0] != '\0'; k++) {
			assert_int_equal(tar_write_header(append, &archive, &a->entries[k]), 0);
			if (a->entries[k].size > 0) {
				bb_buf_append(&archive, "evil", 4);
				tar_write_pad(append, &archive, 4);
			}
		}
		tar_write_end(append, &archive);
		host_expect_sh(
			*state,
			"rm -rf box outside escaped; mkdir box outside; chmod 700 outside; echo "
			"s >secret; "
			"ln -s /home/node box/old",
			0, "");
		put(*state, "/home/node/box", bb_buf_peek(&archive), text, sizeof(text));
		if (a->refusal == NULL ? text[0] != '\0' : strstr(text, a->refusal) == NULL)
			fail_msg("%s: '%s'", a->name, text);
		host_expect_sh(*state,
			       "test ! -e escaped && stat -c %h secret && stat -c %a outside", 0,
			       "1\n700\n");
	}
}

static void put_that_is_cut_off_is_not_complete(void **state)
{
	struct host_stream *s = copy_open(*state, FILE_PUT, "/home/node/cut", 0, NULL);
	BB_AUTO_BUF struct bb_buf archive = { 0 };
	BB_AUTO_BUF struct bb_buf body = { 0 };
	const struct tar_entry e = { .path = "f", .type = TAR_FILE, .size = 100000 };

	bb_buf_init(&archive, 65536);
	bb_buf_init(&body, 65536);
	tar_write_header(append, &archive, &e);
	host_send(s, FILE_DATA, bb_buf_peek(&archive).p, bb_buf_size(&archive));
	host_send(s, FILE_END, NULL, 0);
	assert_int_equal(host_recv(s, &body), FILE_RESULT);
	assert_non_null(strstr(host_text(&body), "cut off"));
	host_close(s);
}

static void put_into_a_full_file_system_says_so(void **state)
{
	BB_AUTO_BUF struct bb_buf archive = { 0 };
	const struct tar_entry e = { .path = "f", .type = TAR_FILE, .size = 8 * 1024 * 1024 };
	static uint8_t zero[65536];
	char text[600];

	bb_buf_init(&archive, 16 * 1024 * 1024);
	tar_write_header(append, &archive, &e);
	for (int i = 0; i < 128; i++)
		bb_buf_append(&archive, zero, sizeof(zero));
	tar_write_end(append, &archive);
	put(*state, "/home/node/small", bb_buf_peek(&archive), text, sizeof(text));
	assert_non_null(strstr(text, "No space left"));
}

static void copies_at_the_same_time_do_not_disturb_sessions(void **state)
{
	struct host_stream *slow = copy_open(*state, FILE_PUT, "/home/node/slow", 0, NULL);

	host_expect_sh(*state, "echo served", 0, "served\n");
	host_close(slow); /* the child must not outlive its stream */
	host_expect_sh(*state,
		       "n=1; while [ $n -ne 0 ]; do n=$(grep -lx bottle-init /proc/[0-9]*/comm "
		       "2>/dev/null "
		       "| grep -vc '^/proc/1/'); done; echo gone",
		       0, "gone\n");
}

static void copies_beyond_the_limit_are_refused(void **state)
{
	struct host_stream *s[LIMIT_GUEST_COPIES], *more;
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 65536);
	for (size_t i = 0; i < LIMIT_GUEST_COPIES; i++)
		s[i] = copy_open(*state, FILE_PUT, "/home/node/x", 0, NULL);
	more = copy_open(*state, FILE_PUT, "/home/node/x", 0, NULL);
	assert_int_equal(host_recv(more, &body), FILE_RESULT);
	assert_non_null(strstr(host_text(&body), "16 copies"));
	host_close(more);
	host_close(s[0]);
	more = copy_open(*state, FILE_GET, "/etc/passwd", 0, NULL);
	assert_int_equal(host_recv(more, &body), FILE_DATA);
	host_close(more);
}

#define COPY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(put_unpacks_what_a_real_tar_packs),
		COPY_TEST(get_returns_what_put_brought),
		COPY_TEST(get_of_one_file_and_of_nothing),
		COPY_TEST(get_says_what_it_could_not_read),
		COPY_TEST(put_never_leaves_its_directory),
		COPY_TEST(put_that_is_cut_off_is_not_complete),
		COPY_TEST(put_into_a_full_file_system_says_so),
		COPY_TEST(copies_beyond_the_limit_are_refused),
		COPY_TEST(copies_at_the_same_time_do_not_disturb_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
