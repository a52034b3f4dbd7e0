/* The attacks and the deeds; see attacks.h. Each runs in a process of its own. */
#include "attacks.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* 0 when r says success, else errno. */
static int verdict(long r)
{
	return r < 0 ? errno : 0;
}

/* The call got past every permission check: any error but a refusal is an answer of its code. */
static int reached(long r)
{
	if (r >= 0)
		return 0;
	return errno == EPERM || errno == ENOSYS || errno == EACCES ? errno : 0;
}

static long number_from_env(const char *name)
{
	const char *s = getenv(name);

	return s != NULL ? strtol(s, NULL, 10) : -1;
}

/* ---- sockets ---- */

static int open_socket(long family, long type, long protocol)
{
	return verdict(syscall(SYS_socket, family, type, protocol));
}
static int vsock(void)
{
	return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int vsock_with_upper_bits(void)
{
	return open_socket(1L << 32 | AF_VSOCK, SOCK_STREAM, 0);
}
static int packet(void)
{
	return open_socket(AF_PACKET, SOCK_RAW, 0);
}
static int netlink_uevent(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, 15);
}
static int netlink_generic(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, 16);
}
static int netlink_with_upper_bits(void)
{
	return open_socket(1L << 32 | AF_NETLINK, SOCK_RAW, 16);
}
static int algorithm_socket(void)
{
	return open_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

/* ---- kernel interfaces ---- */

static int bpf_map(void)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	return verdict(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}
static int io_uring(void)
{
	uint8_t params[120] = { 0 };

	return verdict(syscall(SYS_io_uring_setup, 4, params));
}
static int perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY,
					.exclude_kernel = 1,
					.exclude_hv = 1 };

	return verdict(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}
