/*
 * The checks in the order in which they mend each other: the program, its version, KVM's device,
 * its permission, its use, the namespace. A start needs every one of them; "not proven" is a
 * warning, since the machine's own start is a proof too, and never "usable".
 */
#include "backend/smolmachines/preflight.h"

#include <stdlib.h>
#include <string.h>

#include "backend/microvm/accel.h"
#include "backend/microvm/qemu.h"
#include "backend/report.h"
#include "backend/smolmachines/pack.h"
#include "base/cleanup.h"
#include "image/image.h"
#include "sys/netns.h"

#define PROOF_IMAGE "base" /* the kernel that proves it */
#define ASK_DOCTOR  "run: bot-bottle doctor --backend smolmachines"
#define ARCHIVE     "smolvm-VERSION-linux-x86_64.tar.gz"

BB_DEFINE_AUTO(qemu, qemu_free)

static void see_proof(bool deep, struct smol_seen *s)
{
	BB_AUTO(qemu) struct qemu *q = NULL;
	struct image *img = NULL;
	struct accel accel;
	enum accel_memory memory = ACCEL_UNKNOWN;

	if (qemu_find(&q, NULL) < 0) {
		s->proof = SMOL_PROOF_NO_QEMU;
		return;
	}
	if (image_find(PROOF_IMAGE, &img, NULL) < 0) {
		s->proof = SMOL_PROOF_NO_IMAGE;
		return;
	}
	if (deep)
		(void)accel_choose(ACCEL_ANY, q, img, &accel, NULL); /* remembers what it found */
	memory = accel_recall(img, &s->proof_ms, s->proof_why, sizeof(s->proof_why));
	s->proof = memory == ACCEL_PROVED   ? SMOL_PROOF_DONE
		   : memory == ACCEL_FAILED ? SMOL_PROOF_FAILED
					    : SMOL_PROOF_NOT_TRIED;
	image_free(img);
}

static void see_tsi(struct smol_seen *s)
{
	s->netns_result = netns_probe(&s->netns_why);
	s->pack_result = smolpack_check(&s->vm, &s->pack_why);
}

void smol_see(bool deep, struct smol_seen *ret)
{
	const char *unproven = getenv(SMOL_UNPROVEN_VARIABLE);

	*ret = (struct smol_seen){ .kvm_is_skipped = unproven != NULL && strcmp(unproven, "1") == 0,
				   .distro = bb_distro_here() };
	ret->version_result = smolvm_open(smolvm_own_environment, &ret->vm, &ret->version_why);
	ret->is_root = geteuid() == 0;
	if (ret->version_result == 0)
		ret->user_result = smolvm_check_user(&ret->vm, geteuid(), &ret->user_why);
	if (!ret->kvm_is_skipped) {
		kvm_look(&kvm_host_paths, &ret->kvm);
		if (ret->kvm.finding == KVM_OPENS)
			see_proof(deep, ret);
	}
	if (ret->version_result == 0 && ret->vm.mode == SMOLVM_TSI)
		see_tsi(ret);
}

void smol_seen_done(struct smol_seen *s)
{
	smolvm_done(&s->vm);
}

void smol_judge_smolvm(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (s->vm.path != NULL) {
		report_found(c, BACKEND_CHECK_OK, "'%s'", s->vm.path);
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "'smolvm' is not on PATH");
	if (s->distro == BB_DISTRO_NIXOS)
		report_mend(c,
			    "add the flake github:smol-machines/smolvm of " SMOLVM_SOCKET_VERSION
			    " or later to your system's (docs/linux.md shows the lines) and run: "
			    "sudo nixos-rebuild switch");
	else
		report_mend(c, "install smolvm " SMOLVM_SOCKET_VERSION " or later: take " ARCHIVE
			       " and checksums.sha256 of a release and run: sha256sum --check "
			       "--ignore-missing checksums.sha256 && mkdir -p ~/.local/opt/smolvm "
			       "~/.local/bin && tar -xzf " ARCHIVE
			       " -C ~/.local/opt/smolvm --strip-components=1 && ln -s "
			       "~/.local/opt/smolvm/smolvm ~/.local/bin/smolvm (docs/linux.md)");
}

