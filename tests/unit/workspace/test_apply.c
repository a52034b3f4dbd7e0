/* workspace/apply: all or nothing, also when it is killed; no link is followed. */
#include "../unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/text.h"
#include "workspace/apply.h"

#define FILES  1200
#define ROUNDS 24

struct place {
	char top[64];
	char *dir, *tree, *outside;
	struct review review;
};

static int no_wait(int fd, short events, int timeout_ms, struct bb_err *err)
{
	(void)fd;
	(void)events;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static int interrupted(int fd, short events, int timeout_ms, struct bb_err *err)
{
	(void)fd;
	(void)events;
	(void)timeout_ms;
	return bb_err_set(err, -EINTR, "interrupted");
}

static void write_at(const char *dir, const char *name, const char *text)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	BB_AUTO_FREE char *parent = strdup(path);

	*strrchr(parent, '/') = '\0';
	assert_int_equal(bb_path_mkdirs(parent, 0755, NULL), 0);
	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

/* On the heap; "-": not there, "->text": a link. */
static char *read_at(const char *dir, const char *name)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	BB_AUTO_BUF struct bb_buf b = { 0 };
	char text[256];
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	if (n >= 0) {
		text[n] = '\0';
		return bb_text_printf("->%s", text);
	}
	bb_buf_init(&b, 65536);
	return bb_path_read(path, 0, &b, NULL) < 0 ? strdup("-") : bb_buf_dup_str(&b);
}

static void assert_text(const char *dir, const char *name, const char *want)
{
	BB_AUTO_FREE char *have = read_at(dir, name);

	assert_string_equal(have, want);
}

static void add(struct place *p, const char *path, unsigned mode)
{
	p->review.changes =
		realloc(p->review.changes, (p->review.count + 1) * sizeof(*p->review.changes));
	p->review.changes[p->review.count++] =
		(struct review_change){ .path = strdup(path),
					.status = mode == 0 ? 'D' : 'M',
					.new_mode = mode,
					.is_taken = true };
}

