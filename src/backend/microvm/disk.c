/*
 * mkfs.ext4 runs once a size, into a template in the cache directory; a bottle's disk is a copy of
 * it, shared block by block where the host's file system can and else of the few hundred kilobytes
 * that hold data. No journal: the disk never outlives a crash of its one user, and the host never
 * mounts it.
 */
#include "backend/microvm/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/distro.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "store/store.h"
#include "sys/spawn.h"

#define MKFS_TIMEOUT_MS 60000

static int disk_error(struct bb_err *err, int code, const char *path)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return bb_err_set(err, -ENOSPC, "the disk that holds '%s' is full; free some space",
				  path);
	return bb_err_set(err, code, "cannot write the bottle's disk '%s': %s", path,
			  bb_err_name(code));
}

static const char *mkfs_path(void)
{
	static const char *const paths[] = { "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4",
					     "/usr/bin/mkfs.ext4" };

	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static int run_mkfs(const char *path, struct bb_err *err)
{
	static char name[] = "mkfs.ext4", quiet[] = "-q", force[] = "-F", m[] = "-m", zero[] = "0",
		    o[] = "-O", features[] = "^has_journal", e[] = "-E",
		    extra[] = "lazy_itable_init=1,nodiscard,root_owner=0:0";
	BB_AUTO_FREE char *target = bb_text_printf("%s", path);
	char *const argv[] = { name, quiet, force, m, zero, o, features, e, extra, target, NULL };
	BB_AUTO_BUF struct bb_buf out = { .cap = 4096 };
	struct spawn_plan plan = { .path = mkfs_path(), .argv = argv, .dies_with_parent = true };
	int r;

	if (plan.path == NULL)
		return bb_err_set(err, BB_E_MISSING, "'mkfs.ext4' is not installed; %s",
				  BB_INSTALL("e2fsprogs"));
	if (target == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = spawn_run(&plan, MKFS_TIMEOUT_MS, &out, err);
	if (r < 0)
		return r;
	return r == 0 ? 0
		      : bb_err_set(err, -EIO, "'mkfs.ext4' failed with code %d on '%s'", r, path);
}

/* Beside, then renamed: two bottles that start at once both find a whole template. */
static int template_make(const char *path, uint64_t bytes, struct bb_err *err)
{
	BB_AUTO_FREE char *fresh = bb_text_printf("%s.new.%ld", path, (long)getpid());
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (fresh == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return disk_error(err, -errno, fresh);
	r = ftruncate(fd, (off_t)bytes) < 0 ? disk_error(err, -errno, fresh) : run_mkfs(fresh, err);
	if (r == 0 && rename(fresh, path) < 0)
		r = disk_error(err, -errno, path);
	if (r < 0)
		(void)unlink(fresh); /* the first failure is what is reported */
	return r;
}

/* One run of data from off on; 0 or -errno. */
static int copy_range(int from, int to, off_t off, off_t end)
{
	uint8_t chunk[65536];

	while (off < end) {
		size_t want =
			end - off < (off_t)sizeof(chunk) ? (size_t)(end - off) : sizeof(chunk);
		ssize_t n = pread(from, chunk, want, off);
		ssize_t done;

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done = pwrite(to, chunk, (size_t)n, off);
		if (done != n)
			return done < 0 ? -errno : -ENOSPC;
		off += n;
	}
	return 0;
}

static int copy_sparse(int from, int to, off_t size)
{
	off_t off = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, size) < 0)
		return -errno;
	while (off < size) {
		off_t data = lseek(from, off, SEEK_DATA);
		off_t hole;
		int r;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno; /* nothing but a hole to the end */
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		r = copy_range(from, to, data, hole);
		if (r < 0)
			return r;
		off = hole;
	}
	return 0;
}

static int template_open(uint64_t bytes, struct bb_err *err)
{
	BB_AUTO_FREE char *cache = store_cache_dir(err);
	BB_AUTO_FREE char *path = NULL;
	int fd, r;

	if (cache == NULL)
		return err == NULL ? -EIO : err->code;
	path = bb_text_printf("%s/disk-%llu.ext4", cache, (unsigned long long)bytes);
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	r = bb_path_mkdirs(cache, 0755, err);
	if (r == 0)
		r = template_make(path, bytes, err);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? bb_err_errno(err, "cannot read '%s'", path) : fd;
}

int disk_make(const char *state_dir, uint64_t bytes, struct bb_err *err)
{
	BB_AUTO_CLOSE int from = template_open(bytes, err);
	BB_AUTO_FREE char *path = bb_text_printf("%s/disk.ext4", state_dir);
	BB_AUTO_CLOSE int to = -1;
	int r;

	if (from < 0)
		return from;
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return disk_error(err, -errno, path);
	(void)unlink(
		path); /* QEMU gets the descriptor; however the bottle ends, its blocks are freed */
	r = copy_sparse(from, to, (off_t)bytes);
	if (r < 0)
		return disk_error(err, r, path);
	return bb_take_fd(&to);
}
