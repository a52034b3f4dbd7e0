/*
 * The preflight of the microVM backend: a table of checks, each one line of `doctor`. What is
 * missing for good fails; what only makes it slower warns, because emulation is a full guest too.
 */
#include "backend/microvm/preflight.h"

#include <string.h>

#include "backend/microvm/accel.h"
#include "backend/microvm/qemu.h"
#include "backend/report.h"
#include "base/cleanup.h"
#include "base/distro.h"
#include "image/image.h"
#include "sys/jail.h"

#define PREFLIGHT_IMAGE "base" /* every image that can be built stands on its kernel */

struct preflight {
	bool deep;
	struct qemu *qemu;
	struct image *image;
	struct accel accel;
};

static void check_qemu(void *arg, struct backend_check *c)
{
	struct preflight *p = arg;
	struct bb_err err = { 0 };

	if (qemu_find(&p->qemu, &err) == 0) {
		report_found(c, BACKEND_CHECK_OK, "'%s'", p->qemu->path);
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "%s", err.msg);
	report_mend(c, "%s", BB_INSTALL("qemu-system-x86"));
}

static void check_mkfs(void *arg, struct backend_check *c)
{
	(void)arg;
	if (access("/usr/sbin/mkfs.ext4", X_OK) == 0 || access("/sbin/mkfs.ext4", X_OK) == 0) {
		report_found(c, BACKEND_CHECK_OK, "'mkfs.ext4' is there");
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "'mkfs.ext4' is not installed");
	report_mend(c, "%s", BB_INSTALL("e2fsprogs"));
}

static void check_jail(void *arg, struct backend_check *c)
{
	struct bb_err err = { 0 };

	(void)arg;
	if (jail_probe(&err) == 0) {
		report_found(c, BACKEND_CHECK_OK, "QEMU can be confined");
		return;
	}
	report_found(c, BACKEND_CHECK_FAIL, "%s", err.msg);
	report_mend(c, "QEMU is started in a jail or not at all");
}

/* Only a warning: which image a bottle needs, its own start says. */
static void check_image(void *arg, struct backend_check *c)
{
	struct preflight *p = arg;
	struct bb_err err = { 0 };

	if (image_find(PREFLIGHT_IMAGE, &p->image, &err) == 0) {
		report_found(c, BACKEND_CHECK_OK, "kernel %s", p->image->kernel_version);
		return;
	}
	report_found(c, BACKEND_CHECK_WARN, "%s", err.msg);
	report_mend(c, "run: bot-bottle image build " PREFLIGHT_IMAGE);
}

static void check_kvm(void *arg, struct backend_check *c)
{
	struct preflight *p = arg;
	struct kvm_look look;

	kvm_look(&kvm_host_paths, &look);
	if (look.finding == KVM_OPENS) {
		report_found(c, BACKEND_CHECK_OK, "%s", look.text);
		return;
	}
	report_found(c, BACKEND_CHECK_WARN, "%s", look.text);
	report_mend(c, "bottles are emulated, which is slower; for KVM %s", look.mend);
	(void)snprintf(p->accel.note, sizeof(p->accel.note), "tcg (%s)", look.brief);
}

/* Boots a guest in a deep look; otherwise tells what is remembered. */
static void check_proof(void *arg, struct backend_check *c)
{
	struct preflight *p = arg;
	char why[200] = "";
	enum accel_memory memory;
	uint64_t ms = 0;

	if (p->accel.note[0] != '\0' || p->image == NULL || p->qemu == NULL) {
		report_found(c, BACKEND_CHECK_OK, "%s",
			     p->accel.note[0] == '\0' ? "not tried" : p->accel.note);
		return;
	}
	if (p->deep && accel_choose(ACCEL_ANY, p->qemu, p->image, &p->accel, NULL) == 0)
		(void)snprintf(why, sizeof(why), "%.199s", p->accel.note);
	memory = accel_recall(p->image, &ms, why, sizeof(why));
	if (memory == ACCEL_PROVED) {
		report_found(c, BACKEND_CHECK_OK, "a guest said hello under KVM after %llu ms",
			     (unsigned long long)ms);
		(void)snprintf(p->accel.note, sizeof(p->accel.note), "kvm");
	} else if (memory == ACCEL_FAILED) {
		report_found(c, BACKEND_CHECK_WARN, "KVM is there, but %s", why);
		report_mend(c, "bottles are emulated, which is slower");
		(void)snprintf(p->accel.note, sizeof(p->accel.note), "tcg (%.*s)",
			       (int)strcspn(why, ";"), why);
	} else {
		report_found(c, BACKEND_CHECK_OK,
			     "not tried yet: the first start proves KVM with a guest");
	}
}

static const struct report_row checks[] = {
	{ "qemu", check_qemu },   { "mkfs.ext4", check_mkfs }, { "user-namespaces", check_jail },
	{ "image", check_image }, { "kvm-device", check_kvm }, { "kvm-proof", check_proof },
};

int microvm_preflight(bool deep, struct backend_report *ret, struct bb_err *err)
{
	struct preflight p = { .deep = deep };
	int r = report_run(checks, BB_ARRAY_LEN(checks), &p, ret, err);

	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), "%.63s",
		       p.accel.note[0] == '\0' ? "not known yet" : p.accel.note);
	qemu_free(p.qemu);
	image_free(p.image);
	return r;
}
