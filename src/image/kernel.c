/*
 * The kernel of the base image: that release's cloud kernel, out of its package, with the few
 * modules a bottle needs. See kernel.h.
 */
#include "image/kernel.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

/* Loaded by bottle-init in this order; everything else it needs is built into Debian's cloud
 * kernel. */
static const char *const kernel_modules[] = { "virtio_ring", "virtio",         "virtio_mmio",
					      "virtio_blk",  "virtio_console", "virtio_rng",
					      "libcrc32c",   "erofs",          "overlay" };

/* Fetches the kernel that the release's meta package stands for, with the apt that just fetched the
 * rest. */
const char kernel_hook[] =
	"set -e; export APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\"; mkdir \"$1/" KERNEL_DROP
	"\"; cd \"$1/" KERNEL_DROP "\"; "
	"k=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: "
	"\\(linux-image-[0-9].*\\)$/\\1/p'); "
	"apt-get -q -o APT::Sandbox::User=root download \"$k\"";

/* "virtio-rng.ko" is the module virtio_rng; its place in kernel_modules, or -1. */
static int module_place(const char *file)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(kernel_modules); i++) {
		const char *a = kernel_modules[i], *b = file;

		while (*a != '\0' && (*a == *b || (*a == '_' && *b == '-')))
			a++, b++;
		if (*a == '\0' && strcmp(b, ".ko") == 0)
			return (int)i;
	}
	return -1;
}

/* Moves the modules we load out of the unpacked kernel package; bits of *ret say which were there.
 */
static int kernel_take_modules(const char *tree_path, const char *modules, unsigned *ret,
			       struct bb_err *err)
{
	BB_AUTO_FREE char *path = strdup(tree_path);
	char *const paths[] = { path, NULL };
	FTS *tree = path == NULL ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int r = tree == NULL ? bb_err_errno(err, "cannot read '%s'", tree_path) : 0;

	for (FTSENT *e = r < 0 ? NULL : fts_read(tree); e != NULL && r == 0; e = fts_read(tree)) {
		int place = e->fts_info == FTS_F ? module_place(e->fts_name) : -1;
		BB_AUTO_FREE char *to = NULL;

		if (place < 0)
			continue;
		to = bb_text_printf("%s/%s.ko", modules, kernel_modules[place]);
		if (to == NULL || rename(e->fts_path, to) < 0 || chmod(to, 0644) < 0)
			r = bb_err_errno(err, "cannot keep module '%s'", kernel_modules[place]);
		*ret |= 1u << place;
	}
	if (tree != NULL)
		(void)fts_close(tree);
	return r;
}

static int kernel_order_modules(const char *modules, unsigned found, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf order = { .cap = 4096 };
	BB_AUTO_FREE char *path = bb_text_printf("%s/order", modules);

	for (size_t i = 0; i < BB_ARRAY_LEN(kernel_modules); i++) {
		if ((found & 1u << i) == 0)
			return bb_err_set(err, BB_E_MISSING,
					  "the release's kernel has no uncompressed module '%s'; "
					  "this version of "
					  "bot-bottle knows Debian 12's",
					  kernel_modules[i]);
		(void)bb_buf_printf(&order, "%s.ko\n", kernel_modules[i]); /* far below the cap */
	}
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return bb_path_write_atomic(path, bb_buf_peek(&order).p, bb_buf_size(&order), 0644, err);
}

/* The version is the name of the one directory below lib/modules. */
static char *kernel_version(const char *tree)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/lib/modules", tree);
	char *const paths[] = { path, NULL };
	FTS *walk = path == NULL ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	char *version = NULL;

	for (FTSENT *e = walk == NULL ? NULL : fts_read(walk); e != NULL && version == NULL;
	     e = fts_read(walk))
		if (e->fts_info == FTS_D && e->fts_level == 1)
			version = strdup(e->fts_name);
	if (walk != NULL)
		(void)fts_close(walk);
	return version;
}

/* "linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64.deb" as "name version" in the package list. */
static int kernel_list(const char *package, struct image_record *r)
{
	const char *file = strrchr(package, '/') + 1;
	const char *end = strchr(file, '_');
	const char *tail = end == NULL ? NULL : strchr(end + 1, '_');
	char *text;

	if (tail == NULL)
		return -EINVAL;
	text = bb_text_printf("%.*s %.*s", (int)(end - file), file, (int)(tail - end - 1), end + 1);
	return text == NULL ? -ENOMEM : bb_strv_push(&r->packages, text);
}

int kernel_take(struct image_job *job, const char *root, struct image_record *r, struct bb_err *err)
{
	BB_AUTO_FREE char *drop = bb_text_printf("%s/" KERNEL_DROP, root);
	BB_AUTO_FREE char *package = drop == NULL ? NULL : job_find_file(drop, ".deb");
	BB_AUTO_FREE char *tree = bb_text_printf("%s/kernel", job->scratch);
	BB_AUTO_FREE char *modules = bb_text_printf("%s/modules", job->dir);
	BB_AUTO_FREE char *vmlinuz = bb_text_printf("%s/vmlinuz", job->dir);
	BB_AUTO_FREE char *from_path = NULL;
	const char *const list[] = { "dpkg-deb", "--fsys-tarfile", package, NULL };
	const char *const unpack[] = { "tar", "-x", "-f", "-", "--no-same-owner", NULL };
	const struct job_tool from = { .package = "dpkg", .argv = list };
	const struct job_tool to = { .package = "tar", .argv = unpack, .cwd = tree };
	unsigned found = 0;
	int n;

	if (package == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "apt brought no kernel package 'linux-image-cloud-amd64'");
	if (tree == NULL || modules == NULL || vmlinuz == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (mkdir(tree, 0700) < 0 || mkdir(modules, 0755) < 0)
		return bb_err_errno(err, "cannot make '%s'", modules);
	n = job_pipe(job, &from, &to, err);
	if (n < 0)
		return n;

	r->kernel_version = kernel_version(tree);
	if (r->kernel_version == NULL || kernel_list(package, r) < 0)
		return bb_err_set(err, -EINVAL, "the kernel package '%s' has no modules", package);
	from_path = bb_text_printf("%s/boot/vmlinuz-%s", tree, r->kernel_version);
	if (from_path == NULL || rename(from_path, vmlinuz) < 0 || chmod(vmlinuz, 0644) < 0)
		return bb_err_errno(err, "cannot keep the kernel '%s'", vmlinuz);
	n = kernel_take_modules(tree, modules, &found, err);
	return n < 0 ? n : kernel_order_modules(modules, found, err);
}
