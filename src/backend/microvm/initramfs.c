/*
 * Packed anew for each bottle: it is 2 MB of copying, a millisecond, and there is nothing to keep
 * in step when bottle-init or the kernel changes. The input is ours; the sizes are bounded all the
 * same.
 */
#include "backend/microvm/initramfs.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "image/cpio.h"

#define INITRAMFS_MAX  (64 * 1024 * 1024)
#define ORDER_MAX      4096
#define DEVICE_CONSOLE (5u << 8 | 1u)

static int pack_file(struct bb_buf *out, const char *path, const char *name, uint32_t mode,
		     struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { .cap = INITRAMFS_MAX };
	int r = bb_path_read(path, 0, &body, err);

	if (r < 0)
		return r;
	r = cpio_put(out, name, mode, bb_buf_peek(&body), 0);
	return r < 0 ? bb_err_set(err, r, "'%s' does not fit the initramfs", path) : 0;
}

static int pack_module(struct bb_buf *out, const char *dir, const char *file, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, file);
	BB_AUTO_FREE char *name = bb_text_printf("modules/%s", file);

	if (path == NULL || name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return pack_file(out, path, name, CPIO_FILE, err);
}

/* The modules that "order" names, and it. */
static int pack_modules(struct bb_buf *out, const char *dir, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/order", dir);
	BB_AUTO_BUF struct bb_buf order = { .cap = ORDER_MAX };
	BB_AUTO_FREE char *list = NULL;
	char *rest;
	int r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_read(path, 0, &order, err);
	if (r < 0)
		return r;
	rest = list = bb_buf_dup_str(&order);
	r = cpio_put(out, "modules", CPIO_DIRECTORY, bb_view_of(NULL, 0), 0);
	if (r < 0 || list == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (char *file = strsep(&rest, "\n"); file != NULL && r == 0; file = strsep(&rest, "\n"))
		if (file[0] != '\0')
			r = pack_module(out, dir, file, err);
	return r < 0 ? r : pack_module(out, dir, "order", err);
}

int initramfs_pack(const char *init, const char *modules, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = INITRAMFS_MAX };
	struct bb_view all;
	int r;

	/* The kernel opens /dev/console before init runs: with it, a failing init can say why. */
	r = cpio_put(&out, "dev", CPIO_DIRECTORY, bb_view_of(NULL, 0), 0);
	if (r == 0)
		r = cpio_put(&out, "dev/console", CPIO_CHARACTER, bb_view_of(NULL, 0),
			     DEVICE_CONSOLE);
	if (r < 0)
		return bb_err_set(err, r, "out of memory");
	r = pack_file(&out, init, "init", CPIO_PROGRAM, err);
	if (r == 0 && modules != NULL)
		r = pack_modules(&out, modules, err);
	if (r < 0)
		return bb_err_wrap(err, "packing the guest's initramfs");
	if (cpio_end(&out) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");

	all = bb_buf_peek(&out);
	r = bb_fd_sealed("bot-bottle-initramfs", all.p, all.n);
	return r < 0 ? bb_err_set(err, r, "cannot hold the guest's initramfs: %s", bb_err_name(r))
		     : r;
}
