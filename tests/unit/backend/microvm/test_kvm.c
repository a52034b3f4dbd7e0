/* backend/microvm/kvm.c: the four ways in which KVM is not there, on injected devices and CPUs. */
#include "../../unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/microvm/kvm.h"
#include "base/path.h"
#include "base/text.h"

static char root[] = "/tmp/bb-kvm-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	return chmod(root, 0755);
}

static int tear_down(void **state)
{
	(void)state;
	return bb_path_remove_tree(root, NULL);
}

#define CPU(vendor, flags)                                                        \
	"processor\t: 0\nvendor_id\t: " vendor                                    \
	"\ncpu family\t: 6\nmodel name\t: Test CPU @ 1GHz\nflags\t\t: fpu " flags \
	" rdtscp\nbugs\t\t: vmx svm\n"

static void the_vendor_names_the_module(void **state)
{
	static const struct {
		const char *cpu, *module;
		bool can;
	} cases[] = {
		{ CPU("GenuineIntel", "vmx"), "kvm-intel", true },
		{ CPU("GenuineIntel", "sse"), "kvm-intel", false },
		{ CPU("AuthenticAMD", "svm"), "kvm-amd", true },
		{ CPU("AuthenticAMD", "svmx"), "kvm-amd", false },
		{ CPU("HygonGenuine", "svm"), "kvm-amd", true },
		{ CPU("CentaurHauls", "vmx"), "kvm-intel", true },
		{ CPU("  Shanghai  ", "vmx"), "kvm-intel", true },
		{ CPU("SomethingElse", "vmx"), NULL, true },
		{ "", NULL, false },
		{ "vendor_id", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bb_view cpu = bb_view_str(cases[i].cpu);
		const char *module = kvm_module(cpu);

		if ((module == NULL) != (cases[i].module == NULL) ||
		    (module != NULL && strcmp(module, cases[i].module) != 0) ||
		    kvm_cpu_can(cpu) != cases[i].can)
			fail_msg("case %zu: %s", i, module == NULL ? "none" : module);
	}
}

static void the_model_is_the_first_cpus(void **state)
{
	char model[32], small[5];

	(void)state;
	kvm_cpu_model(bb_view_str(CPU("GenuineIntel", "vmx")), model, sizeof(model));
	assert_string_equal(model, "Test CPU @ 1GHz");
	kvm_cpu_model(bb_view_str(CPU("GenuineIntel", "vmx")), small, sizeof(small));
	assert_string_equal(small, "Test");
}

/* Looks with a device and a CPU of the test's own. */
static struct kvm_look look_at(const char *device, const char *cpu)
{
	char *cpuinfo = bb_text_printf("%s/cpuinfo", root);
	char *path = bb_text_printf("%s/%s", root, device);
	struct kvm_paths paths = { .device = path,
				   .cpuinfo = cpuinfo,
				   .os_release = "/nonexistent" };
	struct kvm_look look;

	assert_int_equal(bb_path_write_atomic(cpuinfo, cpu, strlen(cpu), 0644, NULL), 0);
	kvm_look(&paths, &look);
	free(cpuinfo);
	free(path);
	return look;
}

static void no_device_and_no_virtualisation_is_the_firmware(void **state)
{
	struct kvm_look look = look_at("missing", CPU("AuthenticAMD", "sse"));

	(void)state;
	assert_int_equal(look.finding, KVM_NOT_ENABLED);
	assert_non_null(strstr(look.mend, "firmware"));
	assert_null(strstr(look.mend, "modprobe"));
}

static void no_device_on_a_cpu_that_can_is_a_module(void **state)
{
	struct kvm_look look = look_at("missing", CPU("AuthenticAMD", "svm"));

	(void)state;
	assert_int_equal(look.finding, KVM_NOT_LOADED);
	assert_non_null(strstr(look.mend, "modprobe kvm-amd"));
	look = look_at("missing", CPU("GenuineIntel", "vmx"));
	assert_int_equal(look.finding, KVM_NOT_LOADED);
	assert_non_null(strstr(look.mend, "modprobe kvm-intel"));
}

/* NixOS keeps modules and groups in its configuration: commands would be undone. */
static void nixos_is_mended_by_its_configuration(void **state)
{
	static const struct {
		const char *os_release;
		bool is_nixos;
	} cases[] = {
		{ "NAME=NixOS\nID=nixos\n", true },
		{ "ID=\"nixos\"\n", true },
		{ "NAME=Debian\nID=debian\nID_LIKE=nixos\n", false },
		{ "", false },
	};
	char *cpuinfo = bb_text_printf("%s/cpuinfo", root);
	char *release = bb_text_printf("%s/os-release", root);
	const char *cpu = CPU("AuthenticAMD", "svm");
	struct kvm_paths paths = { "/nonexistent/kvm", cpuinfo, release };

	(void)state;
	assert_int_equal(bb_path_write_atomic(cpuinfo, cpu, strlen(cpu), 0644, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].os_release;
		struct kvm_look look;

		assert_int_equal(bb_path_write_atomic(release, text, strlen(text), 0644, NULL), 0);
		kvm_look(&paths, &look);
		assert_int_equal(look.finding, KVM_NOT_LOADED);
		assert_int_equal(strstr(look.mend, "boot.kernelModules = [ \"kvm-amd\" ];") !=
						 NULL &&
					 strstr(look.mend, "nixos-rebuild switch") != NULL,
				 cases[i].is_nixos);
		assert_int_equal(strstr(look.mend, "modprobe kvm-amd") != NULL, !cases[i].is_nixos);
	}
	free(cpuinfo);
	free(release);
}

static void a_device_that_is_something_else_is_not_usable(void **state)
{
	struct kvm_look look;
	char *path = bb_text_printf("%s/plain", root);

	(void)state;
	assert_int_equal(bb_path_write_atomic(path, "x", 1, 0666, NULL), 0);
	look = look_at("plain", CPU("AuthenticAMD", "svm"));
	assert_int_equal(look.finding, KVM_NOT_USABLE);
	assert_non_null(strstr(look.text, "not usable"));
	free(path);
}

/* Another user's 0600 file, as root sees it only after giving up root: in a child. */
static void a_device_of_another_user_names_what_to_do(void **state)
{
	char *path = bb_text_printf("%s/foreign", root);
	struct kvm_look look;
	pid_t child;
	int status = 0;

	(void)state;
	assert_int_equal(bb_path_write_atomic(path, "x", 1, 0600, NULL), 0);
	(void)look_at("missing",
		      CPU("AuthenticAMD", "svm")); /* leaves cpuinfo readable for the child */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char *cpuinfo = bb_text_printf("%s/cpuinfo", root);
		struct kvm_paths paths = { .device = path,
					   .cpuinfo = cpuinfo,
					   .os_release = "/nonexistent" };

		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		if (geteuid() != 65534 &&
		    chmod(path, 0) < 0) /* our own file: not even we may open it */
			_exit(3);
		kvm_look(&paths, &look);
		_exit(look.finding == KVM_NOT_PERMITTED &&
				      strstr(look.mend, "log in again") != NULL &&
				      strstr(look.mend, "usermod -aG kvm") != NULL
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vendor_names_the_module),
		cmocka_unit_test(the_model_is_the_first_cpus),
		cmocka_unit_test(no_device_and_no_virtualisation_is_the_firmware),
		cmocka_unit_test(no_device_on_a_cpu_that_can_is_a_module),
		cmocka_unit_test(nixos_is_mended_by_its_configuration),
		cmocka_unit_test(a_device_that_is_something_else_is_not_usable),
		cmocka_unit_test(a_device_of_another_user_names_what_to_do),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
