/* See tar.h; POSIX.1-1988 ustar headers. */
#include "cli/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 512

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static int put_header(struct bb_buf *tar, const char *path, size_t path_len, unsigned mode,
		      size_t size, char type)
{
	struct ustar h = { .magic = "ustar", .version = { '0', '0' }, .type = type };
	const uint8_t *bytes = (const uint8_t *)&h;
	unsigned sum = 0;

	if (path_len >= sizeof(h.name))
		return -ENAMETOOLONG;
	memcpy(h.name, path, path_len);
	(void)snprintf(h.mode, sizeof(h.mode), "%07o", mode);
	(void)snprintf(h.uid, sizeof(h.uid), "%07o", 1000u);
	(void)snprintf(h.gid, sizeof(h.gid), "%07o", 1000u);
	(void)snprintf(h.size, sizeof(h.size), "%011zo", size);
	(void)snprintf(h.mtime, sizeof(h.mtime), "%011o", 0u);
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += bytes[i];
	(void)snprintf(h.checksum, sizeof(h.checksum), "%06o", sum & 0777777u);
	return bb_buf_append(tar, &h, sizeof(h));
}

static int put_zeros(struct bb_buf *tar, size_t n)
{
	static const uint8_t zeros[2 * BLOCK];

	return bb_buf_append(tar, zeros, n);
}

int cli_tar_add(struct bb_buf *tar, const char *path, struct bb_view content)
{
	size_t over = content.n % BLOCK;
	int r = 0;

	for (const char *slash = strchr(path, '/'); r == 0 && slash != NULL;
	     slash = strchr(slash + 1, '/'))
		r = put_header(tar, path, (size_t)(slash - path) + 1, 0700, 0, '5');
	if (r == 0)
		r = put_header(tar, path, strlen(path), 0600, content.n, '0');
	if (r == 0)
		r = bb_buf_append_view(tar, content);
	return r == 0 && over > 0 ? put_zeros(tar, BLOCK - over) : r;
}

int cli_tar_end(struct bb_buf *tar)
{
	return put_zeros(tar, 2 * BLOCK);
}
