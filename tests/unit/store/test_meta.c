/* store/meta.c: metadata comes back as it was written; damage is an error. */
#include "../unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "home.h"
#include "store/store.h"
#include "store/store_impl.h"

static char name_id[] = "dev-abcde", name_agent[] = "dev", name_backend[] = "namespace",
	    name_label[] = "work", name_reason[] = "line one\nline \"two\" \x80";

static const struct store_meta sample = {
	.identity = name_id,
	.agent = name_agent,
	.backend = name_backend,
	.label = name_label,
	.started_at = 1700000000,
	.is_headless = true,
	.has_ended = true,
	.exit_code = 137,
	.reason = name_reason,
	.workspace_kept = true,
};

static void what_is_written_is_read(void **state)
{
	struct store_meta *m = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(store_create_state("dev-abcde", &err), 0);
	assert_int_equal(store_meta_write(&sample, &err), 0);
	assert_int_equal(store_meta_read("dev-abcde", &m, &err), 0);
	assert_string_equal(m->agent, "dev");
	assert_string_equal(m->label, "work");
	assert_null(m->color);
	assert_null(m->problem);
	assert_true(m->started_at == 1700000000);
	assert_true(m->is_headless && m->has_ended && m->workspace_kept);
	assert_int_equal(m->exit_code, 137);
	assert_string_equal(m->reason, "line one\\x0aline \"two\" \\x80");
	store_meta_free(m);
}

static const char *const damages[] = {
	"",
	"[]",
	"{}",
	"{\"version\": 1",
	"{\"version\": 1, \"identity\": \"other\", \"agent\": \"a\", \"backend\": \"b\", "
	"\"started_at\": 1, \"is_headless\": true, \"has_ended\": true}",
	"{\"version\": 1, \"identity\": \"dev-abcde\", \"agent\": 7, \"backend\": \"b\", "
	"\"started_at\": 1, \"is_headless\": true, \"has_ended\": true}",
	"{\"version\": 1, \"identity\": \"dev-abcde\", \"agent\": \"a\", \"backend\": \"b\", "
	"\"started_at\": -1, \"is_headless\": true, \"has_ended\": true}",
	"{\"version\": 1, \"identity\": \"dev-abcde\", \"agent\": \"a\", \"backend\": \"b\", "
	"\"started_at\": 1, \"is_headless\": true, \"has_ended\": true, \"exit_code\": 256}",
	"{\"version\": 1, \"version\": 1, \"identity\": \"dev-abcde\", \"agent\": \"a\", "
	"\"backend\": \"b\", \"started_at\": 1, \"is_headless\": true, \"has_ended\": true}",
};

static void damage_is_an_error_with_a_sentence(void **state)
{
	struct bb_err err = { 0 };
	char *path;

	(void)state;
	assert_int_equal(store_create_state("dev-abcde", &err), 0);
	path = store_state_path("dev-abcde", "metadata.json", &err);
	assert_non_null(path);
	for (size_t i = 0; i < BB_ARRAY_LEN(damages); i++) {
		struct store_meta *m = NULL;
		struct bb_err bad = { 0 };
		int r;

		assert_int_equal(
			bb_path_write_atomic(path, damages[i], strlen(damages[i]), 0600, &err), 0);
		r = store_meta_read("dev-abcde", &m, &bad);
		assert_error(r, -EBADMSG, bad);
		assert_null(m);
	}
	free(path);
}

static void another_version_is_not_damage(void **state)
{
	static const char text[] =
		"{\"version\": 2, \"identity\": \"dev-abcde\", \"agent\": \"a\", "
		"\"backend\": \"b\", \"started_at\": 1, \"is_headless\": true, "
		"\"has_ended\": true}";
	struct store_meta *m = NULL;
	struct bb_err err = { 0 };
	char *path;

	(void)state;
	assert_int_equal(store_create_state("dev-abcde", &err), 0);
	path = store_state_path("dev-abcde", "metadata.json", &err);
	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(store_meta_read("dev-abcde", &m, &err), -EPROTO);
	/* A newer bot-bottle's: it is left alone. */
	assert_int_equal(store_reap(NULL, NULL, NULL), 0);
	assert_int_equal(store_meta_read("dev-abcde", &m, &err), -EPROTO);
	free(path);
}

static void a_symlink_is_not_followed(void **state)
{
	struct store_meta *m = NULL;
	struct bb_err err = { 0 };
	char *path;

	(void)state;
	assert_int_equal(store_create_state("dev-abcde", &err), 0);
	path = store_state_path("dev-abcde", "metadata.json", &err);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_true(store_meta_read("dev-abcde", &m, &err) < 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(damage_is_an_error_with_a_sentence, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(another_version_is_not_damage, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(a_symlink_is_not_followed, home_setup,
						home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
