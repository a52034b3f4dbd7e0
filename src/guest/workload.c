/*
 * The machine is smolvm's: a kernel and a container in it that we did not make. /proc, /dev and
 * /sys are there as a rule and are used as they are; only what is missing is mounted. Clock,
 * entropy and kernel settings are the machine's affair.
 *
 * What is checked here is checked before the agent exists, while everything inside is still ours:
 * a machine in which the agent could not be anybody but root, or that has a network card although
 * it was ordered without, gets no agent.
 */
#include "guest/workload.h"

#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/loopback.h"

#define WORKLOAD_HOME "/home/node"
#define WORKLOAD_NODE 1000
#define WORKLOAD_MAP  4096
#define WORKLOAD_FDS  16 /* directories that the walk of the home keeps open */

bool workload_map_has(const char *map, unsigned long id)
{
	for (const char *line = map; *line != '\0';) {
		char *at;
		unsigned long inside = strtoul(line, &at, 10);
		unsigned long count = (strtoul(at, &at, 10), strtoul(at, &at, 10));

		if (id >= inside && id - inside < count)
			return true;
		line = strchr(at, '\n');
		if (line == NULL)
			return false;
		line++;
	}
	return false;
}

/* A map that cannot be read is not a reason to stop: switching the user reports what matters. */
static bool workload_has_id(const char *path)
{
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char map[WORKLOAD_MAP];
	ssize_t n = fd < 0 ? -1 : read(fd, map, sizeof(map) - 1);

	if (n < 0)
		return true;
	map[n] = '\0';
	return workload_map_has(map, WORKLOAD_NODE);
}

static int workload_check_user(struct bb_err *err)
{
	uid_t uid = getuid();

	if (uid == WORKLOAD_NODE)
		return 0; /* as in a namespace bottle: one user, no root */
	if (uid != 0)
		return bb_err_set(err, -EPERM,
				  "bottle-init runs as uid %u, but has to be root to enter the "
				  "agent's user: the image's user must be root",
				  uid);
	if (!workload_has_id("/proc/self/uid_map") || !workload_has_id("/proc/self/gid_map"))
		return bb_err_set(
			err, -EPERM,
			"this machine does not know the agent's user: uid or gid %d is "
			"not mapped in it (a machine of an ordinary user needs a range in "
			"/etc/subuid and /etc/subgid)",
			WORKLOAD_NODE);
	return 0;
}

/* --- what an agent needs --------------------------------------------------------------------- */

static int workload_mount_proc(struct bb_err *err)
{
	if (access("/proc/self/stat", F_OK) == 0)
		return 0;
	(void)mkdir("/proc", 0555); /* the mount reports what matters */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return bb_err_errno(err, "this machine has no /proc, and mounting it failed");
	return 0;
}

static int workload_mount_terminals(struct bb_err *err)
{
	if (access("/dev/ptmx", R_OK | W_OK) == 0)
		return 0;
	(void)mkdir("/dev", 0755);     /* the mount reports what matters */
	(void)mkdir("/dev/pts", 0755); /* likewise */
	if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,mode=0620,ptmxmode=0666") < 0)
		return bb_err_errno(err, "this machine has no terminals (/dev/ptmx), and mounting "
					 "them failed");
	(void)unlink("/dev/ptmx"); /* one that cannot be used */
	if (symlink("pts/ptmx", "/dev/ptmx") < 0)
		return bb_err_errno(err, "link '/dev/ptmx'");
	return 0;
}

static void workload_link_descriptors(void)
{
	static const struct {
		const char *target, *name;
	} links[] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(links); i++)
		(void)!symlink(links[i].target, links[i].name); /* comfort; most have them */
}

static int workload_own(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_NS || (st->st_uid == WORKLOAD_NODE && st->st_gid == WORKLOAD_NODE))
		return 0;
	return lchown(path, WORKLOAD_NODE, WORKLOAD_NODE) < 0 ? -errno : 0;
}

/* Some versions of smolvm give every file of an image to root. */
static int workload_directories(struct bb_err *err)
{
	static const char *const shared[] = { "/tmp", "/var/tmp" };
	int r;

	for (size_t i = 0; i < BB_ARRAY_LEN(shared); i++) {
		(void)mkdir(shared[i], 01777); /* the next call reports what matters */
		if (chmod(shared[i], 01777) < 0)
			return bb_err_errno(err, "directory '%s'", shared[i]);
	}
	if (mkdir(WORKLOAD_HOME, 0755) < 0 && errno != EEXIST)
		return bb_err_errno(err, "home of the agent '%s'", WORKLOAD_HOME);
	r = nftw(WORKLOAD_HOME, workload_own, WORKLOAD_FDS, FTW_PHYS | FTW_MOUNT);
	if (r != 0)
		return bb_err_set(err, r, "home of the agent '%s': %s", WORKLOAD_HOME,
				  bb_err_name(r));
	return 0;
}

/* --- network ---------------------------------------------------------------------------------- */

static bool workload_is_card(int fd, const char *name)
{
	struct ifreq rq = { 0 };

	(void)snprintf(rq.ifr_name, sizeof(rq.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &rq) < 0)
		return true; /* what cannot be looked at is not believed to be harmless */
	return (rq.ifr_flags & IFF_UP) != 0 && (rq.ifr_flags & IFF_LOOPBACK) == 0;
}

/* Interfaces that are down (a kernel makes tunnels by itself) carry nothing. */
static int workload_check_cards(struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *all = if_nameindex();
	int r = 0;

	if (fd < 0 || all == NULL)
		r = bb_err_errno(err, "the machine's network interfaces");
	for (const struct if_nameindex *i = all; r == 0 && i->if_index != 0; i++) {
		if (workload_is_card(fd, i->if_name))
			r = bb_err_set(err, -EPERM,
				       "this machine has a network card ('%s'), though it was "
				       "ordered without: nothing is run in it",
				       i->if_name);
	}
	if_freenameindex(all);
	return r;
}

/* The listeners stand on 53, 80 and 443, which are root's as a rule; the agent's own servers get
 * the freedom that every other bottle gives. */
static void workload_free_ports(void)
{
	BB_AUTO_CLOSE int fd =
		open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "0", 1); /* comfort */
}

static int workload_network(struct bb_err *err)
{
	int r = workload_check_cards(err);

	if (r == 0)
		r = loopback_setup(err);
	if (r < 0)
		return r;
	workload_free_ports();
	return 0;
}

int workload_prepare(enum guest_mode mode, struct bb_err *err)
{
	int r = workload_mount_proc(err);

	if (r == 0)
		r = workload_check_user(err);
	if (r == 0 && getuid() == 0) {
		r = workload_mount_terminals(err);
		if (r == 0)
			r = workload_directories(err);
		workload_link_descriptors();
	}
	if (r == 0 && mode == GUEST_SOCKET)
		r = workload_network(err);
	return r;
}

/* --- idle --------------------------------------------------------------------------------------
 */

void workload_idle(void)
{
	sigset_t mask;
	int number;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL); /* fails for a wrong argument only */
	do {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (sigwait(&mask, &number) != 0)
			_exit(1);
	} while (number == SIGCHLD);
	_exit(0);
}
