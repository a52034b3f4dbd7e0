/* base/distro.c: the word for each distribution, from what os-release really looks like. */
#include "../unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/distro.h"

#define NIXOS(package)                                                                            \
	"put environment.systemPackages = [ pkgs." package " ]; into configuration.nix and run: " \
	"sudo nixos-rebuild switch"
static const char nixos_qemu[] = NIXOS("qemu");
static const char nixos_registry[] = NIXOS("docker-distribution");
static const char nixos_skopeo[] = NIXOS("skopeo");

static void it_is_told_by_its_id_else_by_what_it_is_like(void **state)
{
	static const struct {
		const char *text;
		enum bb_distro want;
	} cases[] = {
		{ "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", BB_DISTRO_DEBIAN },
		{ "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n", BB_DISTRO_DEBIAN },
		{ "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", BB_DISTRO_DEBIAN },
		{ "NAME=\"Fedora Linux\"\nID=fedora\n", BB_DISTRO_FEDORA },
		{ "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", BB_DISTRO_FEDORA },
		{ "ID='arch'\n", BB_DISTRO_ARCH },
		{ "ID=endeavouros\nID_LIKE=\"arch\"", BB_DISTRO_ARCH },
		{ "NAME=NixOS\nID=nixos\n", BB_DISTRO_NIXOS },
		{ "ID=debian\nID_LIKE=nixos\n", BB_DISTRO_DEBIAN },
		{ "ID=void\n", BB_DISTRO_OTHER },
		{ "VERSION_ID=\"12\"\nXID=debian\n# ID=arch\n", BB_DISTRO_OTHER },
		{ "ID=\"\n", BB_DISTRO_OTHER },
		{ "ID=", BB_DISTRO_OTHER },
		{ "", BB_DISTRO_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		if (bb_distro_parse(bb_view_str(cases[i].text)) != cases[i].want)
			fail_msg("case %zu: %s", i, cases[i].text);
	assert_int_equal(bb_distro_read("/nonexistent"), BB_DISTRO_OTHER);
}

static void each_has_its_own_command_and_name(void **state)
{
	static const struct {
		const char *package;
		const char *want[BB_NUM_DISTROS];
	} cases[] = {
		{ "qemu-system-x86",
		  { "install what Debian's package 'qemu-system-x86' has",
		    "run: sudo apt install qemu-system-x86",
		    "run: sudo dnf install qemu-system-x86-core",
		    "run: sudo pacman -S qemu-system-x86", nixos_qemu } },
		{ "docker-registry",
		  { "install what Debian's package 'docker-registry' has",
		    "run: sudo apt install docker-registry",
		    "run: sudo dnf install docker-distribution",
		    "install what Debian's package 'docker-registry' has", nixos_registry } },
		{ "skopeo",
		  { "install what Debian's package 'skopeo' has", "run: sudo apt install skopeo",
		    "run: sudo dnf install skopeo", "run: sudo pacman -S skopeo", nixos_skopeo } },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		for (int d = 0; d < BB_NUM_DISTROS; d++) {
			char text[BB_DISTRO_INSTALL_MAX];

			assert_string_equal(bb_distro_install((enum bb_distro)d, cases[i].package,
							      text, sizeof(text)),
					    cases[i].want[d]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_told_by_its_id_else_by_what_it_is_like),
		cmocka_unit_test(each_has_its_own_command_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