static int fault_handler(void)
{
	return verdict(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
}
static int key_add(void)
{
	return verdict(syscall(SYS_add_key, "user", "k", "v", 1, KEY_SPEC_PROCESS_KEYRING));
}
static int key_control(void)
{
	return verdict(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
}
static int key_request(void)
{
	return reached(syscall(SYS_request_key, "user", "none", NULL, 0));
}
/* The operator's session keyring, which the test named. */
static int session_keyring(void)
{
	char text[256] = { 0 };

	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof(text) - 1) <
	    0)
		return errno;
	return strstr(text, MARKER_NAME) != NULL ? 0 : ENOKEY;
}
static int other_memory(void)
{
	char a[8] = "secret", b[8] = { 0 };
	struct iovec local = { b, sizeof(b) }, remote = { a, sizeof(a) };

	return verdict(syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0));
}
static int module_load(void)
{
	return reached(syscall(SYS_init_module, NULL, 0UL, ""));
}
static int kexec(void)
{
	return reached(syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0xffffUL));
}
static int swap_on(void)
{
	return reached(syscall(SYS_swapon, "/nonexistent", 0));
}
static int quota(void)
{
	return reached(syscall(SYS_quotactl, 0x7fffff00, "/nonexistent", 0, NULL));
}
static int kernel_log(void)
{
	return verdict(syscall(SYS_syslog, 10, NULL, 0));
}
static int file_handle(void)
{
	struct {
		struct file_handle head;
		uint8_t room[128];
	} h = { .head = { .handle_bytes = 128 } };
	int mount_id;

	return verdict(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &h, &mount_id, 0));
}
static int open_by_handle(void)
{
	struct {
		struct file_handle head;
		uint8_t room[8];
	} h = { .head = { .handle_bytes = 8, .handle_type = 1 } };

	return reached(syscall(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY));
}
static int steal_descriptor(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return pidfd < 0 ? errno : verdict(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}
static int compare_processes(void)
{
	return verdict(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
}
static int local_descriptor_table(void)
{
	char table[16];

	return verdict(syscall(SYS_modify_ldt, 0, table, sizeof(table)));
}
static int io_ports(void)
{
	return verdict(syscall(SYS_iopl, 3));
}
static int file_watch_all(void)
{
	return verdict(syscall(SYS_fanotify_init, 0U, 0U));
}
static int clock_read_adjust(void)
{
	uint8_t timex[512] = { 0 };

	return verdict(syscall(SYS_adjtimex, timex));
}
static int executable_reads(void)
{
	return verdict(personality(0x0400000)); /* READ_IMPLIES_EXEC */
}

/* ---- other entries into the kernel ---- */

static int x32_call(void)
{
	/* CONTROL_NONE: most kernels are built without x32. */
	return verdict(syscall(0x40000000L | SYS_getpid));
}
static int i386_call(void)
{
	long r = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	if (r < 0)
		errno = (int)-r;
	return verdict(r);
}

/* ---- mounts and namespaces ---- */

static int mount_tmpfs(void)
{
	return verdict(mount("t", "/tmp", "tmpfs", 0, NULL));
}
static int mount_remount(void)
{
	return verdict(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}
static int mount_remove(void)
{
	return reached(umount2("/proc/sys", 0));
}
static int mount_pivot(void)
{
	return reached(syscall(SYS_pivot_root, "/nonexistent", "/nonexistent"));
}
static int mount_new_api(void)
{
	return verdict(syscall(SYS_fsopen, "tmpfs", 0));
}
static int mount_clone_tree(void)
{
	return verdict(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}
static int mount_move(void)
{
	return reached(syscall(SYS_move_mount, AT_FDCWD, "/nonexistent", AT_FDCWD, "/tmp", 0));
}
static int mount_attributes(void)
{
	uint64_t attr[4] = { 0 };

	return reached(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attr, sizeof(attr)));
}
static int change_root(void)
{
	return verdict(chroot("/"));
}
static int unshare_user(void)
{
	return verdict(unshare(CLONE_NEWUSER));
}
static int unshare_mounts(void)
{
	return verdict(unshare(CLONE_NEWNS));
}
static int run_clone(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}
static int clone_user(void)
{
	return run_clone(CLONE_NEWUSER);
}
static int clone_net(void)
{
	return run_clone(CLONE_NEWNET);
}
static int clone_pid(void)
{
	return run_clone(CLONE_NEWPID);
}
static int clone3_user(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return verdict(pid);
}
static int enter_namespace(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : verdict(setns(fd, 0));
}
static int set_hostname(void)
{
	return verdict(sethostname("owned", 5));
}

/* ---- terminal ---- */

static int push_input(void)
{
	/* CONTROL_NONE: kernels from 6.2 on may have it switched off already. */
	int pty = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;
	char c = 'x';

	if (pty < 0 || ioctl(pty, TIOCSPTLCK, &unlock) < 0)
		return errno;
	return verdict(syscall(SYS_ioctl, pty, 1L << 32 | TIOCSTI, &c));
}

/* ---- identity and state ---- */

static int any_capability(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int r = EPERM;

	/* "CapEff:\t0000000000000000" and four more. */
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Cap", 3) == 0 && strtoull(line + 7, NULL, 16) != 0)
			r = 0;
	}
	if (f != NULL)
		(void)fclose(f);
	return r;
}
static int raise_ambient(void)
{
	return verdict(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
}
static int may_gain_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EPERM;
}
static int become_root(void)
{
	return verdict(syscall(SYS_setresuid, 0, 0, 0));
}
/* In the map of a user namespace the second number is the id outside. */
static int is_host_root(void)
{
	struct stat st;

	/* Files that the host's root owns would be owned by us. */
	if (stat("/proc/sys", &st) < 0)
		return errno;
	return st.st_uid == getuid() ? 0 : EPERM;
}
static int inherited_descriptor(void)
{
	const char *fd = getenv("ESCAPE_FD");

	/* The number of a descriptor that the test left open on purpose. */
	return fd == NULL ? ENOENT : verdict(fcntl((int)strtol(fd, NULL, 10), F_GETFD));
}
static int make_device(void)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/tmp/device-%d", getpid());
	r = verdict(mknod(path, S_IFCHR | 0600, makedev(1, 3)));
	(void)unlink(path);
	return r;
}

/* ---- what a bottle must not see ---- */

static int see_path(const char *path)
{
	return verdict(access(path, F_OK));
}
static int see_sys(void)
{
	return see_path("/sys/kernel");
}
static int see_shadow(void)
{
	return see_path("/etc/shadow");
}
static int see_root_home(void)
{
	return see_path("/root");
}
static int see_machine_id(void)
{
	return see_path("/etc/fstab");
}
static int see_block_device(void)
{
	return see_path("/dev/mem") == 0 || see_path("/dev/vda") == 0 ||
			       see_path("/dev/kmsg") == 0 || see_path("/dev/loop-control") == 0
		       ? 0
		       : ENOENT;
}
static int see_home_of_test(void)
{
	const char *path = getenv("ESCAPE_DIR");

	return path == NULL ? EINVAL : see_path(path);
}
static int see_other_processes(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	int r = ESRCH;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char path[300], name[32] = { 0 };
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		if (fgets(name, sizeof(name), f) != NULL &&
		    strncmp(name, MARKER_NAME, strlen(MARKER_NAME)) == 0)
			r = 0;
		(void)fclose(f);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return r;
}
static int signal_host_process(void)
{
	return verdict(kill((pid_t)number_from_env("ESCAPE_PID"), 0));
}
static int attach_host_memory(void)
{
	return verdict(shmget((key_t)number_from_env("ESCAPE_SHM"), 1, 0));
}
static int connect_abstract(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s-%ld", MARKER_NAME,
			 number_from_env("ESCAPE_PID"));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return verdict(
		connect(fd, (struct sockaddr *)&at,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)));
}
static int connect_host_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)number_from_env("ESCAPE_PORT")),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : verdict(connect(fd, (struct sockaddr *)&at, sizeof(at)));
}
static int same_namespace(const char *name)
{
	char path[64], text[128] = { 0 };
	const char *hosts = getenv(name);

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (hosts == NULL || readlink(path, text, sizeof(text) - 1) < 0)
		return EINVAL;
	return strcmp(hosts, text) == 0 ? 0 : EPERM;
}
static int same_user_ns(void)
{
	return same_namespace("user");
}
static int same_mnt_ns(void)
{
	return same_namespace("mnt");
}
static int same_pid_ns(void)
{
	return same_namespace("pid");
}
static int same_net_ns(void)
{
	return same_namespace("net");
}
static int same_ipc_ns(void)
{
	return same_namespace("ipc");
}
static int same_uts_ns(void)
{
	return same_namespace("uts");
}
static int same_cgroup_ns(void)
{
	return same_namespace("cgroup");
}

