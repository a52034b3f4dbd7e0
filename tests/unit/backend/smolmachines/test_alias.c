/* backend/smolmachines/alias.c: the pool of loopback addresses, also between processes and after a
 * holder that was killed. */
#include "../../unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/smolmachines/alias.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

static char root[32];
static char *dir;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/bb-alias-XXXXXX");
	assert_non_null(mkdtemp(root));
	dir = bb_text_printf("%s/aliases", root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(dir);
	return bb_path_remove_tree(root, NULL);
}

static void the_lowest_free_address_is_given(void **state)
{
	struct loopback_alias a = { .lock_fd = -1 }, b = a, c = a;

	(void)state;
	assert_int_equal(loopback_allocate(dir, "one", &a, NULL), 0);
	assert_string_equal(a.address, "127.0.0.16");
	assert_string_equal(a.cidr, "127.0.0.16/32");
	assert_int_equal(loopback_allocate(dir, "two", &b, NULL), 0);
	assert_string_equal(b.address, "127.0.0.17");
	loopback_release(&a);
	loopback_release(&a); /* twice is fine */
	assert_int_equal(a.lock_fd, -1);
	assert_int_equal(loopback_allocate(dir, "three", &c, NULL), 0);
	assert_string_equal(c.address, "127.0.0.16");
	loopback_release(&b);
	loopback_release(&c);
}

static void a_full_pool_says_so_and_names_the_holders(void **state)
{
	struct loopback_alias all[ALIAS_POOL], more = { .lock_fd = -1 };
	struct bb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ALIAS_POOL; i++)
		assert_int_equal(loopback_allocate(dir, "holder", &all[i], NULL), 0);
	assert_string_equal(all[ALIAS_POOL - 1].address, "127.0.0.31");
	assert_error(loopback_allocate(dir, "late", &more, &err), BB_E_LIMIT, err);
	assert_int_equal(more.lock_fd, -1);
	assert_non_null(strstr(err.msg, "pool of loopback addresses is full"));
	assert_non_null(strstr(err.msg, "127.0.0.16 holder"));
	assert_non_null(strstr(err.msg, "127.0.0.31 holder"));
	loopback_release(&all[5]);
	assert_int_equal(loopback_allocate(dir, "late", &more, NULL), 0);
	assert_string_equal(more.address, "127.0.0.21");
	loopback_release(&more);
	for (size_t i = 0; i < ALIAS_POOL; i++)
		loopback_release(&all[i]);
}

/* A child that holds an address until it is killed; its answer is the address's last number. */
static pid_t start_holder(int *ret_last)
{
	int answer[2];
	unsigned char last = 0;
	pid_t pid;

	assert_int_equal(pipe(answer), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct loopback_alias a;

		if (loopback_allocate(dir, "child", &a, NULL) == 0)
			last = (unsigned char)strtol(strrchr(a.address, '.') + 1, NULL, 10);
		(void)!write(answer[1], &last, 1);
		for (;;)
			(void)pause();
	}
	close(answer[1]);
	assert_int_equal(read(answer[0], &last, 1), 1);
	close(answer[0]);
	*ret_last = last;
	return pid;
}

static void a_killed_holder_leaves_its_address_free(void **state)
{
	struct loopback_alias a = { .lock_fd = -1 };
	int last;
	pid_t pid = start_holder(&last);

	(void)state;
	assert_int_equal(last, 16);
	assert_int_equal(loopback_allocate(dir, "x", &a, NULL), 0);
	assert_string_equal(a.address, "127.0.0.17"); /* it is held by another process */
	loopback_release(&a);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(loopback_allocate(dir, "x", &a, NULL), 0);
	assert_string_equal(a.address, "127.0.0.16");
	loopback_release(&a);
}

