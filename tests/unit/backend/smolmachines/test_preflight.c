/* backend/smolmachines/preflight.c: every finding has its line, its mend, and its word on whether a
 * start may be tried. */
#include "../../unit.h"

#include <string.h>

#include "backend/smolmachines/preflight.h"
#include "base/cleanup.h"

static char smolvm_path[] = "/usr/bin/smolvm";

/* A host on which everything is as it should be. */
static struct smol_seen good_host(void)
{
	return (struct smol_seen){
		.vm = { .path = smolvm_path, .version = { 1, 8, 0 }, .mode = SMOLVM_SOCKET },
		.kvm = { .finding = KVM_OPENS, .text = "'/dev/kvm' opens" },
		.proof = SMOL_PROOF_DONE,
		.proof_ms = 1234,
		.distro = BB_DISTRO_DEBIAN,
	};
}

static struct backend_report report;

static const struct backend_check *row(const char *name)
{
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.checks[i].name, name) == 0)
			return &report.checks[i];
	fail_msg("no row '%s'", name);
	return NULL;
}

static void assert_row(const char *name, enum backend_check_state state, const char *text,
		       const char *mend)
{
	const struct backend_check *c = row(name);

	if (c->state != state || strstr(c->text, text) == NULL || strstr(c->mend, mend) == NULL)
		fail_msg("%s: %d '%s' mend '%s'", name, (int)c->state, c->text, c->mend);
}

/* A start is stopped, by the sentence of this row. */
static void assert_stops(struct smol_seen *s, const char *name, const char *text, const char *mend)
{
	struct bb_err err = { 0 };

	assert_error(smol_judge(s, &report, &err), BB_E_MISSING, err);
	assert_row(name, BACKEND_CHECK_FAIL, text, mend);
	assert_non_null(strstr(err.msg, row(name)->text));
}