/* ---- what a bottle must not change; CONTROL_NONE: the host's own files would be written ---- */

static int write_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	(void)unlink(path);
	return 0;
}
static int write_root(void)
{
	return write_path("/escape-probe");
}
static int write_usr(void)
{
	return write_path("/usr/bin/escape-probe");
}
static int write_etc(void)
{
	return write_path("/etc/escape-probe");
}
static int write_dev(void)
{
	return write_path("/dev/escape-probe");
}
static int write_init(void)
{
	return verdict(open("/.bottle-init", O_WRONLY | O_CLOEXEC));
}
static int write_sysctl(void)
{
	return verdict(open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC));
}
static int write_sysrq(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	struct stat st;

	/* Covered by the null device: opening it is no harm. */
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : EPERM;
}

/* A line for each; the order is that of the text above. */
#define FILTERED(fn)                                 \
	{                                            \
#fn, fn, BY_FILTER, CONTROL_ISOLATED \
	}
#define FILTERED_ROOT(fn)                        \
	{                                        \
#fn, fn, BY_FILTER, CONTROL_ROOT \
	}
#define JAILED(fn)                              \
	{                                       \
#fn, fn, BY_JAIL, CONTROL_PLAIN \
	}
const struct attack attacks[] = {
	FILTERED(vsock),
	FILTERED(vsock_with_upper_bits),
	FILTERED(packet),
	FILTERED(netlink_uevent),
	FILTERED(netlink_generic),
	FILTERED(netlink_with_upper_bits),
	FILTERED(algorithm_socket),
	FILTERED_ROOT(bpf_map),
	FILTERED(io_uring),
	FILTERED(perf),
	FILTERED(fault_handler),
	FILTERED(key_add),
	FILTERED(key_control),
	FILTERED(key_request),
	FILTERED(other_memory),
	FILTERED_ROOT(module_load),
	FILTERED_ROOT(kexec),
	FILTERED_ROOT(swap_on),
	FILTERED_ROOT(quota),
	FILTERED_ROOT(kernel_log),
	FILTERED(file_handle),
	FILTERED_ROOT(open_by_handle),
	FILTERED(steal_descriptor),
	FILTERED(compare_processes),
	FILTERED(local_descriptor_table),
	FILTERED_ROOT(io_ports),
	FILTERED(file_watch_all),
	FILTERED(clock_read_adjust),
	FILTERED(executable_reads),
	{ "x32_call", x32_call, BY_FILTER, CONTROL_NONE },
	FILTERED(i386_call),
	FILTERED(mount_tmpfs),
	FILTERED(mount_remount),
	FILTERED(mount_remove),
	FILTERED(mount_pivot),
	FILTERED(mount_new_api),
	FILTERED(mount_clone_tree),
	FILTERED(mount_move),
	FILTERED(mount_attributes),
	FILTERED(change_root),
	FILTERED(unshare_user),
	FILTERED(unshare_mounts),
	FILTERED(clone_user),
	FILTERED(clone_net),
	FILTERED(clone_pid),
	FILTERED(clone3_user),
	FILTERED(enter_namespace),
	FILTERED(set_hostname),
	{ "push_input", push_input, BY_FILTER, CONTROL_NONE },
	{ "session_keyring", session_keyring, BY_FILTER, CONTROL_PLAIN },
	{ "any_capability", any_capability, BY_JAIL, CONTROL_ISOLATED },
	{ "raise_ambient", raise_ambient, BY_JAIL, CONTROL_NONE },
	JAILED(may_gain_privileges),
	{ "become_root", become_root, BY_JAIL, CONTROL_ISOLATED },
	{ "is_host_root", is_host_root, BY_JAIL, CONTROL_ROOT },
	JAILED(inherited_descriptor),
	{ "make_device", make_device, BY_JAIL, CONTROL_ROOT },
	JAILED(see_sys),
	JAILED(see_shadow),
	JAILED(see_root_home),
	JAILED(see_machine_id),
	JAILED(see_block_device),
	JAILED(see_home_of_test),
	JAILED(see_other_processes),
	JAILED(signal_host_process),
	JAILED(attach_host_memory),
	JAILED(connect_abstract),
	JAILED(connect_host_port),
	JAILED(same_user_ns),
	JAILED(same_mnt_ns),
	JAILED(same_pid_ns),
	JAILED(same_net_ns),
	JAILED(same_ipc_ns),
	JAILED(same_uts_ns),
	JAILED(same_cgroup_ns),
	{ "write_root", write_root, BY_JAIL, CONTROL_NONE },
	{ "write_usr", write_usr, BY_JAIL, CONTROL_NONE },
	{ "write_etc", write_etc, BY_JAIL, CONTROL_NONE },
	{ "write_dev", write_dev, BY_JAIL, CONTROL_NONE },
	{ "write_init", write_init, BY_JAIL, CONTROL_NONE },
	{ "write_sysctl", write_sysctl, BY_JAIL, CONTROL_ROOT },
	{ "write_sysrq", write_sysrq, BY_JAIL, CONTROL_ROOT },
};
const size_t attack_count = ARRAY_LEN(attacks);

