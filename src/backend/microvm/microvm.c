/*
 * The microVM backend: a guest with a kernel of its own in QEMU, under KVM where that is proved to
 * work and emulated otherwise. This file puts the parts together: image, disk, initramfs,
 * accelerator, jail. The guest is hostile; nothing here reads a byte of it but the proof's console
 * line.
 */
#include <fcntl.h>
#include <string.h>

#include "backend/backend_impl.h"
#include "backend/jailed_guest.h"
#include "backend/microvm/accel.h"
#include "backend/microvm/disk.h"
#include "backend/microvm/initramfs.h"
#include "backend/microvm/preflight.h"
#include "backend/microvm/qemu.h"
#include "backend/microvm/tsc.h"
#include "backend/microvm/vmm.h"
#include "base/cleanup.h"
#include "base/path.h"

#define MICROVM_HELLO_KVM_MS 10000 /* about a second is usual; a loaded host may take several */
#define MICROVM_HELLO_TCG_MS \
	60000 /* 1.4 s on an idle host, 30 s when the host is itself emulated */

BB_DEFINE_AUTO(qemu, qemu_free)

/* Descriptors that QEMU gets and we close after it has started. */
struct files {
	int kernel, initrd, disk;
	int layers[IMAGE_LAYERS_MAX];
};

static void files_done(const struct files *f)
{
	bb_cleanup_fd(&f->kernel);
	bb_cleanup_fd(&f->initrd);
	bb_cleanup_fd(&f->disk);
	for (size_t i = 0; i < IMAGE_LAYERS_MAX; i++)
		bb_cleanup_fd(&f->layers[i]);
}
#define AUTO_FILES __attribute__((cleanup(files_done)))

static int files_open(const struct backend_plan *plan, struct files *f, struct bb_err *err)
{
	const struct image *img = plan->image;
	BB_AUTO_FREE char *init = bb_path_sibling("bottle-init", err);

	if (init == NULL)
		return BB_E_MISSING;
	f->kernel = open(img->kernel, O_RDONLY | O_CLOEXEC);
	if (f->kernel < 0)
		return bb_err_errno(err, "cannot read the guest's kernel '%s'", img->kernel);
	for (size_t i = 0; i < img->layer_count; i++) {
		f->layers[i] = open(img->erofs[i], O_RDONLY | O_CLOEXEC);
		if (f->layers[i] < 0)
			return bb_err_errno(err, "cannot read image layer '%s'", img->erofs[i]);
	}
	f->initrd = initramfs_pack(init, img->modules, err);
	if (f->initrd < 0)
		return f->initrd;
	f->disk = disk_make(plan->state_dir, plan->resources.disk_bytes, err);
	return f->disk < 0 ? f->disk : 0;
}

static enum accel_wish microvm_wish(const struct backend_plan *plan)
{
	return plan->force_tcg ? ACCEL_TCG : plan->force_kvm ? ACCEL_KVM : ACCEL_ANY;
}

/* Under KVM ten seconds, or five times what the proof's bare guest took where that is more. */
static uint64_t microvm_hello_ms(const struct accel *a)
{
	uint64_t ms = a->proof_ms * 5;

	if (!a->uses_kvm || ms > MICROVM_HELLO_TCG_MS)
		return MICROVM_HELLO_TCG_MS;
	return ms > MICROVM_HELLO_KVM_MS ? ms : MICROVM_HELLO_KVM_MS;
}

static int microvm_launch(const struct backend_plan *plan, int stream_fd, const struct qemu *q,
			  bool uses_kvm, struct jail **ret, struct bb_err *err)
{
	AUTO_FILES struct files f = { -1, -1, -1, { -1, -1, -1, -1, -1, -1, -1, -1 } };
	struct vmm_plan vmm = {
		.name = plan->identity,
		.qemu = q,
		.shape = { .uses_kvm = uses_kvm,
			   .cpus = plan->resources.cpus,
			   .memory_bytes = plan->resources.memory_bytes,
			   .layers = plan->image->layer_count,
			   .has_disk = true,
			   .has_stream = true },
		.disk_bytes = plan->resources.disk_bytes,
		.stream_fd = stream_fd,
		.console_fd = plan->console_fd,
	};
	struct tsc_span span;
	int r;

	tsc_begin(&span);
	r = files_open(plan, &f, err);
	if (r < 0)
		return r;
	if (!uses_kvm)
		vmm.shape.tsc_khz = tsc_end_khz(&span);
	vmm.kernel_fd = f.kernel;
	vmm.initrd_fd = f.initrd;
	vmm.disk_fd = f.disk;
	memcpy(vmm.layer_fds, f.layers, sizeof(vmm.layer_fds));
	return vmm_begin(&vmm, ret, err);
}

static int microvm_start(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
			 struct bb_err *err)
{
	BB_AUTO(qemu) struct qemu *q = NULL;
	BB_AUTO_FREE struct jailed_guest *vm = NULL;
	struct accel accel;
	int r;

	if (plan->image->is_host || plan->image->kernel == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "image '%s' has no kernel of its own: it works with the "
				  "namespace backend only",
				  plan->image->name);
	r = qemu_find(&q, err);
	if (r < 0)
		return r;
	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	vm->base.backend = &backend_microvm;
	r = accel_choose(microvm_wish(plan), q, plan->image, &accel, err);
	if (r == 0)
		r = microvm_launch(plan, stream_fd, q, accel.uses_kvm, &vm->jail, err);
	if (r < 0)
		return r;
	vm->hello_ms = microvm_hello_ms(&accel);
	(void)snprintf(vm->note, sizeof(vm->note), "%s", accel.note);
	(void)close(stream_fd); /* taken: QEMU holds its copy */
	*ret = &bb_take_ptr(&vm)->base;
	return 0;
}

const struct backend backend_microvm = {
	.name = "microvm",
	.warning = NULL,
	.preflight = microvm_preflight,
	.start = microvm_start,
	.started = jailed_guest_started,
	.pidfd = jailed_guest_pidfd,
	.note = jailed_guest_note,
	.hello_ms = jailed_guest_hello_ms,
	.destroy = jailed_guest_destroy,
};
