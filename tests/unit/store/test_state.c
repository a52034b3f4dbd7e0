/* store/state.c: one living bottle an identity and a label; what the dead leave is reaped. */
#include "../unit.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "home.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "store/store_impl.h"

static char name_a[] = "dev-aaaaa", name_b[] = "dev-bbbbb", name_agent[] = "dev",
	    name_backend[] = "namespace", name_label[] = "work";

static struct store_meta meta_of(char *identity, char *label)
{
	return (struct store_meta){
		.identity = identity,
		.agent = name_agent,
		.backend = name_backend,
		.label = label,
	};
}

static bool exists(char *path)
{
	struct stat st;
	bool is = path != NULL && lstat(path, &st) == 0;

	free(path);
	return is;
}

static void a_bottle_lives_as_long_as_its_lock(void **state)
{
	struct store_meta m = meta_of(name_a, NULL);
	struct bb_err err = { 0 };
	int lock = -1, second = -1;

	(void)state;
	assert_false(store_is_alive(name_a));
	assert_int_equal(store_claim(&m, &lock, &err), 0);
	assert_true(store_is_alive(name_a));
	assert_true(exists(store_run_dir(name_a, &err)));
	assert_int_equal(store_lock(name_a, &second, &err), -EBUSY);
	assert_int_equal(store_remove(name_a, &err), -EBUSY);
	close(lock);
	assert_false(store_is_alive(name_a));
	assert_int_equal(store_remove(name_a, &err), 0);
	assert_false(exists(store_state_dir(name_a, &err)));
	assert_false(exists(store_run_dir(name_a, &err)));
}

static void an_identity_is_used_once(void **state)
{
	struct store_meta m = meta_of(name_a, NULL);
	struct bb_err err = { 0 };
	int lock = -1, second = -1;

	(void)state;
	assert_int_equal(store_claim(&m, &lock, &err), 0);
	assert_error(store_claim(&m, &second, &err), -EEXIST, err);
	close(lock);
	assert_error(store_claim(&m, &second, &err), -EEXIST, err); /* ended, still kept */
}

static void a_label_is_free_again_when_its_bottle_ends(void **state)
{
	struct store_meta a = meta_of(name_a, name_label), b = meta_of(name_b, name_label);
	struct bb_err err = { 0 };
	int lock_a = -1, lock_b = -1;

	(void)state;
	assert_int_equal(store_claim(&a, &lock_a, &err), 0);
	assert_error(store_check_label(name_label, &err), -EEXIST, err);
	assert_error(store_claim(&b, &lock_b, &err), -EEXIST, err);
	assert_non_null(strstr(err.msg, name_a));
	assert_false(exists(store_state_dir(name_b, &err)));
	close(lock_a);
	assert_int_equal(store_claim(&b, &lock_b, &err), 0);
	close(lock_b);
}

static void a_bottle_is_called_as_its_label_while_that_is_free(void **state)
{
	struct store_meta m = meta_of(name_label, name_label);
	struct bb_err err = { 0 };
	char *id = store_choose_identity(name_agent, name_label, &err);
	int lock = -1;

	(void)state;
	assert_non_null(id);
	assert_string_equal(id, name_label);
	free(id);
	assert_int_equal(store_claim(&m, &lock, &err), 0);
	assert_error(store_check_label(name_label, &err), -EEXIST, err);
	close(lock);
	/* The ended one is kept under the name: nothing of it is touched. */
	assert_int_equal(store_check_label(name_label, &err), 0);
	id = store_choose_identity(name_agent, name_label, &err);
	assert_non_null(id);
	assert_int_equal(strlen(id), strlen(name_label) + 6);
	assert_memory_equal(id, "work-", 5);
	free(id);
	id = store_choose_identity(name_agent, NULL, &err);
	assert_non_null(id);
	assert_memory_equal(id, "dev-", 4);
	free(id);
	assert_null(store_choose_identity(name_agent, "../x", &err));
	assert_true(err.msg[0] != '\0');
}

/* A label that is another living bottle's identity would name two. */
static void a_living_identity_is_no_label(void **state)
{
	struct store_meta m = meta_of(name_a, NULL);
	struct bb_err err = { 0 };
	int lock = -1;

	(void)state;
	assert_int_equal(store_claim(&m, &lock, &err), 0);
	assert_error(store_check_label(name_a, &err), -EEXIST, err);
	close(lock);
	assert_int_equal(store_check_label(name_a, &err), 0);
}

