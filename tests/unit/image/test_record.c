/* image/: records, finding, listing, removing: on images made by hand in a directory of the test's
 * own. */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/text.h"
#include "image/build.h"
#include "image/image.h"
#include "image/image_impl.h"

#define BASE_ID  "0000000000000000000000000000000000000001"
#define CHILD_ID "0000000000000000000000000000000000000002"

static char root[] = "/tmp/bb-image-XXXXXX";
static char *images;

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(setenv("XDG_CACHE_HOME", root, 1), 0);
	images = bb_text_printf("%s/bot-bottle/images", root);
	return bb_path_mkdirs(images, 0755, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	free(images);
	return bb_path_remove_tree(root, NULL);
}

static void make_image(const char *name, const char *id, const char *parent, const char *kernel)
{
	char one[] = "a 1", two[] = "b 2";
	char *packages[] = { one, two, NULL };
	struct image_record r = { .built_at = 7, .packages = packages };
	char *dir = bb_text_printf("%s/%s", images, id);
	char *link = bb_text_printf("%s/%s", images, name);

	r.name = bb_text_printf("%s", name);
	r.parent_id = parent == NULL ? NULL : bb_text_printf("%s", parent);
	r.kernel_version = kernel == NULL ? NULL : bb_text_printf("%s", kernel);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(image_record_write(dir, &r, NULL), 0);
	assert_int_equal(symlink(id, link), 0);
	r.packages = NULL;
	image_record_done(&r);
	free(dir);
	free(link);
}

static void an_image_is_its_layers_top_first(void **state)
{
	struct bb_err err = { 0 };
	struct image *img = NULL;

	(void)state;
	assert_error(image_find("claude", &img, &err), BB_E_MISSING, err);
	assert_non_null(strstr(err.msg, "bot-bottle image build claude"));
	make_image("base", BASE_ID, NULL, "6.1.0-test");
	make_image("claude", CHILD_ID, BASE_ID, NULL);
	assert_int_equal(image_find("claude", &img, &err), 0);
	assert_int_equal(img->layer_count, 2);
	assert_non_null(strstr(img->erofs[0], CHILD_ID "/root.erofs"));
	assert_non_null(strstr(img->dirs[1], BASE_ID "/root"));
	assert_non_null(strstr(img->kernel, BASE_ID "/vmlinuz"));
	assert_string_equal(img->kernel_version, "6.1.0-test");
	image_free(img);
}

static void the_host_needs_no_image(void **state)
{
	struct image *img = NULL;

	(void)state;
	assert_int_equal(image_find("host", &img, NULL), 0);
	assert_true(img->is_host);
	assert_null(img->kernel);
	image_free(img);
}

static void names_cannot_leave_the_directory(void **state)
{
	static const char *const names[] = { "", "..", "a/b", "/etc", "A" };
	struct image *img = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bb_err err = { 0 };

		assert_error(image_find(names[i], &img, &err), BB_E_USAGE, err);
	}
}

static void the_list_shows_what_there_is(void **state)
{
	struct image_info *list = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(image_list(&list, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_string_equal(list[0].name, "base");
	assert_string_equal(list[1].parent, "base");
	assert_int_equal(list[0].package_count, 2);
	assert_true(list[0].is_current);
	assert_false(list[0].is_used);
	image_info_free(list, count);
}

static void what_is_used_is_not_removed(void **state)
{
	struct bb_err err = { 0 };
	struct image *img = NULL;

	(void)state;
	assert_error(image_remove("base", &err), -EBUSY, err); /* claude stands on it */
	assert_non_null(strstr(err.msg, "claude"));
	assert_int_equal(image_find("claude", &img, NULL), 0);
	err = (struct bb_err){ 0 };
	assert_error(image_remove("claude", &err), -EBUSY, err); /* a bottle holds it */
	image_free(img);
	assert_int_equal(image_remove("claude", &err), 0);
	err = (struct bb_err){ 0 };
	assert_error(image_remove("claude", &err), BB_E_MISSING, err);
	assert_int_equal(image_remove(BASE_ID, NULL), 0);
}

static void a_damaged_record_is_one_sentence(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"format\": 2}",
		"{\"format\":1,\"name\":\"x\",\"parent\":null,\"kernel_version\":null,\"built_at\":"
		"-1,\"packages\":[]}",
		"{\"format\":1,\"name\":\"../"
		"x\",\"parent\":null,\"kernel_version\":null,\"built_at\":1,\"packages\":[]}",
		"{\"format\":1,\"name\":\"x\",\"parent\":\"../../"
		"etc\",\"kernel_version\":null,\"built_at\":1,\"packages\":[]}",
		"{\"format\":1,\"name\":\"x\",\"parent\":null,\"kernel_version\":null,\"built_at\":"
		"1,\"packages\":[1]}",
		"{\"format\":1,\"name\":\"x\",\"parent\":null,\"kernel_version\":null,\"built_at\":"
		"1,\"packages\":[],\"a\":1}",
	};
	char *path = bb_text_printf("%s/image.json", root);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct image_record r = { 0 };
		struct bb_err err = { 0 };

		assert_int_equal(bb_path_write_atomic(path, texts[i], strlen(texts[i]), 0644, NULL),
				 0);
		if (image_record_read(root, &r, &err) != -EPROTO ||
		    strstr(err.msg, "build the image again") == NULL)
			fail_msg("text %zu: %d '%s'", i, err.code, err.msg);
	}
	free(path);
}

static void an_unknown_image_is_not_built(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_error(image_build("claud", false, NULL, NULL, &err), BB_E_USAGE, err);
	assert_non_null(strstr(err.msg, "did you mean 'claude'?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_its_layers_top_first),
		cmocka_unit_test(the_host_needs_no_image),
		cmocka_unit_test(names_cannot_leave_the_directory),
		cmocka_unit_test(the_list_shows_what_there_is),
		cmocka_unit_test(what_is_used_is_not_removed),
		cmocka_unit_test(a_damaged_record_is_one_sentence),
		cmocka_unit_test(an_unknown_image_is_not_built),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