void smol_judge_version(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;
	const struct smolvm_version *v = &s->vm.version;

	if (s->vm.path == NULL)
		report_found(c, BACKEND_CHECK_WARN, "not looked at: there is no smolvm");
	else if (s->version_result < 0)
		report_found(c, BACKEND_CHECK_FAIL, "%s", s->version_why.msg);
	else
		report_found(c, BACKEND_CHECK_OK, "%u.%u.%u, %s mode%s", v->major, v->minor,
			     v->patch, smolvm_mode_names[s->vm.mode],
			     s->vm.mode == SMOLVM_SOCKET ? ": no network at all"
							 : ": one address on loopback");
}

static void judge_user(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (s->version_result < 0)
		report_found(c, BACKEND_CHECK_WARN, "not looked at: it depends on the version");
	else if (s->user_result < 0)
		report_found(c, BACKEND_CHECK_FAIL, "%.400s", s->user_why.msg);
	else if (s->is_root)
		report_found(c, BACKEND_CHECK_WARN, "the machine's process runs as root");
	else
		report_found(c, BACKEND_CHECK_OK, "the machine's process runs as you");
}

static bool is_skipped(const struct smol_seen *s, struct backend_check *c)
{
	if (s->kvm_is_skipped)
		report_found(c, BACKEND_CHECK_WARN,
			     "not looked at: " SMOL_UNPROVEN_VARIABLE " is 1");
	return s->kvm_is_skipped;
}

static void judge_device(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (is_skipped(s, c))
		return;
	if (s->kvm.finding != KVM_NOT_ENABLED && s->kvm.finding != KVM_NOT_LOADED) {
		report_found(c, BACKEND_CHECK_OK, "'/dev/kvm' is there");
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "%s", s->kvm.text);
	report_mend(c, "%s", s->kvm.mend);
}

static void judge_access(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (is_skipped(s, c))
		return;
	if (s->kvm.finding == KVM_NOT_ENABLED || s->kvm.finding == KVM_NOT_LOADED) {
		report_found(c, BACKEND_CHECK_WARN, "not looked at: there is no device");
		return;
	}
	if (s->kvm.finding != KVM_NOT_PERMITTED) {
		report_found(c, BACKEND_CHECK_OK, "it may be read and written");
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "%s", s->kvm.text);
	report_mend(c, "%s", s->kvm.mend);
}

static void judge_opened(const struct smol_seen *s, struct backend_check *c)
{
	char install[BB_DISTRO_INSTALL_MAX];

	switch (s->proof) {
	case SMOL_PROOF_DONE:
		report_found(c, BACKEND_CHECK_OK,
			     "usable: a guest said hello under KVM after %llu ms",
			     (unsigned long long)s->proof_ms);
		break;
	case SMOL_PROOF_FAILED:
		report_found(c, BACKEND_CHECK_FAIL, "'/dev/kvm' opens and is not usable: %s",
			     s->proof_why);
		report_mend(c, "smolvm has no emulation: use --backend microvm, which has; for the "
			       "reason run: sudo dmesg | grep -i kvm");
		break;
	case SMOL_PROOF_NO_QEMU:
		report_found(c, BACKEND_CHECK_WARN,
			     "not proven: '/dev/kvm' opens, but QEMU, whose guest would prove it, "
			     "is not installed");
		report_mend(
			c, "%s, then " ASK_DOCTOR,
			bb_distro_install(s->distro, "qemu-system-x86", install, sizeof(install)));
		break;
	case SMOL_PROOF_NO_IMAGE:
		report_found(c, BACKEND_CHECK_WARN,
			     "not proven: '/dev/kvm' opens, but image '" PROOF_IMAGE
			     "', whose kernel would prove it, is not built");
		report_mend(c, "run: bot-bottle image build " PROOF_IMAGE ", then " ASK_DOCTOR);
		break;
	case SMOL_PROOF_NOT_TRIED:
		report_found(c, BACKEND_CHECK_WARN,
			     "not proven: '/dev/kvm' opens, and no guest has "
			     "been tried since this host was booted");
		report_mend(c, ASK_DOCTOR);
		break;
	}
}