static void asking_does_not_disturb_a_start(void **state)
{
	struct store_meta m = meta_of(name_a, NULL);
	struct bb_err err = { 0 };
	int lock = -1;
	pid_t asker = fork();

	(void)state;
	if (asker == 0)
		for (;;)
			(void)store_is_alive(name_a);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(store_claim(&m, &lock, &err), 0);
		close(lock);
		assert_int_equal(store_remove(name_a, &err), 0);
	}
	kill(asker, SIGKILL);
	waitpid(asker, NULL, 0);
}

static void count_reaped(void *arg, const char *identity)
{
	assert_string_equal(identity, name_a);
	(*(int *)arg)++;
}

static void a_killed_monitor_is_noticed_by_the_next_command(void **state)
{
	struct store_meta m = meta_of(name_a, NULL), *seen = NULL;
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *kept = NULL;
	int ready[2], told = 0;
	pid_t monitor;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	monitor = fork();
	if (monitor == 0) {
		int lock = -1;

		if (store_claim(&m, &lock, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(store_reap(count_reaped, &told, &err), 0);
	assert_true(store_is_alive(name_a));
	kill(monitor, SIGKILL);
	waitpid(monitor, NULL, 0);
	kept = store_state_path(name_a, "workspace.frames", &err); /* it had no time to say so */
	assert_int_equal(bb_path_write_atomic(kept, "x", 1, 0600, &err), 0);

	assert_int_equal(store_reap(count_reaped, &told, &err), 1);
	assert_int_equal(told, 1);
	assert_int_equal(store_meta_read(name_a, &seen, &err), 0);
	assert_true(seen->workspace_kept && !seen->agent_kept);
	assert_true(seen->has_ended);
	assert_int_equal(seen->exit_code, 125);
	assert_string_equal(seen->reason, "its monitor was killed");
	store_meta_free(seen);
	assert_false(exists(store_run_dir(name_a, &err)));
	assert_int_equal(store_reap(count_reaped, &told, &err), 0);
	close(ready[0]);
	close(ready[1]);
}

static void a_launch_that_was_killed_leaves_nothing(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(store_reap(NULL, NULL, &err), 0); /* no root yet */
	assert_int_equal(store_create_state(name_a, &err), 0);
	assert_int_equal(store_create_state(name_a, &err), -EEXIST);
	{
		struct store_meta m = meta_of(name_b, NULL);
		int lock = -1;

		assert_int_equal(store_claim(&m, &lock, &err), 0);
		close(lock);
	}
	assert_int_equal(store_reap(NULL, NULL, &err), 2);
	assert_false(exists(store_state_dir(name_a, &err)));
	assert_true(exists(store_state_dir(name_b, &err)));
}

static void lists_are_sorted_and_hold_bottles_only(void **state)
{
	struct bb_err err = { 0 };
	char **names = store_list(&err), *stray;

	(void)state;
	assert_non_null(names);
	assert_null(names[0]);
	bb_strv_free(names);
	assert_int_equal(store_create_state(name_b, &err), 0);
	assert_int_equal(store_create_state(name_a, &err), 0);
	stray = bb_text_printf("%s/root/state/Not.One", test_home);
	assert_int_equal(mkdir(stray, 0700), 0);
	free(stray);
	names = store_list(&err);
	assert_int_equal(bb_strv_len(names), 2);
	assert_string_equal(names[0], name_a);
	assert_string_equal(names[1], name_b);
	bb_strv_free(names);
}

#define WITH_HOME(f) cmocka_unit_test_setup_teardown(f, home_setup, home_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOME(a_bottle_lives_as_long_as_its_lock),
		WITH_HOME(an_identity_is_used_once),
		WITH_HOME(a_label_is_free_again_when_its_bottle_ends),
		WITH_HOME(a_bottle_is_called_as_its_label_while_that_is_free),
		WITH_HOME(a_living_identity_is_no_label),
		WITH_HOME(asking_does_not_disturb_a_start),
		WITH_HOME(a_killed_monitor_is_noticed_by_the_next_command),
		WITH_HOME(a_launch_that_was_killed_leaves_nothing),
		WITH_HOME(lists_are_sorted_and_hold_bottles_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