static void fifty_at_once_get_sixteen_different_ones(void **state)
{
	enum { LAUNCHES = 50 };
	pid_t pids[LAUNCHES];
	int go[2], answers[2], seen[256] = { 0 }, given = 0, full = 0;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(answers), 0);
	for (int i = 0; i < LAUNCHES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct loopback_alias a;
			unsigned char last = 0;
			char c;
			int r;

			close(go[1]);
			(void)!read(go[0], &c, 1); /* all at once: the end of the pipe */
			r = loopback_allocate(dir, "racer", &a, NULL);
			if (r == 0)
				last = (unsigned char)strtol(strrchr(a.address, '.') + 1, NULL, 10);
			else if (r != BB_E_LIMIT)
				last = 255;
			(void)!write(answers[1], &last, 1);
			for (;;)
				(void)pause();
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < LAUNCHES; i++) {
		unsigned char last;

		assert_int_equal(read(answers[0], &last, 1), 1);
		given += last != 0;
		full += last == 0;
		seen[last]++;
	}
	for (int i = 0; i < LAUNCHES; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
	close(answers[0]);
	close(answers[1]);
	assert_int_equal(given, ALIAS_POOL);
	assert_int_equal(full, LAUNCHES - ALIAS_POOL);
	for (int n = ALIAS_FIRST; n <= ALIAS_LAST; n++)
		assert_int_equal(seen[n], 1);
}

static void a_pool_that_cannot_be_written_is_an_error(void **state)
{
	struct loopback_alias a = { .lock_fd = -1 };
	char *path = bb_text_printf("%s/plain", root);
	char *below = bb_text_printf("%s/aliases", path);
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(bb_path_write_atomic(path, "x", 1, 0600, NULL), 0);
	assert_true(loopback_allocate(below, "x", &a, &err) < 0);
	assert_int_equal(a.lock_fd, -1);
	assert_true(err.msg[0] != '\0');
	free(path);
	free(below);
}

struct fake {
	const char *listing;
	int fail_at; /* add() number that fails; 0: none */
	int calls;
	char added[ALIAS_POOL][64];
};

static int fake_list(void *arg, struct bb_buf *out, struct bb_err *err)
{
	const struct fake *f = arg;

	if (f->listing == NULL)
		return bb_err_set(err, -EIO, "'ifconfig' failed");
	return bb_buf_append_str(out, f->listing);
}

static int fake_add(void *arg, char *const *argv, struct bb_err *err)
{
	struct fake *f = arg;
	char *line = f->added[f->calls];

	line[0] = '\0';
	for (size_t i = 0; argv[i] != NULL; i++)
		(void)snprintf(line + strlen(line), 64 - strlen(line), "%s%s", i == 0 ? "" : " ",
			       argv[i]);
	f->calls++;
	if (f->calls == f->fail_at)
		return bb_err_set(err, -EPERM, "no password was given");
	return 0;
}

static int ensure(struct fake *f, struct bb_err *err)
{
	const struct loopback_runner runner = { fake_list, fake_add, f };

	return loopback_ensure_pool(&runner, err);
}

static void only_missing_addresses_are_added_to_lo0(void **state)
{
	struct fake f = { .listing = "lo0: flags=8049<UP>\n\tinet 127.0.0.1 netmask 0xff000000\n"
				     "\tinet6 ::1 prefixlen 128\n"
				     "\tinet 127.0.0.17 netmask 0xffffffff\n"
				     "\tinet 127.0.0.160 netmask 0xffffffff\n" };

	(void)state;
	assert_int_equal(ensure(&f, NULL), 0);
	assert_int_equal(f.calls, ALIAS_POOL - 1);
	assert_string_equal(f.added[0], "sudo ifconfig lo0 alias 127.0.0.16 255.255.255.255");
	assert_string_equal(f.added[1], "sudo ifconfig lo0 alias 127.0.0.18 255.255.255.255");
	assert_string_equal(f.added[14], "sudo ifconfig lo0 alias 127.0.0.31 255.255.255.255");
}

static void an_address_that_cannot_be_added_is_named(void **state)
{
	struct fake f = { .listing = "", .fail_at = 3 }, silent = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	assert_error(ensure(&f, &err), -EPERM, err);
	assert_int_equal(f.calls, 3);
	assert_non_null(strstr(err.msg, "127.0.0.18"));
	assert_error(ensure(&silent, &err), -EIO, err);
	assert_int_equal(silent.calls, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_lowest_free_address_is_given),
		TEST(a_full_pool_says_so_and_names_the_holders),
		TEST(a_killed_holder_leaves_its_address_free),
		TEST(fifty_at_once_get_sixteen_different_ones),
		TEST(a_pool_that_cannot_be_written_is_an_error),
		cmocka_unit_test(only_missing_addresses_are_added_to_lo0),
		cmocka_unit_test(an_address_that_cannot_be_added_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
