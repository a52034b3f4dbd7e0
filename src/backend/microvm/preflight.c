/*
 * The preflight of the microVM backend: a table of checks, each one line of `doctor`. What is
 * missing for good fails; what only makes it slower warns, because emulation is a full guest too.
 */
#include "backend/microvm/preflight.h"

#include <string.h>

#include "backend/microvm/accel.h"
#include "backend/microvm/qemu.h"
#include "base/cleanup.h"
#include "image/image.h"
#include "sys/jail.h"

#define PREFLIGHT_IMAGE "base" /* every image that can be built stands on its kernel */

struct preflight {
	bool deep;
	struct backend_report *report;
	struct qemu *qemu;
	struct image *image;
	struct accel accel;
};

static void check_qemu(struct preflight *p, struct backend_check *c)
{
	struct bb_err err = { 0 };

	if (qemu_find(&p->qemu, &err) < 0) {
		c->state = BACKEND_CHECK_FAIL;
		(void)snprintf(c->text, sizeof(c->text), "%.500s", err.msg);
		(void)snprintf(c->mend, sizeof(c->mend), "run: apt install qemu-system-x86");
		return;
	}
	(void)snprintf(c->text, sizeof(c->text), "'%s'", p->qemu->path);
}

static void check_mkfs(struct preflight *p, struct backend_check *c)
{
	(void)p;
	if (access("/usr/sbin/mkfs.ext4", X_OK) == 0 || access("/sbin/mkfs.ext4", X_OK) == 0) {
		(void)snprintf(c->text, sizeof(c->text), "'mkfs.ext4' is there");
		return;
	}
	c->state = BACKEND_CHECK_FAIL;
	(void)snprintf(c->text, sizeof(c->text), "'mkfs.ext4' is not installed");
	(void)snprintf(c->mend, sizeof(c->mend), "run: apt install e2fsprogs");
}

static void check_jail(struct preflight *p, struct backend_check *c)
{
	struct bb_err err = { 0 };

	(void)p;
	if (jail_probe(&err) == 0) {
		(void)snprintf(c->text, sizeof(c->text), "QEMU can be confined");
		return;
	}
	c->state = BACKEND_CHECK_FAIL;
	(void)snprintf(c->text, sizeof(c->text), "%.500s", err.msg);
	(void)snprintf(c->mend, sizeof(c->mend), "QEMU is started in a jail or not at all");
}

static void check_image(struct preflight *p, struct backend_check *c)
{
	struct bb_err err = { 0 };

	if (image_find(PREFLIGHT_IMAGE, &p->image, &err) < 0) {
		c->state = BACKEND_CHECK_WARN; /* which image a bottle needs, its own start says */
		(void)snprintf(c->text, sizeof(c->text), "%.500s", err.msg);
		(void)snprintf(c->mend, sizeof(c->mend),
			       "run: bot-bottle image build " PREFLIGHT_IMAGE);
		return;
	}
	(void)snprintf(c->text, sizeof(c->text), "kernel %s", p->image->kernel_version);
}

static void check_kvm(struct preflight *p, struct backend_check *c)
{
	struct kvm_look look;

	kvm_look(&kvm_host_paths, &look);
	(void)snprintf(c->text, sizeof(c->text), "%s", look.text);
	if (look.finding == KVM_OPENS)
		return;
	c->state = BACKEND_CHECK_WARN;
	(void)snprintf(c->mend, sizeof(c->mend),
		       "bottles are emulated, which is slower; for KVM %s", look.mend);
	(void)snprintf(p->accel.note, sizeof(p->accel.note), "tcg (%s)", look.brief);
}

/* Boots a guest in a deep look; otherwise tells what is remembered. */
static void check_proof(struct preflight *p, struct backend_check *c)
{
	char why[200] = "";
	enum accel_memory memory;
	uint64_t ms = 0;

	if (p->accel.note[0] != '\0' || p->image == NULL || p->qemu == NULL) {
		(void)snprintf(c->text, sizeof(c->text), "%s",
			       p->accel.note[0] == '\0' ? "not tried" : p->accel.note);
		return;
	}
	if (p->deep && accel_choose(ACCEL_ANY, p->qemu, p->image, &p->accel, NULL) == 0)
		(void)snprintf(why, sizeof(why), "%.199s", p->accel.note);
	memory = accel_recall(p->image, &ms, why, sizeof(why));
	if (memory == ACCEL_PROVED) {
		(void)snprintf(c->text, sizeof(c->text),
			       "a guest said hello under KVM after %llu ms",
			       (unsigned long long)ms);
		(void)snprintf(p->accel.note, sizeof(p->accel.note), "kvm");
	} else if (memory == ACCEL_FAILED) {
		c->state = BACKEND_CHECK_WARN;
		(void)snprintf(c->text, sizeof(c->text), "KVM is there, but %s", why);
		(void)snprintf(c->mend, sizeof(c->mend), "bottles are emulated, which is slower");
		(void)snprintf(p->accel.note, sizeof(p->accel.note), "tcg (%.*s)",
			       (int)strcspn(why, ";"), why);
	} else {
		(void)snprintf(c->text, sizeof(c->text),
			       "not tried yet: the first start proves KVM with a guest");
	}
}

static const struct {
	const char *name;
	void (*check)(struct preflight *p, struct backend_check *c);
} preflight_checks[] = {
	{ "qemu", check_qemu },   { "mkfs.ext4", check_mkfs }, { "user-namespaces", check_jail },
	{ "image", check_image }, { "kvm-device", check_kvm }, { "kvm-proof", check_proof },
};
_Static_assert(BB_ARRAY_LEN(preflight_checks) <= BACKEND_CHECKS_MAX, "a report holds all checks");

int microvm_preflight(bool deep, struct backend_report *ret, struct bb_err *err)
{
	struct preflight p = { .deep = deep, .report = ret };
	const struct backend_check *failed = NULL;

	*ret = (struct backend_report){ 0 };
	for (size_t i = 0; i < BB_ARRAY_LEN(preflight_checks); i++) {
		struct backend_check *c = &ret->checks[ret->count++];

		*c = (struct backend_check){ .name = preflight_checks[i].name,
					     .state = BACKEND_CHECK_OK };
		preflight_checks[i].check(&p, c);
		if (c->state == BACKEND_CHECK_FAIL && failed == NULL)
			failed = c;
	}
	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), "%.63s",
		       p.accel.note[0] == '\0' ? "not known yet" : p.accel.note);
	qemu_free(p.qemu);
	image_free(p.image);
	if (failed == NULL)
		return 0;
	return bb_err_set(err, BB_E_MISSING, "%s; %s", failed->text, failed->mend);
}
