/* The guest's root: the unpacked image below, the machine's own layer on top, and /proc, /dev,
 * /sys. */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "guest.h"

#define MERGED "overlay/merged"

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
static const struct {
	const char *target, *name;
} links[] = {
	{ "/proc/self/fd", "fd" },       { "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
	{ "pts/ptmx", "ptmx" },
};

int root_write_file(const char *path, const char *text)
{
	BB_AUTO_CLOSE int fd = -1;

	(void)unlink(path); /* an image has a symlink there, perhaps one that leads nowhere */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : bb_fd_write_all(fd, text, strlen(text));
}

static int make_devices(struct bb_err *err)
{
	char from[64], to[64];

	if (mount("tmpfs", MERGED "/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k") < 0)
		return bb_err_errno(err, "/dev of the guest");
	for (size_t i = 0; i < BB_ARRAY_LEN(devices); i++) {
		(void)snprintf(from, sizeof(from), "/dev/%s", devices[i]);
		(void)snprintf(to, sizeof(to), MERGED "/dev/%s", devices[i]);
		(void)close(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
		if (mount(from, to, NULL, MS_BIND, NULL) < 0)
			return bb_err_errno(err, "'%s' of the guest", from);
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(links); i++) {
		(void)snprintf(to, sizeof(to), MERGED "/dev/%s", links[i].name);
		if (symlink(links[i].target, to) < 0)
			return bb_err_errno(err, "'/dev/%s' of the guest", links[i].name);
	}
	(void)mkdir(MERGED "/dev/pts", 0755);
	(void)mkdir(MERGED "/dev/shm", 01777);
	if (mount("devpts", MERGED "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=620") < 0 ||
	    mount("tmpfs", MERGED "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return bb_err_errno(err, "terminals of the guest");
	return 0;
}

int root_enter(const struct guest *g, struct bb_err *err)
{
	int r;

	if (chdir(g->dir) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return bb_err_errno(err, "'%s'", g->dir);
	/* Relative names, so that nothing in a path has to be escaped. */
	if (mount("overlay", MERGED, "overlay", 0,
		  "lowerdir=lower,upperdir=overlay/upper,workdir=overlay/work,userxattr") < 0)
		return bb_err_errno(err, "the guest's root as an overlay");
	(void)mkdir(MERGED "/proc", 0555);
	(void)mkdir(MERGED "/sys", 0555);
	(void)mkdir(MERGED "/dev", 0755);
	(void)mkdir(MERGED "/tmp", 01777);
	if (mount("proc", MERGED "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return bb_err_errno(err, "/proc of the guest");
	/* Not everywhere allowed (a masked /sys outside); nothing depends on it. */
	(void)!mount("sysfs", MERGED "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		     NULL);
	r = make_devices(err);
	if (r < 0)
		return r;
	if (chdir(MERGED) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return bb_err_errno(err, "entering the guest's root");
	return 0;
}

int root_listen(const char *path, struct bb_err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	BB_AUTO_CLOSE int fd = -1;
	BB_AUTO_FREE char *dir = strdup(path);
	int r;

	if (strlen(path) >= sizeof(a.sun_path) || dir == NULL || strrchr(dir, '/') == NULL)
		return bb_err_set(err, -ENAMETOOLONG, "guest socket '%s'", path);
	memcpy(a.sun_path, path, strlen(path));
	*strrchr(dir, '/') = '\0';
	r = *dir == '\0' ? 0 : bb_path_mkdirs(dir, 0755, err);
	if (r < 0)
		return r;
	(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
	    chmod(path, 0666) < 0)
		return bb_err_errno(err, "guest socket '%s'", path);
	return bb_take_fd(&fd);
}

int root_lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}
