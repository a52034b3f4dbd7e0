/*
 * cpio "newc": for each entry a header of 13 hexadecimal words behind a magic, the name with its
 * NUL, the body; name and body each padded to four bytes. Documented in the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include "image/cpio.h"

#include <errno.h>

static int cpio_pad(struct bb_buf *b)
{
	static const uint8_t zeros[4];

	return bb_buf_append(b, zeros, (4 - bb_buf_size(b) % 4) % 4);
}

static int cpio_entry(struct bb_buf *b, const char *name, uint32_t mode, struct bb_view body,
		      uint32_t rdev)
{
	uint32_t links = (mode & 0170000) == 0040000 ? 2 : 1;
	uint32_t inode =
		(uint32_t)bb_buf_size(b) + 1; /* any unique number: no hard links are written */
	int r;

	if (body.n > UINT32_MAX)
		return -EFBIG;
	/* ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize
	 * check */
	r = bb_buf_printf(b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
			  mode, 0u, 0u, links, 0u, (uint32_t)body.n, 0u, 0u, rdev >> 8, rdev & 0xff,
			  (uint32_t)strlen(name) + 1, 0u);
	if (r < 0)
		return r;
	r = bb_buf_append(b, name, strlen(name) + 1);
	if (r < 0)
		return r;
	r = cpio_pad(b);
	if (r < 0)
		return r;
	r = bb_buf_append_view(b, body);
	return r < 0 ? r : cpio_pad(b);
}

int cpio_put(struct bb_buf *b, const char *name, uint32_t mode, struct bb_view body, uint32_t rdev)
{
	if (name[0] == '\0' || name[0] == '/' || strcmp(name, "TRAILER!!!") == 0)
		return -EINVAL;
	return cpio_entry(b, name, mode, body, rdev);
}

int cpio_end(struct bb_buf *b)
{
	return cpio_entry(b, "TRAILER!!!", 0, bb_view_of(NULL, 0), 0);
}
