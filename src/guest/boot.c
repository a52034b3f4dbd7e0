/*
 * Booting a microVM. bottle-init is /init of an initramfs that holds, besides itself:
 *
 *   /modules/order   names of kernel modules, one a line, in the order to load them
 *   /modules/NAME    plain .ko files (finit_module without a decompressor)
 *
 * Kernel arguments (the backend writes them; anything else is ignored):
 *
 *   bb.layers=N      N erofs layers on vda, vdb, ...: the first is the topmost
 *   bb.rw=vdX        the bottle's own ext4 disk, after the layers; or
 *   bb.rw=tmpfs      no disk: what is written lives in memory
 *   bb.wait=SECONDS  how long to wait for a device to appear; default 20
 *   bb.probe=1       say "bot-bottle: hello" on the console and end: proves that this kernel runs
 * here
 *
 * The order is the one measured to work: devtmpfs, proc, sys; modules; disks; overlay on /new; move
 * the three in; MS_MOVE to / and chroot; devpts, shm, tmp, run; loopback; port. Every failure names
 * its step on the console and ends the machine: the host's deadline then shows those lines.
 *
 * Trusted: the initramfs, the layers, the kernel arguments. Not trusted: the content of the ext4
 * disk, which the bottle's own root wrote; only our own kernel mounts it, inside the machine.
 */
#include "guest/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/text.h"
#include "sys/loopback.h"

#define BOOT_LAYERS_MAX 16
#define BOOT_PORT       "bot-bottle.0"
#define BOOT_POLL_NS    2000000 /* between two looks for a device: there is no event source yet */

/* Nothing else leads there once the root is switched. */
static int boot_upper_fd = -1;

struct boot_args {
	unsigned layers;
	char rw[16];
	unsigned wait_s;
	bool is_probe;
};

static int boot_mount(const char *source, const char *target, const char *type, unsigned long flags,
		      const char *data, struct bb_err *err)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return bb_err_errno(err, "directory '%s'", target);
	if (mount(source, target, type, flags, data) < 0)
		return bb_err_errno(err, "mount '%s' (%s) at '%s'", source, type, target);
	return 0;
}

static int boot_read(const char *path, char *dst, size_t cap)
{
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, dst, cap - 1);
	if (n < 0)
		return -errno;
	dst[n] = '\0';
	return (int)n;
}

static int boot_args_read(struct boot_args *ret, struct bb_err *err)
{
	char line[4096], *save = NULL;
	int r = boot_read("/proc/cmdline", line, sizeof(line));

	*ret = (struct boot_args){ .rw = "tmpfs", .wait_s = 20 };
	if (r < 0)
		return bb_err_set(err, r, "'/proc/cmdline': %s", bb_err_name(r));
	for (char *w = strtok_r(line, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save)) {
		uint64_t v;

		if (strncmp(w, "bb.rw=", 6) == 0)
			(void)snprintf(ret->rw, sizeof(ret->rw), "%s", w + 6);
		else if (strncmp(w, "bb.layers=", 10) == 0) {
			if (bb_num_parse_u64(bb_view_str(w + 10), BOOT_LAYERS_MAX, &v) < 0)
				return bb_err_set(err, -EINVAL, "kernel argument '%s'", w);
			ret->layers = (unsigned)v;
		} else if (strncmp(w, "bb.wait=", 8) == 0 &&
			   bb_num_parse_u64(bb_view_str(w + 8), 600, &v) == 0)
			ret->wait_s = (unsigned)v;
		else if (strcmp(w, "bb.probe=1") == 0)
			ret->is_probe = true;
	}
	if (ret->layers == 0 && !ret->is_probe)
		return bb_err_set(err, -EINVAL, "no kernel argument bb.layers");
	return 0;
}

static int boot_module(const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("/modules/%s", name);
	BB_AUTO_CLOSE int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return bb_err_errno(err, "module '%s'", name);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		return bb_err_errno(err, "module '%s'", name);
	return 0;
}