static void judge_proof(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (is_skipped(s, c))
		return;
	switch (s->kvm.finding) {
	case KVM_NOT_ENABLED:
	case KVM_NOT_LOADED:
		report_found(c, BACKEND_CHECK_WARN, "not proven: there is no device");
		break;
	case KVM_NOT_PERMITTED:
		report_found(c, BACKEND_CHECK_WARN, "not proven: the device is not open to you");
		break;
	case KVM_NOT_USABLE:
		report_found(c, BACKEND_CHECK_FAIL, "%s", s->kvm.text);
		report_mend(c, "%s", s->kvm.mend);
		break;
	case KVM_OPENS:
		judge_opened(s, c);
		break;
	}
}

static void judge_netns(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (s->version_result < 0)
		report_found(c, BACKEND_CHECK_WARN, "not looked at: it is TSI mode that needs one");
	else if (s->vm.mode == SMOLVM_SOCKET)
		report_found(c, BACKEND_CHECK_OK, "not needed: the machine has no network");
	else if (s->netns_result == 0)
		report_found(c, BACKEND_CHECK_OK, "smolvm gets one of its own");
	else
		report_found(c, BACKEND_CHECK_FAIL, "TSI mode needs a network namespace: %.400s",
			     s->netns_why.msg);
}

void smol_judge_packing(void *arg, struct backend_check *c)
{
	const struct smol_seen *s = arg;

	if (s->version_result < 0)
		report_found(c, BACKEND_CHECK_WARN, "not looked at: it is TSI mode that packs");
	else if (s->vm.mode == SMOLVM_SOCKET)
		report_found(c, BACKEND_CHECK_OK, "not needed: smolvm reads the image's archive");
	else if (s->pack_result == 0)
		report_found(c, BACKEND_CHECK_OK, "skopeo and a registry are there");
	else
		report_found(c, BACKEND_CHECK_FAIL, "%.400s", s->pack_why.msg);
}

void smol_judge_verified(void *arg, struct backend_check *c)
{
	(void)arg;
	report_found(c, BACKEND_CHECK_WARN,
		     "this backend is not yet verified on a real smolvm: it was tested on a "
		     "stand-in written from smolvm's sources and documentation");
}

static const struct report_row rows[] = {
	{ "smolvm", smol_judge_smolvm },
	{ "version", smol_judge_version },
	{ "user", judge_user },
	{ "kvm-device", judge_device },
	{ "kvm-access", judge_access },
	{ "kvm-proof", judge_proof },
	{ "network-namespace", judge_netns },
	{ "packing", smol_judge_packing },
	{ "verified", smol_judge_verified },
};

int smol_judge(struct smol_seen *s, struct backend_report *ret, struct bb_err *err)
{
	int r = report_run(rows, BB_ARRAY_LEN(rows), s, ret, err);
	bool is_proved =
		!s->kvm_is_skipped && s->kvm.finding == KVM_OPENS && s->proof == SMOL_PROOF_DONE;

	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), "%s",
		       is_proved ? "kvm" : "KVM, not proven");
	return r;
}

int smolmachines_preflight(bool deep, struct backend_report *ret, struct bb_err *err)
{
	struct smol_seen seen;
	int r;

	smol_see(deep, &seen);
	r = smol_judge(&seen, ret, err);
	smol_seen_done(&seen);
	return r;
}