static void assert_may_start(struct smol_seen *s)
{
	struct bb_err err = { 0 };

	if (smol_judge(s, &report, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_good_host_may_start(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	assert_may_start(&s);
	assert_row("smolvm", BACKEND_CHECK_OK, "/usr/bin/smolvm", "");
	assert_row("version", BACKEND_CHECK_OK, "1.8.0, socket mode: no network at all", "");
	assert_row("kvm-device", BACKEND_CHECK_OK, "is there", "");
	assert_row("kvm-access", BACKEND_CHECK_OK, "read and written", "");
	assert_row("kvm-proof", BACKEND_CHECK_OK, "usable: a guest said hello under KVM after 1234",
		   "");
	assert_row("network-namespace", BACKEND_CHECK_OK, "not needed", "");
	assert_string_equal(report.accelerator, "kvm");
}

static void it_is_always_said_that_no_real_smolvm_verified_it(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	assert_may_start(&s);
	assert_row("verified", BACKEND_CHECK_WARN, "not yet verified on a real smolvm", "");
}

static void no_smolvm_says_what_to_install(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.vm.path = NULL;
	s.version_result = BB_E_MISSING;
	assert_stops(&s, "smolvm", "not on PATH", "install smolvm 1.7.5 or later");
	assert_non_null(strstr(row("smolvm")->mend, "sha256sum --check"));
	assert_row("version", BACKEND_CHECK_WARN, "not looked at", "");
	assert_row("network-namespace", BACKEND_CHECK_WARN, "not looked at", "");
}

static void a_refused_version_says_the_gates_reason(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.vm.version = (struct smolvm_version){ 1, 2, 0 };
	s.version_result = smolvm_version_gate(&s.vm.version, &s.vm.mode, &s.version_why);
	assert_stops(&s, "version", "smolvm 1.2.0 is refused", "");
	assert_non_null(strstr(row("version")->text, "install smolvm 1.7.5"));
}

static void a_missing_device_stops(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.kvm = (struct kvm_look){ .finding = KVM_NOT_ENABLED,
				   .text = "shows no virtualisation",
				   .mend = "switch on Intel VT-x" };
	assert_stops(&s, "kvm-device", "no virtualisation", "VT-x");
	s.kvm = (struct kvm_look){ .finding = KVM_NOT_LOADED,
				   .text = "its module is not loaded",
				   .mend = "run: sudo modprobe kvm-amd" };
	assert_stops(&s, "kvm-device", "not loaded", "modprobe kvm-amd");
	assert_row("kvm-access", BACKEND_CHECK_WARN, "not looked at", "");
	assert_row("kvm-proof", BACKEND_CHECK_WARN, "not proven: there is no device", "");
}

static void no_permission_stops(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.kvm = (struct kvm_look){ .finding = KVM_NOT_PERMITTED,
				   .text = "open to group 'kvm' only",
				   .mend = "run: sudo usermod -aG kvm u, then log in again" };
	assert_stops(&s, "kvm-access", "group 'kvm'", "log in again");
	assert_row("kvm-device", BACKEND_CHECK_OK, "is there", "");
	assert_row("kvm-proof", BACKEND_CHECK_WARN, "not proven", "");
}

static void a_device_that_does_not_work_stops(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.kvm = (struct kvm_look){ .finding = KVM_NOT_USABLE,
				   .text = "makes no virtual machine",
				   .mend = "another hypervisor" };
	assert_stops(&s, "kvm-proof", "makes no virtual machine", "another hypervisor");
	assert_row("kvm-access", BACKEND_CHECK_OK, "read and written", "");
}

static void a_failed_proof_stops(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.proof = SMOL_PROOF_FAILED;
	(void)snprintf(s.proof_why, sizeof(s.proof_why), "a guest ended before its hello");
	assert_stops(&s, "kvm-proof", "not usable: a guest ended before its hello", "microvm");
}

/* Never "usable", whatever is missing for the proof; and not a reason to stop either. */
static void without_a_proof_it_is_not_proven(void **state)
{
	static const struct {
		enum smol_proof proof;
		const char *text, *mend;
	} cases[] = {
		{ SMOL_PROOF_NO_QEMU, "QEMU, whose guest would prove it, is not installed",
		  "apt install qemu-system-x86" },
		{ SMOL_PROOF_NO_IMAGE, "image 'base', whose kernel would prove it, is not built",
		  "bot-bottle image build base" },
		{ SMOL_PROOF_NOT_TRIED, "no guest has been tried",
		  "bot-bottle doctor --backend smolmachines" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct smol_seen s = good_host();

		s.proof = cases[i].proof;
		assert_may_start(&s);
		assert_row("kvm-proof", BACKEND_CHECK_WARN, "not proven", cases[i].mend);
		assert_row("kvm-proof", BACKEND_CHECK_WARN, cases[i].text, "");
		assert_null(strstr(row("kvm-proof")->text, "usable"));
		assert_string_equal(report.accelerator, "KVM, not proven");
	}
}

/* What to type is what this distribution understands. */
static void the_mend_is_in_the_words_of_the_distribution(void **state)
{
	static const struct {
		enum bb_distro distro;
		const char *qemu, *smolvm;
	} cases[] = {
		{ BB_DISTRO_DEBIAN, "sudo apt install qemu-system-x86", "docs/linux.md" },
		{ BB_DISTRO_FEDORA, "sudo dnf install qemu-system-x86-core", "docs/linux.md" },
		{ BB_DISTRO_ARCH, "sudo pacman -S qemu-system-x86", "docs/linux.md" },
		{ BB_DISTRO_NIXOS, "pkgs.qemu", "github:smol-machines/smolvm" },
		{ BB_DISTRO_OTHER, "Debian's package 'qemu-system-x86'", "docs/linux.md" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct smol_seen s = good_host();

		s.distro = cases[i].distro;
		s.proof = SMOL_PROOF_NO_QEMU;
		assert_may_start(&s);
		assert_row("kvm-proof", BACKEND_CHECK_WARN, "not proven", cases[i].qemu);
		s.vm.path = NULL;
		s.version_result = BB_E_MISSING;
		assert_stops(&s, "smolvm", "not on PATH", cases[i].smolvm);
	}
}

static void tsi_mode_needs_a_namespace(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.vm.version = (struct smolvm_version){ 0, 8, 1 };
	s.vm.mode = SMOLVM_TSI;
	assert_may_start(&s);
	assert_row("version", BACKEND_CHECK_OK, "0.8.1, TSI mode: one address on loopback", "");
	assert_row("network-namespace", BACKEND_CHECK_OK, "one of its own", "");
	s.netns_result = bb_err_set(&s.netns_why, BB_E_MISSING, "user namespaces are forbidden");
	assert_stops(&s, "network-namespace", "TSI mode needs a network namespace: user namespaces",
		     "");
	s.netns_result = 0;
	assert_row("packing", BACKEND_CHECK_OK, "skopeo and a registry are there", "");
	s.pack_result = bb_err_set(&s.pack_why, BB_E_MISSING, "'skopeo' is not installed");
	assert_stops(&s, "packing", "'skopeo' is not installed", "");
	s.vm.mode = SMOLVM_SOCKET;
	assert_may_start(&s);
}

static void root_is_told_and_may_be_refused(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	assert_may_start(&s);
	assert_row("user", BACKEND_CHECK_OK, "runs as you", "");
	s.is_root = true;
	assert_may_start(&s);
	assert_row("user", BACKEND_CHECK_WARN, "runs as root", "");
	s.user_result = bb_err_set(&s.user_why, BB_E_REFUSED, "run by root, smolvm 1.8.0 gives");
	assert_stops(&s, "user", "run by root, smolvm 1.8.0 gives", "");
}

static void kvm_is_not_looked_at_when_told_so(void **state)
{
	struct smol_seen s = good_host();

	(void)state;
	s.kvm_is_skipped = true;
	s.kvm.finding = KVM_NOT_ENABLED;
	s.proof = SMOL_PROOF_DONE;
	assert_may_start(&s);
	assert_row("kvm-device", BACKEND_CHECK_WARN, "BOT_BOTTLE_SMOLVM_UNPROVEN", "");
	assert_row("kvm-proof", BACKEND_CHECK_WARN, "BOT_BOTTLE_SMOLVM_UNPROVEN", "");
	assert_string_equal(report.accelerator, "KVM, not proven");
}

static void the_first_failure_is_the_sentence(void **state)
{
	struct smol_seen s = good_host();
	struct bb_err err = { 0 };

	(void)state;
	s.vm.path = NULL;
	s.version_result = BB_E_MISSING;
	s.kvm.finding = KVM_NOT_LOADED;
	assert_error(smol_judge(&s, &report, &err), BB_E_MISSING, err);
	assert_non_null(strstr(err.msg, "not on PATH"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_host_may_start),
		cmocka_unit_test(it_is_always_said_that_no_real_smolvm_verified_it),
		cmocka_unit_test(no_smolvm_says_what_to_install),
		cmocka_unit_test(a_refused_version_says_the_gates_reason),
		cmocka_unit_test(a_missing_device_stops),
		cmocka_unit_test(no_permission_stops),
		cmocka_unit_test(a_device_that_does_not_work_stops),
		cmocka_unit_test(a_failed_proof_stops),
		cmocka_unit_test(without_a_proof_it_is_not_proven),
		cmocka_unit_test(the_mend_is_in_the_words_of_the_distribution),
		cmocka_unit_test(tsi_mode_needs_a_namespace),
		cmocka_unit_test(root_is_told_and_may_be_refused),
		cmocka_unit_test(kvm_is_not_looked_at_when_told_so),
		cmocka_unit_test(the_first_failure_is_the_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