/* No list: a kernel with everything built in. */
static int boot_modules(struct bb_err *err)
{
	char list[4096], *save = NULL;
	int r = boot_read("/modules/order", list, sizeof(list));

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return bb_err_set(err, r, "'/modules/order': %s", bb_err_name(r));
	for (char *m = strtok_r(list, " \n", &save); m != NULL; m = strtok_r(NULL, " \n", &save)) {
		r = boot_module(m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool boot_has_block(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int boot_wait_block(const char *path, uint64_t deadline_ms, struct bb_err *err)
{
	const struct timespec step = { .tv_nsec = BOOT_POLL_NS };

	while (!boot_has_block(path)) {
		if (bb_clock_left_ms(deadline_ms) == 0)
			return bb_err_set(err, -ETIMEDOUT, "disk '%s' did not appear", path);
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

static int boot_layers(const struct boot_args *args, uint64_t deadline_ms, struct bb_buf *lower,
		       struct bb_err *err)
{
	if (mkdir("/lower", 0755) < 0 && errno != EEXIST)
		return bb_err_errno(err, "directory '/lower'");
	for (unsigned i = 0; i < args->layers; i++) {
		char disk[32], at[32];
		int r;

		(void)snprintf(disk, sizeof(disk), "/dev/vd%c", (char)('a' + i));
		(void)snprintf(at, sizeof(at), "/lower/%u", i);
		r = boot_wait_block(disk, deadline_ms, err);
		if (r == 0)
			r = boot_mount(disk, at, "erofs", MS_RDONLY | MS_NODEV, NULL, err);
		if (r < 0)
			return r;
		if (bb_buf_printf(lower, "%s%s", i == 0 ? "" : ":", at) < 0)
			return bb_err_set(err, -ENOMEM, "overlay: too many layers");
	}
	return 0;
}

static int boot_writable(const struct boot_args *args, uint64_t deadline_ms, struct bb_err *err)
{
	char disk[32];
	int r;

	if (strcmp(args->rw, "tmpfs") == 0)
		return boot_mount("tmpfs", "/rw", "tmpfs", MS_NODEV, "mode=0755", err);
	(void)snprintf(disk, sizeof(disk), "/dev/%s", args->rw);
	r = boot_wait_block(disk, deadline_ms, err);
	if (r < 0)
		return r;
	return boot_mount(disk, "/rw", "ext4", MS_NODEV | MS_NOATIME, "errors=remount-ro", err);
}

static int boot_overlay(const char *lower, struct bb_err *err)
{
	BB_AUTO_FREE char *data = NULL;

	if ((mkdir("/rw/upper", 0755) < 0 && errno != EEXIST) ||
	    (mkdir("/rw/work", 0755) < 0 && errno != EEXIST))
		return bb_err_errno(err, "overlay directories");
	boot_upper_fd = open("/rw/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (boot_upper_fd < 0)
		return bb_err_errno(err, "overlay directories");
	/* volatile: what is written ends with the machine, so nothing waits until it is on a disk.
	 */
	data = bb_text_printf("lowerdir=%s,upperdir=/rw/upper,workdir=/rw/work,volatile", lower);
	if (data == NULL)
		return bb_err_set(err, -ENOMEM, "overlay: out of memory");
	return boot_mount("overlay", "/new", "overlay", MS_NODEV, data, err);
}

static int boot_root(const struct boot_args *args, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf lower = { 0 };
	uint64_t deadline_ms = bb_clock_ms() + args->wait_s * 1000ULL;
	int r;

	bb_buf_init(&lower, 1024);
	r = boot_layers(args, deadline_ms, &lower, err);
	if (r == 0)
		r = boot_writable(args, deadline_ms, err);
	if (r == 0 && bb_buf_append_byte(&lower, 0) < 0)
		r = bb_err_set(err, -ENOMEM, "overlay: too many layers");
	if (r == 0)
		r = boot_overlay((const char *)bb_buf_peek(&lower).p, err);
	return r;
}

/* The initramfs cannot be unmounted or pivoted away from; its files are unlinked so that its memory
 * is free again, and the new root is moved over it. */
static int boot_switch(struct bb_err *err)
{
	static const char *const moved[] = { "dev", "proc", "sys" };

	for (size_t i = 0; i < BB_ARRAY_LEN(moved); i++) {
		char from[16], to[16];

		(void)snprintf(from, sizeof(from), "/%s", moved[i]);
		(void)snprintf(to, sizeof(to), "/new/%s", moved[i]);
		(void)mkdir(to, 0755); /* images have it; the mount reports what matters */
		if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
			return bb_err_errno(err, "move '%s'", from);
	}
	(void)unlink("/init"); /* our own file, still running: only its name goes */
	if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return bb_err_errno(err, "switch to the new root");
	return 0;
}

static int boot_rest(struct bb_err *err)
{
	static const struct {
		const char *source, *target, *type;
		unsigned long flags;
		const char *data;
	} mounts[] = {
		{ "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "mode=0620,ptmxmode=0666" },
		{ "shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
		{ "tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
		{ "run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755" },
	};
	static const struct {
		const char *target, *name;
	} links[] = {
		{ "/proc/self/fd", "/dev/fd" },       { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
		{ "pts/ptmx", "/dev/ptmx" },
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(mounts); i++) {
		int r = boot_mount(mounts[i].source, mounts[i].target, mounts[i].type,
				   mounts[i].flags, mounts[i].data, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(links); i++) {
		(void)unlink(links[i].name); /* devtmpfs has a ptmx of its own, mode 0600 or 0666 */
		if (symlink(links[i].target, links[i].name) < 0)
			return bb_err_errno(err, "link '%s'", links[i].name);
	}
	/* Layers are root's throughout; the agent's home is its own. */
	if (chown("/home/node", 1000, 1000) < 0 && errno != ENOENT)
		return bb_err_errno(err, "home of the agent");
	return 0;
}

/* -ENOENT: not there (yet). */
static int boot_find_port(char *dst, size_t cap)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	int r = -ENOENT;

	if (dir == NULL)
		return -ENOENT;
	while (r < 0 && (e = readdir(dir)) != NULL) {
		char path[320], name[64] = "";

		(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		if (e->d_name[0] == '.' || boot_read(path, name, sizeof(name)) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, BOOT_PORT) != 0)
			continue;
		(void)snprintf(dst, cap, "/dev/%.64s", e->d_name);
		r = 0;
	}
	(void)closedir(dir); /* was only read */
	return r;
}

static int boot_open_port(const struct boot_args *args, int *ret_fd, struct bb_err *err)
{
	const struct timespec step = { .tv_nsec = BOOT_POLL_NS };
	uint64_t deadline_ms = bb_clock_ms() + args->wait_s * 1000ULL;
	char path[80];

	while (boot_find_port(path, sizeof(path)) < 0 || access(path, F_OK) < 0) {
		if (bb_clock_left_ms(deadline_ms) == 0)
			return bb_err_set(err, -ETIMEDOUT, "no virtio port is named '%s'",
					  BOOT_PORT);
		(void)nanosleep(&step, NULL);
	}
	*ret_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (*ret_fd < 0)
		return bb_err_errno(err, "port '%s'", path);
	return 0;
}

/* Before devtmpfs there may be no descriptor at all: messages would go nowhere, and the first file
 * that is opened would be taken for the console. */
static void boot_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		if (fd != i)
			(void)dup2(fd, i); /* without a console there is nothing to tell it to */
	if (fd > 2)
		(void)close(fd); /* the copies stay */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Binding 53, 80 and 443 needs no such thing as root; the agent's own servers get the same freedom
 * that a namespace bottle gives. */
static void boot_settings(void)
{
	static const struct {
		const char *path, *value;
	} settings[] = {
		{ "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0" },
		{ "/proc/sys/net/ipv4/ping_group_range", "0 2147483647" },
		{ "/proc/sys/kernel/panic", "-1" },
	};
	struct rlimit files = { 65536, 65536 };

	for (size_t i = 0; i < BB_ARRAY_LEN(settings); i++) {
		BB_AUTO_CLOSE int fd = open(settings[i].path, O_WRONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)!write(fd, settings[i].value,
				     strlen(settings[i].value)); /* comfort */
	}
	(void)setrlimit(RLIMIT_NOFILE, &files); /* likewise */
}

int boot_changes(void)
{
	return boot_upper_fd;
}

int boot_machine(int *ret_fd, struct bb_err *err)
{
	struct boot_args args;
	int r;

	(void)umask(022);
	r = boot_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755", err);
	if (r < 0 && err->code == -EBUSY) /* CONFIG_DEVTMPFS_MOUNT */
		r = 0;
	boot_console();
	if (r == 0)
		r = boot_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
			       err);
	if (r == 0)
		r = boot_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
			       err);
	if (r == 0)
		r = boot_args_read(&args, err);
	if (r == 0 && args.is_probe) {
		(void)puts("bot-bottle: hello"); /* without a console the host's deadline says so */
		boot_end();
	}
	if (r == 0)
		r = boot_modules(err);
	if (r == 0)
		r = boot_root(&args, err);
	if (r == 0)
		r = boot_switch(err);
	if (r == 0)
		r = boot_rest(err);
	if (r == 0)
		r = loopback_setup(err);
	if (r < 0)
		return r;
	boot_settings();
	return boot_open_port(&args, ret_fd, err);
}

void boot_end(void)
{
	sync();
	(void)reboot(RB_AUTOBOOT); /* with -no-reboot: the end of QEMU */
	(void)reboot(RB_POWER_OFF);
	_exit(1); /* panics, which with panic=-1 reboots as well */
}
