/* manifest/: the tables say enough for a schema, and the schema is whole. */
#include "../unit.h"

#include <string.h>

#include "manifest/schema.h"

static size_t rows;

static void check_shape(const struct manifest_key *key)
{
	const struct manifest_shape *s = key->shape;

	if (key->take == NULL) {
		assert_true(key->text[0] >= 'a' && key->text[0] <= 'z'); /* behind "'key' " */
		return;
	}
	switch (key->kind) {
	case MANIFEST_MAP:
		assert_non_null(s);
		assert_true((s->block != NULL) != (s->names != NULL));
		break;
	case MANIFEST_LIST:
		assert_non_null(s);
		assert_true(s->items != NULL || s->words == NULL);
		break;
	case MANIFEST_SCALAR:
	case MANIFEST_SCALAR_OR_LIST:
		assert_true(s == NULL || (s->block == NULL && s->names == NULL));
		break;
	}
}

static bool has_key(const struct manifest_block *block, const char *name, size_t n)
{
	for (size_t i = 0; i < block->count; i++)
		if (strlen(block->keys[i].name) == n && memcmp(block->keys[i].name, name, n) == 0 &&
		    block->keys[i].take != NULL)
			return true;
	return false;
}

static void check_needs(const struct manifest_block *block)
{
	const char *at = block->needs;

	while (at != NULL && *at != '\0') {
		size_t n = strcspn(at, " |");

		assert_true(has_key(block, at, n));
		at += n + (at[n] != '\0');
	}
}

static void check_block(const struct manifest_block *block)
{
	check_needs(block);
	for (size_t i = 0; i < block->count; i++) {
		const struct manifest_key *key = &block->keys[i];

		rows++;
		assert_true(key->text != NULL && key->text[0] != '\0');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(key->name, block->keys[k].name);
		check_shape(key);
		if (key->shape != NULL && key->shape->block != NULL)
			check_block(key->shape->block);
		if (key->shape != NULL && key->shape->items != NULL &&
		    key->shape->items->block != NULL)
			check_block(key->shape->items->block);
	}
}

static void every_row_says_what_its_value_holds(void **state)
{
	(void)state;
	rows = 0;
	check_block(&manifest_bottle_block);
	check_block(&manifest_agent_block);
	assert_true(rows > 50);
}

static void a_full_buffer_is_an_error_and_no_half_schema(void **state)
{
	BB_AUTO_BUF struct bb_buf small = { .cap = 100 };
	BB_AUTO_BUF struct bb_buf big = { .cap = 1 << 20 };

	(void)state;
	assert_int_equal(manifest_put_schema(&manifest_bottle_block, &small), -EMSGSIZE);
	assert_int_equal(manifest_put_schema(&manifest_bottle_block, &big), 0);
	assert_true(bb_buf_size(&big) > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_says_what_its_value_holds),
		cmocka_unit_test(a_full_buffer_is_an_error_and_no_half_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
