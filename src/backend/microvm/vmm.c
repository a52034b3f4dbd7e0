/*
 * QEMU's jail: an empty read-only root with the program, its libraries and its firmware bound in, a
 * proc for /proc/self/fd, /dev/null, and /dev/kvm where it is used. No network, no capability, our
 * seccomp filter on top of QEMU's own. Disks, kernel, console and stream are descriptors that were
 * opened here.
 */
#include "backend/microvm/vmm.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#define VMM_UID 1000
#define VMM_OVERHEAD      \
	(1024ULL * 1024 * \
	 1024)               /* bytes beside the guest's memory: 512 MiB of them translated code */
#define VMM_THREADS      128 /* beside the guest's CPUs: QEMU's pool for disk requests has 64 */
#define VMM_FIXED_MOUNTS 4
#define VMM_FDS          (SHAPE_FD_LAYER + IMAGE_LAYERS_MAX)
#define KVM_DEVICE       "/dev/kvm"
#define KVM_OWN_DIR      "/dev/bot-bottle"
#define KVM_OWN_NODE     KVM_OWN_DIR "/kvm"
#define KVM_OPEN_TO_ALL  0666

/*
 * Root's jail runs under ids that own nothing, so the usual mode of the device shuts it out. A
 * second node of the same device, open to all but in a directory that is root's alone, is what gets
 * bound in. It lies in /dev, the one place that is surely not mounted "nodev", and goes with the
 * next boot. An ordinary user keeps the group that opens the device. On the heap, or NULL with err
 * set.
 */
static char *kvm_node(struct bb_err *err)
{
	struct stat host, st;

	if (stat(KVM_DEVICE, &host) < 0) {
		(void)bb_err_errno(err, "'" KVM_DEVICE "'");
		return NULL;
	}
	if (geteuid() != 0 || (host.st_mode & KVM_OPEN_TO_ALL) == KVM_OPEN_TO_ALL)
		return strdup(KVM_DEVICE);
	if (bb_path_mkdirs(KVM_OWN_DIR, 0700, err) < 0)
		return NULL;
	if (lstat(KVM_OWN_DIR, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0 ||
	    (st.st_mode & 077) != 0) {
		(void)bb_err_set(err, -EPERM, "'" KVM_OWN_DIR "' is not root's alone; remove it");
		return NULL;
	}
	if (lstat(KVM_OWN_NODE, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == host.st_rdev &&
	    (st.st_mode & 07777) == KVM_OPEN_TO_ALL)
		return strdup(KVM_OWN_NODE);
	(void)unlink(KVM_OWN_NODE); /* half made */
	if (mknod(KVM_OWN_NODE, S_IFCHR | KVM_OPEN_TO_ALL, host.st_rdev) < 0 ||
	    chmod(KVM_OWN_NODE, KVM_OPEN_TO_ALL) < 0) {
		(void)bb_err_errno(err, "cannot make a device node '" KVM_OWN_NODE "'");
		return NULL;
	}
	return strdup(KVM_OWN_NODE);
}

static size_t vmm_mounts(const struct qemu *q, const char *kvm, struct jail_mount *m)
{
	size_t n = 0;

	for (size_t i = 0; q->files[i] != NULL; i++)
		m[n++] = (struct jail_mount){ .kind = JAIL_BIND_RO,
					      .source = q->files[i],
					      .target = q->files[i] };
	for (size_t i = 0; q->trees != NULL && q->trees[i] != NULL; i++)
		m[n++] = (struct jail_mount){ .kind = JAIL_BIND_RO,
					      .source = q->trees[i],
					      .target = q->trees[i] };
	m[n++] = (struct jail_mount){ .kind = JAIL_PROC, .target = "/proc" };
	m[n++] = (struct jail_mount){ .kind = JAIL_BIND_DEV,
				      .source = "/dev/null",
				      .target = "/dev/null" };
	if (kvm != NULL)
		m[n++] = (struct jail_mount){ .kind = JAIL_BIND_DEV,
					      .source = kvm,
					      .target = KVM_DEVICE };
	return n;
}

static size_t vmm_fds(const struct vmm_plan *plan, struct spawn_fd *fds)
{
	const struct spawn_fd all[] = {
		{ plan->console_fd, 1 }, /* what QEMU itself says stands among the guest's lines */
		{ plan->console_fd, 2 },
		{ plan->stream_fd, SHAPE_FD_STREAM },
		{ plan->console_fd, SHAPE_FD_CONSOLE },
		{ plan->kernel_fd, SHAPE_FD_KERNEL },
		{ plan->initrd_fd, SHAPE_FD_INITRD },
		{ plan->disk_fd, SHAPE_FD_DISK },
	};
	size_t n = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(all); i++)
		if (all[i].from >= 0)
			fds[n++] = all[i];
	for (size_t i = 0; i < plan->shape.layers; i++)
		fds[n++] = (struct spawn_fd){ plan->layer_fds[i], SHAPE_FD_LAYER + (int)i };
	return n;
}

int vmm_begin(const struct vmm_plan *plan, struct jail **ret, struct bb_err *err)
{
	static char home[] = "HOME=/", lang[] = "LANG=C";
	char *const envp[] = { home, lang, NULL };
	size_t files = bb_strv_len(plan->qemu->files) + bb_strv_len(plan->qemu->trees);
	BB_AUTO_FREE struct jail_mount *mounts = calloc(files + VMM_FIXED_MOUNTS, sizeof(*mounts));
	BB_AUTO_STRV char **argv = shape_argv(&plan->shape, plan->qemu->path);
	BB_AUTO_FREE char *kvm = NULL;
	struct spawn_fd fds[VMM_FDS];
	struct jail_plan jail = {
		.name = plan->name,
		.mounts = mounts,
		.path = plan->qemu->path,
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.fd_count = vmm_fds(plan, fds),
		.uid = VMM_UID,
		.gid = VMM_UID,
		.filter = JAIL_FILTER_VMM,
		.hostname = "vmm",
		.limits = { .memory = plan->shape.memory_bytes + VMM_OVERHEAD,
			    .pids = VMM_THREADS + plan->shape.cpus,
			    .file_size = plan->disk_bytes },
	};

	if (mounts == NULL || argv == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (plan->shape.uses_kvm) {
		kvm = kvm_node(err);
		if (kvm == NULL)
			return err == NULL ? -EIO : err->code;
	}
	jail.mount_count = vmm_mounts(plan->qemu, kvm, mounts);
	return jail_begin(&jail, ret, err);
}
