/* backend/microvm/shape.c: what QEMU is told, and what it is never told. */
#include "../../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/microvm/shape.h"
#include "base/text.h"

static const struct shape usual = { .cpus = 2,
				    .memory_bytes = 2048ULL << 20,
				    .layers = 2,
				    .has_disk = true,
				    .has_stream = true,
				    .tsc_khz = 2450123 };

/* All arguments in one string, blanks between. */
static char *joined(const struct shape *s)
{
	char **argv = shape_argv(s, "/usr/bin/qemu");
	char *all = bb_text_printf(" ");

	assert_non_null(argv);
	for (size_t i = 0; argv[i] != NULL; i++) {
		char *more = bb_text_printf("%s%s ", all, argv[i]);

		free(all);
		all = more;
	}
	bb_strv_free(argv);
	return all;
}

static void emulation_gets_its_two_cures_and_kvm_neither(void **state)
{
	struct shape s = usual;
	char *all = joined(&s);

	(void)state;
	assert_non_null(strstr(all, " -accel tcg"));
	assert_non_null(strstr(all, " max,erms=off "));
	assert_non_null(strstr(all, " tsc_early_khz=2450123"));
	free(all);
	s.uses_kvm = true;
	all = joined(&s);
	assert_non_null(strstr(all, " -accel kvm -cpu host "));
	assert_null(strstr(all, "tsc_early_khz"));
	assert_null(strstr(all, "erms"));
	free(all);
}

static void an_unmeasured_counter_is_not_guessed(void **state)
{
	struct shape s = usual;
	char *args;

	(void)state;
	s.tsc_khz = 0;
	args = shape_kernel_args(&s);
	assert_null(strstr(args, "tsc_early_khz"));
	free(args);
}

static void the_disk_stands_behind_the_layers(void **state)
{
	static const struct {
		size_t layers;
		bool has_disk;
		const char *words;
	} cases[] = {
		{ 1, true, "bb.layers=1 bb.rw=vdb" },
		{ 2, true, "bb.layers=2 bb.rw=vdc" },
		{ 8, true, "bb.layers=8 bb.rw=vdi" },
		{ 1, false, "bb.layers=1 bb.rw=tmpfs" },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct shape s = usual;
		char *all;

		s.layers = cases[i].layers;
		s.has_disk = cases[i].has_disk;
		all = joined(&s);
		assert_non_null(strstr(all, cases[i].words));
		assert_true((strstr(all, "node-name=disk") != NULL) == cases[i].has_disk);
		free(all);
	}
}

static void layers_are_read_only_and_files_are_descriptors(void **state)
{
	char *all = joined(&usual);

	(void)state;
	assert_non_null(strstr(all, "filename=/dev/fdset/10,locking=off,read-only=on "));
	assert_non_null(strstr(all, "filename=/dev/fdset/11,locking=off,read-only=on "));
	assert_non_null(strstr(all, "filename=/dev/fdset/7,locking=off,read-only=off"));
	assert_non_null(strstr(all, " -kernel /proc/self/fd/5 -initrd /proc/self/fd/6 "));
	free(all);
}

/* Every device there is: a network card, a shared folder or a monitor would be one more way out. */
static void the_machine_has_these_devices_only(void **state)
{
	static const char *const allowed[] = { "virtio-rng-device,rng=rng",
					       "virtio-blk-device,drive=", "virtio-serial-device,",
					       "virtserialport,chardev=stream,name=bot-bottle.0" };
	static const char *const never[] = { "-netdev", "-nic",     "-net", "-fsdev",
					     "-virtfs", "-monitor", "-qmp", "-vnc",
					     "-gdb",    "-s",       "-usb", "-drive" };
	char **argv = shape_argv(&usual, "/usr/bin/qemu");
	bool has_nodefaults = false, has_sandbox = false;

	(void)state;
	for (size_t i = 0; argv[i] != NULL; i++) {
		bool is_allowed = strcmp(argv[i], "-device") != 0;

		for (size_t k = 0; k < 4 && !is_allowed; k++)
			is_allowed = strncmp(argv[i + 1], allowed[k], strlen(allowed[k])) == 0;
		if (!is_allowed)
			fail_msg("device '%s'", argv[i + 1]);
		for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++)
			assert_string_not_equal(argv[i], never[k]);
		has_nodefaults |= strcmp(argv[i], "-nodefaults") == 0;
		has_sandbox |=
			strncmp(argv[i], "on,obsolete=deny,elevateprivileges=deny,spawn=deny",
				50) == 0;
	}
	assert_true(has_nodefaults && has_sandbox);
	bb_strv_free(argv);
}

static void a_probe_has_neither_disk_nor_stream(void **state)
{
	struct shape s = {
		.uses_kvm = true, .is_probe = true, .cpus = 1, .memory_bytes = 256 << 20
	};
	char *all = joined(&s);

	(void)state;
	assert_non_null(strstr(all, " bb.probe=1 "));
	assert_null(strstr(all, "bb.layers"));
	assert_null(strstr(all, "virtserialport"));
	assert_null(strstr(all, "virtio-blk"));
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emulation_gets_its_two_cures_and_kvm_neither),
		cmocka_unit_test(an_unmeasured_counter_is_not_guessed),
		cmocka_unit_test(the_disk_stands_behind_the_layers),
		cmocka_unit_test(layers_are_read_only_and_files_are_descriptors),
		cmocka_unit_test(the_machine_has_these_devices_only),
		cmocka_unit_test(a_probe_has_neither_disk_nor_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
