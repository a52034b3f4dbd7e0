/* image/oci_text.c, image/sha256.c and the name of an archive. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/image_impl.h"
#include "image/oci_text.h"

/* FIPS 180-4's examples and the empty message. */
static void the_standards_vectors_pass(void **state)
{
	static const struct {
		const char *text;
		size_t repeat;
		const char *digest;
	} vectors[] = {
		{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "a", 1000000,
		  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(vectors); i++) {
		char digest[SHA256_DIGITS + 1];
		struct sha256 s;

		sha256_init(&s);
		for (size_t k = 0; k < vectors[i].repeat; k++)
			sha256_update(&s, vectors[i].text, strlen(vectors[i].text));
		sha256_final_hex(&s, digest);
		assert_string_equal(digest, vectors[i].digest);
	}
}

static void a_region_is_hashed_wherever_the_position_is(void **state)
{
	char path[] = "/tmp/bb-oci-XXXXXX", digest[SHA256_DIGITS + 1];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(bb_fd_write_all(fd, "xxabcyy", 7), 0);
	assert_int_equal(sha256_region_hex(fd, 2, 3, digest), 0);
	assert_string_equal(digest,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(sha256_region_hex(fd, 2, 6, digest), -ENODATA);
	(void)close(fd);
}

static const struct oci_image example = {
	.name = "claude",
	.id = "0123456789abcdef0123456789abcdef01234567",
	.architecture = "amd64",
	.layers = { { "1111111111111111111111111111111111111111111111111111111111111111", 10 },
		    { "2222222222222222222222222222222222222222222222222222222222222222",
		      8589934592 } },
	.layer_count = 2,
	.config = { "3333333333333333333333333333333333333333333333333333333333333333", 30 },
	.manifest = { "4444444444444444444444444444444444444444444444444444444444444444", 40 },
};

static json_t *written(int (*put)(struct bb_buf *out, const struct oci_image *o))
{
	BB_AUTO_BUF struct bb_buf b = { .cap = OCI_TEXT_MAX };
	struct bb_view v;
	json_t *j;

	assert_int_equal(put(&b, &example), 0);
	v = bb_buf_peek(&b);
	j = json_loadb((const char *)v.p, v.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	return j;
}

static void the_texts_name_layers_in_order(void **state)
{
	json_t *config = written(oci_put_config), *manifest = written(oci_put_manifest);
	json_t *index = written(oci_put_index), *docker = written(oci_put_docker);
	const char *user, *entry, *command, *diff, *layer, *reference, *tag, *file;
	json_int_t size, config_size, manifest_size;

	(void)state;
	assert_int_equal(json_unpack(config, "{s:{s:s, s:[s], s:[s]}, s:{s:[s, s]}}", "config",
				     "User", &user, "Entrypoint", &entry, "Cmd", &command, "rootfs",
				     "diff_ids", &diff, &layer),
			 0);
	assert_string_equal(user, "0:0"); /* bottle-init drops to the agent itself */
	assert_string_equal(entry, "/bottle-init");
	assert_string_equal(command, "--idle"); /* never ends */
	assert_memory_equal(diff, "sha256:1111", 11);
	assert_memory_equal(layer, "sha256:2222", 11);
	assert_int_equal(json_unpack(manifest, "{s:{s:I}, s:[{s:s}, {s:I}]}", "config", "size",
				     &config_size, "layers", "digest", &layer, "size", &size),
			 0);
	assert_memory_equal(layer, "sha256:1111", 11);
	assert_int_equal(size, 8589934592);
	assert_int_equal(config_size, 30);
	assert_int_equal(json_unpack(index, "{s:[{s:I, s:{s:s}}]}", "manifests", "size",
				     &manifest_size, "annotations",
				     "org.opencontainers.image.ref.name", &reference),
			 0);
	assert_int_equal(manifest_size, 40);
	assert_string_equal(reference, "claude");
	assert_int_equal(json_unpack(docker, "[{s:s, s:[s], s:[s, s]}]", "Config", &file,
				     "RepoTags", &tag, "Layers", &diff, &layer),
			 0);
	assert_memory_equal(file, "blobs/sha256/3333", 17);
	assert_string_equal(tag, "bot-bottle/claude:0123456789ab");
	assert_memory_equal(layer, "blobs/sha256/2222", 17);
	json_decref(config);
	json_decref(manifest);
	json_decref(index);
	json_decref(docker);
}

static void a_tar_header_has_limits(void **state)
{
	uint8_t h[OCI_TAR_BLOCK];
	char name[102];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[101] = '\0';
	assert_int_equal(oci_tar_header(name, 1, h), -EINVAL);
	name[100] = '\0';
	assert_int_equal(oci_tar_header(name, 1, h), 0);
	assert_int_equal(oci_tar_header("", 1, h), -EINVAL);
	assert_int_equal(oci_tar_header("a", 1ULL << 33, h), -EFBIG);
	assert_int_equal(oci_tar_header("a", (1ULL << 33) - 1, h), 0);
	assert_string_equal((char *)h + 124, "77777777777");
	assert_int_equal(oci_tar_header("a/", 0, h), 0);
	assert_int_equal(h[156], '5');
}

static void only_an_archives_name_is_taken_for_one(void **state)
{
	static const char good[] =
		"oci-3333333333333333333333333333333333333333333333333333333333333333-"
		"0123456789abcdef.tar";
	struct image_oci_name name;
	char bad[sizeof(good)];

	(void)state;
	assert_true(image_oci_parse(good, &name));
	assert_string_equal(name.digest, example.config.digest);
	assert_string_equal(name.init, "0123456789abcdef");
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		memcpy(bad, good, sizeof(good));
		bad[i] = '/';
		assert_false(image_oci_parse(bad, &name));
		bad[i] = '\0';
		assert_false(image_oci_parse(bad, &name));
	}
	assert_false(image_oci_parse("root.erofs", &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standards_vectors_pass),
		cmocka_unit_test(a_region_is_hashed_wherever_the_position_is),
		cmocka_unit_test(the_texts_name_layers_in_order),
		cmocka_unit_test(a_tar_header_has_limits),
		cmocka_unit_test(only_an_archives_name_is_taken_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