/* ---- deeds: the twins ---- */

static int deed_unix_socket(void)
{
	int fds[2];

	return verdict(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}
static int deed_inet(void)
{
	return open_socket(AF_INET, SOCK_STREAM, 0) | open_socket(AF_INET6, SOCK_DGRAM, 0);
}
static int deed_netlink_route(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, 0);
}
static int deed_low_port_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(80) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return errno;
	return verdict(listen(fd, 1));
}
static int deed_fork_exec(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECHILD;
}
static int deed_trace_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		return ECHILD;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		return errno;
	return waitpid(pid, &status, 0) == pid ? 0 : ECHILD;
}
static int deed_pty(void)
{
	int pty = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;
	unsigned number = 0;
	char path[64];

	if (pty < 0 || ioctl(pty, TIOCSPTLCK, &unlock) < 0 || ioctl(pty, TIOCGPTN, &number) < 0)
		return errno;
	(void)snprintf(path, sizeof(path), "/dev/pts/%u", number);
	return verdict(open(path, O_RDWR | O_NOCTTY | O_CLOEXEC));
}
static int deed_write_home(void)
{
	return write_path("/home/node/file");
}
static int deed_write_tmp(void)
{
	return write_path("/tmp/file");
}
static int deed_run_own_program(void)
{
	/* A compiler's output is run from where it was written. */
	char command[] = "cp /bin/true /tmp/own && /tmp/own";
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, command, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execv("/bin/sh", argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECHILD;
}
static int deed_executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? errno : 0;
}
static int deed_devices(void)
{
	static const char *const nodes[] = { "null", "zero", "full", "random", "urandom" };

	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		char path[64];
		int fd;

		(void)snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return errno;
		(void)close(fd);
	}
	return 0;
}
static int deed_dev_has_eight_nodes(void)
{
	static const char *const known[] = { "null",  "zero",   "full",  "random", "urandom",
					     "tty",   "ptmx",   "pts",   "shm",    "fd",
					     "stdin", "stdout", "stderr" };
	DIR *dir = opendir("/dev");
	struct dirent *d;
	size_t count = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		size_t i = 0;

		if (d->d_name[0] == '.')
			continue;
		while (i < ARRAY_LEN(known) && strcmp(known[i], d->d_name) != 0)
			i++;
		if (i == ARRAY_LEN(known))
			return EEXIST;
		count++;
	}
	return count == ARRAY_LEN(known) ? 0 : ENOENT;
}
static int deed_is_node(void)
{
	return getuid() == 1000 && geteuid() == 1000 && getgid() == 1000 ? 0 : EPERM;
}
static int deed_threads(void)
{
	struct clone_args args = { 0 };

	/* clone3 must look missing, so that a libc falls back to clone(). */
	return syscall(SYS_clone3, &args, sizeof(args)) < 0 && errno == ENOSYS ? 0 : EPERM;
}
static int deed_locale_personality(void)
{
	return verdict(personality(0xffffffff));
}

const struct deed deeds[] = {
	{ "unix_socket", deed_unix_socket },
	{ "inet", deed_inet },
	{ "netlink_route", deed_netlink_route },
	{ "low_port_server", deed_low_port_server },
	{ "fork_exec", deed_fork_exec },
	{ "trace_child", deed_trace_child },
	{ "pty", deed_pty },
	{ "write_home", deed_write_home },
	{ "write_tmp", deed_write_tmp },
	{ "run_own_program", deed_run_own_program },
	{ "executable_memory", deed_executable_memory },
	{ "devices", deed_devices },
	{ "dev_has_eight_nodes", deed_dev_has_eight_nodes },
	{ "is_node", deed_is_node },
	{ "clone3_looks_missing", deed_threads },
	{ "personality_query", deed_locale_personality },
};
const size_t deed_count = ARRAY_LEN(deeds);