static void place_make(struct place *p)
{
	/* In memory where there is such a place: syncing costs nothing there. */
	*p = (struct place){ .top = "/tmp/bb-apply-XXXXXX" };
	if (access("/dev/shm", W_OK) == 0)
		(void)snprintf(p->top, sizeof(p->top), "/dev/shm/bb-apply-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	p->dir = bb_text_printf("%s/dir", p->top);
	p->tree = bb_text_printf("%s/tree", p->top);
	p->outside = bb_text_printf("%s/outside", p->top);
	assert_int_equal(mkdir(p->dir, 0755), 0);
	assert_int_equal(mkdir(p->tree, 0755), 0);
	write_at(p->outside, "canary", "safe");
}

static void place_done(struct place *p)
{
	assert_text(p->outside, "canary", "safe");
	review_done(&p->review);
	(void)bb_path_remove_tree(p->top, NULL);
	free(p->dir);
	free(p->tree);
	free(p->outside);
}

static int run(struct place *p, workspace_wait_fn *wait, struct bb_err *err)
{
	size_t count = 0;

	return apply_changes(p->dir, p->tree, &p->review, wait, &count, err);
}

static void assert_clean(const struct place *p)
{
	BB_AUTO_FREE char *stage = bb_text_printf("%s/" APPLY_DIR, p->dir);

	assert_int_equal(access(stage, F_OK), -1);
}

static void files_links_deletions_and_modes_come_over(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	BB_AUTO_FREE char *path = NULL;
	struct bb_err err = { 0 };
	struct stat st;

	(void)state;
	place_make(&p);
	(void)umask(022);
	write_at(p.dir, "a", "old");
	write_at(p.dir, "d/gone", "old");
	write_at(p.dir, "was-dir/x", "old");
	write_at(p.tree, "a", "new");
	write_at(p.tree, "n/e/w", "new");
	write_at(p.tree, "was-dir", "file now");
	path = bb_text_printf("%s/l", p.tree);
	assert_int_equal(symlink("n/e", path), 0);
	add(&p, "a", 0100755);
	add(&p, "d/gone", 0);
	add(&p, "l", 0120000);
	add(&p, "n/e/w", 0100644);
	add(&p, "was-dir", 0100644);
	add(&p, "was-dir/x", 0);
	if (run(&p, no_wait, &err) != 0)
		fail_msg("%s", err.msg);
	assert_text(p.dir, "a", "new");
	assert_text(p.dir, "d/gone", "-");
	assert_text(p.dir, "d", "-");
	assert_text(p.dir, "n/e/w", "new");
	assert_text(p.dir, "l", "->n/e");
	assert_text(p.dir, "was-dir", "file now");
	free(path);
	path = bb_text_printf("%s/a", p.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_clean(&p);
}

static void what_is_not_taken_stays(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	struct bb_err err = { 0 };

	(void)state;
	place_make(&p);
	write_at(p.dir, "a", "old");
	write_at(p.tree, "a", "new");
	add(&p, "a", 0100644);
	p.review.changes[0].is_taken = false;
	assert_int_equal(run(&p, no_wait, &err), 0);
	assert_text(p.dir, "a", "old");
}

static void no_link_of_the_directory_is_followed(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	BB_AUTO_FREE char *link = NULL, *file = NULL;
	struct bb_err err = { 0 };

	(void)state;
	place_make(&p);
	link = bb_text_printf("%s/l", p.dir);
	file = bb_text_printf("%s/f", p.dir);
	assert_int_equal(symlink(p.outside, link), 0);
	assert_int_equal(symlink("../outside/canary", file), 0);
	write_at(p.dir, "first", "old");
	write_at(p.tree, "first", "new");
	write_at(p.tree, "l/canary", "owned");
	write_at(p.tree, "f", "new");
	add(&p, "first", 0100644);
	add(&p, "f", 0100644);
	add(&p, "l/canary", 0100644);
	assert_true(run(&p, no_wait, &err) < 0);
	assert_non_null(strstr(err.msg, "nothing was changed"));
	assert_text(p.dir, "first", "old");
	assert_text(p.dir, "f", "->../outside/canary");
	assert_clean(&p);
	/* The link itself is replaced. */
	p.review.changes[2].is_taken = false;
	assert_int_equal(run(&p, no_wait, &err), 0);
	assert_text(p.dir, "f", "new");
}

static void a_link_out_of_the_tree_is_refused(void **state)
{
	static const char *const texts[] = { "/etc/passwd", "../outside/canary",
					     "a/../../outside" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(texts); i++) {
		__attribute__((cleanup(place_done))) struct place p;
		BB_AUTO_FREE char *path = NULL;
		struct bb_err err = { 0 };

		place_make(&p);
		path = bb_text_printf("%s/l", p.tree);
		assert_int_equal(symlink(texts[i], path), 0);
		add(&p, "l", 0120000);
		assert_error(run(&p, no_wait, &err), BB_E_REFUSED, err);
		assert_text(p.dir, "l", "-");
		assert_clean(&p);
	}
}

static void an_interruption_leaves_everything(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	struct bb_err err = { 0 };

	(void)state;
	place_make(&p);
	write_at(p.dir, "a", "old");
	write_at(p.tree, "a", "new");
	add(&p, "a", 0100644);
	assert_error(run(&p, interrupted, &err), -EINTR, err);
	assert_text(p.dir, "a", "old");
	assert_clean(&p);
}

static void a_directory_in_the_way_undoes_all(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	BB_AUTO_FREE char *path = NULL;
	struct bb_err err = { 0 };

	(void)state;
	place_make(&p);
	write_at(p.dir, "a", "old");
	write_at(p.dir, "gone", "old");
	path = bb_text_printf("%s/z", p.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	write_at(p.tree, "a", "new");
	write_at(p.tree, "b", "new");
	write_at(p.tree, "z", "new");
	add(&p, "a", 0100644);
	add(&p, "b", 0100644);
	add(&p, "gone", 0);
	add(&p, "z", 0100644);
	assert_error(run(&p, no_wait, &err), -EISDIR, err);
	assert_text(p.dir, "a", "old");
	assert_text(p.dir, "b", "-");
	assert_text(p.dir, "gone", "old");
	assert_clean(&p);
}

/* Of each three files one is new, one goes, one changes. */
static void fill(struct place *p)
{
	place_make(p);
	for (unsigned i = 0; i < FILES; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("d%u/f%u", i % 7, i);

		if (i % 3 != 2)
			write_at(p->dir, name, "old");
		if (i % 3 != 1)
			write_at(p->tree, name, "new");
		add(p, name, i % 3 == 1 ? 0 : 0100644);
	}
}

static unsigned count_new(const struct place *p)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FILES; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("d%u/f%u", i % 7, i);
		BB_AUTO_FREE char *text = read_at(p->dir, name);

		count += strcmp(text, i % 3 == 1 ? "-" : "new") == 0;
	}
	return count;
}

/* Runs it in a child that is killed after_us after its journal is there; negative: it lives.
 * Returns how long it ran from then on. */
static uint64_t run_killed(struct place *p, int64_t after_us)
{
	BB_AUTO_FREE char *journal = bb_text_printf("%s/" APPLY_DIR "/journal", p->dir);
	uint64_t start, limit = bb_clock_ms() + 30000;
	struct bb_err err = { 0 };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run(p, no_wait, &err) == 0 ? 0 : 1);
	while (access(journal, F_OK) < 0)
		assert_true(bb_clock_ms() < limit);
	start = bb_clock_us();
	while (after_us >= 0 && bb_clock_us() - start < (uint64_t)after_us)
		continue;
	if (after_us >= 0)
		(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return bb_clock_us() - start;
}

/* Killed at any moment while names change: after recovery it is all old or all new. */
static void a_kill_at_any_moment_is_all_or_nothing(void **state)
{
	unsigned old_seen = 0, new_seen = 0, undone = 0;
	uint64_t whole_us = 0;

	(void)state;
	for (unsigned round = 0; round <= ROUNDS; round++) {
		__attribute__((cleanup(place_done))) struct place p;
		struct bb_err err = { 0 };
		unsigned is_new;
		int r;

		fill(&p);
		if (round == 0)
			whole_us = run_killed(&p, -1);
		else
			(void)run_killed(&p, (int64_t)(whole_us * (round - 1) / ROUNDS));
		r = apply_recover(p.dir, &err);
		if (r < 0)
			fail_msg("%s", err.msg);
		undone += r == 1;
		assert_clean(&p);
		is_new = count_new(&p);
		if (is_new != 0 && is_new != FILES)
			fail_msg("%u of %d are new", is_new, FILES);
		old_seen += is_new == 0;
		new_seen += is_new == FILES;
	}
	print_message("all old %u times, all new %u times, undone %u times\n", old_seen, new_seen,
		      undone);
	assert_true(undone > 0 && new_seen > 0);
}

static void somebody_elses_directory_is_left_alone(void **state)
{
	__attribute__((cleanup(place_done))) struct place p;
	BB_AUTO_FREE char *stage = NULL;
	struct bb_err err = { 0 };

	(void)state;
	place_make(&p);
	assert_int_equal(apply_recover(p.dir, &err), 0);
	stage = bb_text_printf("%s/" APPLY_DIR, p.dir);
	assert_int_equal(symlink(p.outside, stage), 0);
	assert_error(apply_recover(p.dir, &err), BB_E_USAGE, err);
	assert_int_equal(unlink(stage), 0);
	assert_int_equal(mkdir(stage, 0755), 0);
	assert_int_equal(chmod(stage, 0777), 0);
	assert_error(apply_recover(p.dir, &err), BB_E_USAGE, err);
}

static void a_journal_with_other_paths_is_refused(void **state)
{
	static const char *const lines[] = { "0 had ../outside/canary", "0 new /etc/x", "0 old a",
					     "x" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(lines); i++) {
		__attribute__((cleanup(place_done))) struct place p;
		BB_AUTO_FREE char *stage = NULL, *journal = NULL;
		struct bb_err err = { 0 };

		place_make(&p);
		stage = bb_text_printf("%s/" APPLY_DIR, p.dir);
		journal = bb_text_printf("%s/journal", stage);
		assert_int_equal(mkdir(stage, 0700), 0);
		assert_int_equal(
			bb_path_write_atomic(journal, lines[i], strlen(lines[i]) + 1, 0600, NULL),
			0);
		assert_error(apply_recover(p.dir, &err), BB_E_PART, err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_links_deletions_and_modes_come_over),
		cmocka_unit_test(what_is_not_taken_stays),
		cmocka_unit_test(no_link_of_the_directory_is_followed),
		cmocka_unit_test(a_link_out_of_the_tree_is_refused),
		cmocka_unit_test(an_interruption_leaves_everything),
		cmocka_unit_test(a_directory_in_the_way_undoes_all),
		cmocka_unit_test(a_kill_at_any_moment_is_all_or_nothing),
		cmocka_unit_test(somebody_elses_directory_is_left_alone),
		cmocka_unit_test(a_journal_with_other_paths_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
