/*
 * What jailed programs may call. Two programs a jail: an allow-list (unknown calls fail with
 * ENOSYS, so that a libc falls back to an older call), and refusals that depend on an argument or
 * deserve a plain EPERM. The kernel runs both, the stricter verdict holds. x86_64 only; i386 and
 * x32 entries kill.
 *
 * The guest's list is what compilers, node, bun, python, git and debuggers use. Left out: all that
 * reaches beyond the bottle or has been the way in before (bpf, io_uring, perf, userfaultfd, keys,
 * mounts, namespaces, modules, kexec, file handles), because the kernel is shared. ptrace is
 * allowed: with one pid namespace and one uid it reaches only the bottle's own processes.
 *
 * The VMM's list is the guest's without any exec (one passes: see jail.c), without new sockets,
 * processes and ptrace.
 */
#include <asm/termbits.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sys/linux/jail_impl.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define ALLOW(name)                                     \
	{                                               \
		.call = (name), .verdict = FILTER_ALLOW \
	}
#define ALLOW_ARG(name, index, number)                   \
	{                                                \
		.call = (name), .verdict = FILTER_ALLOW, \
		.when = { {                              \
			.arg = (index),                  \
			.compare = FILTER_EQ,            \
			.value = (uint64_t)(number),     \
		} },                                     \
	}
#define REFUSE(name, number)                                               \
	{                                                                  \
		.call = (name), .verdict = FILTER_ERRNO, .error = (number) \
	}
/* The kernel looks at the lower 32 bits of an int argument only; so must a refusal. */
#define REFUSE_INT(name, index, number, errno_number)                             \
	{                                                                         \
		.call = (name), .verdict = FILTER_ERRNO, .error = (errno_number), \
		.when = { {                                                       \
			.arg = (index),                                           \
			.compare = FILTER_BITS,                                   \
			.mask = 0xffffffffULL,                                    \
			.value = (uint64_t)(number),                              \
		} },                                                              \
	}
#define REFUSE_FLAG(name, index, flag)                                   \
	{                                                                \
		.call = (name), .verdict = FILTER_ERRNO, .error = EPERM, \
		.when = { {                                              \
			.arg = (index),                                  \
			.compare = FILTER_BITS,                          \
			.mask = (flag),                                  \
			.value = (flag),                                 \
		} },                                                     \
	}
#define END                  \
	{                    \
		.call = NULL \
	}

/* Guest and VMM: files, memory, threads, time, I/O on what is open. */
static const struct filter_rule common[] = {
	ALLOW("read"),
	ALLOW("write"),
	ALLOW("open"),
	ALLOW("close"),
	ALLOW("stat"),
	ALLOW("fstat"),
	ALLOW("lstat"),
	ALLOW("poll"),
	ALLOW("lseek"),
	ALLOW("mmap"),
	ALLOW("mprotect"),
	ALLOW("munmap"),
	ALLOW("brk"),
	ALLOW("rt_sigaction"),
	ALLOW("rt_sigprocmask"),
	ALLOW("rt_sigreturn"),
	ALLOW("ioctl"),
	ALLOW("pread64"),
	ALLOW("pwrite64"),
	ALLOW("readv"),
	ALLOW("writev"),
	ALLOW("access"),
	ALLOW("pipe"),
	ALLOW("select"),
	ALLOW("sched_yield"),
	ALLOW("mremap"),
	ALLOW("msync"),
	ALLOW("mincore"),
	ALLOW("madvise"),
	ALLOW("dup"),
	ALLOW("dup2"),
	ALLOW("pause"),
	ALLOW("nanosleep"),
	ALLOW("getitimer"),
	ALLOW("alarm"),
	ALLOW("setitimer"),
	ALLOW("getpid"),
	ALLOW("sendfile"),
	ALLOW("accept"),
	ALLOW("sendto"),
	ALLOW("recvfrom"),
	ALLOW("sendmsg"),
	ALLOW("recvmsg"),
	ALLOW("shutdown"),
	ALLOW("getsockname"),
	ALLOW("getpeername"),
	ALLOW("setsockopt"),
	ALLOW("getsockopt"),
	ALLOW("exit"),
	ALLOW("uname"),
	ALLOW("fcntl"),
	ALLOW("flock"),
	ALLOW("fsync"),
	ALLOW("fdatasync"),
	ALLOW("truncate"),
	ALLOW("ftruncate"),
	ALLOW("getdents"),
	ALLOW("getcwd"),
	ALLOW("chdir"),
	ALLOW("fchdir"),
	ALLOW("rename"),
	ALLOW("mkdir"),
	ALLOW("rmdir"),
	ALLOW("creat"),
	ALLOW("link"),
	ALLOW("unlink"),
	ALLOW("symlink"),
	ALLOW("readlink"),
	ALLOW("chmod"),
	ALLOW("fchmod"),
	ALLOW("umask"),
	ALLOW("gettimeofday"),
	ALLOW("getrlimit"),
	ALLOW("getrusage"),
	ALLOW("sysinfo"),
	ALLOW("times"),
	ALLOW("getuid"),
	ALLOW("getgid"),
	ALLOW("geteuid"),
	ALLOW("getegid"),
	ALLOW("getppid"),
	ALLOW("getpgrp"),
	ALLOW("getgroups"),
	ALLOW("getresuid"),
	ALLOW("getresgid"),
	ALLOW("getpgid"),
	ALLOW("getsid"),
	ALLOW("capget"),
	ALLOW("rt_sigpending"),
	ALLOW("rt_sigtimedwait"),
	ALLOW("rt_sigsuspend"),
	ALLOW("sigaltstack"),
	ALLOW("statfs"),
	ALLOW("fstatfs"),
	ALLOW("getpriority"),
	ALLOW("sched_getparam"),
	ALLOW("sched_getscheduler"),
	ALLOW("sched_get_priority_max"),
	ALLOW("sched_get_priority_min"),
	ALLOW("sched_rr_get_interval"),
	ALLOW("mlock"),
	ALLOW("munlock"),
	ALLOW("mlockall"),
	ALLOW("munlockall"),
	ALLOW("prctl"),
	ALLOW("arch_prctl"),
	ALLOW("setrlimit"),
	ALLOW("sync"),
	ALLOW("gettid"),
	ALLOW("readahead"),
	ALLOW("getxattr"),
	ALLOW("lgetxattr"),
	ALLOW("fgetxattr"),
	ALLOW("listxattr"),
	ALLOW("llistxattr"),
	ALLOW("flistxattr"),
	ALLOW("tkill"),
	ALLOW("time"),
	ALLOW("futex"),
	ALLOW("futex_waitv"),
	ALLOW("sched_setaffinity"),
	ALLOW("sched_getaffinity"),
	ALLOW("io_setup"),
	ALLOW("io_destroy"),
	ALLOW("io_getevents"),
	ALLOW("io_submit"),
	ALLOW("io_cancel"),
	ALLOW("io_pgetevents"),
	ALLOW("epoll_create"),
	ALLOW("getdents64"),
	ALLOW("set_tid_address"),
	ALLOW("restart_syscall"),
	ALLOW("fadvise64"),
	ALLOW("timer_create"),
	ALLOW("timer_settime"),
	ALLOW("timer_gettime"),
	ALLOW("timer_getoverrun"),
	ALLOW("timer_delete"),
	ALLOW("clock_gettime"),
	ALLOW("clock_getres"),
	ALLOW("clock_nanosleep"),
	ALLOW("exit_group"),
	ALLOW("epoll_wait"),
	ALLOW("epoll_ctl"),
	ALLOW("tgkill"),
	ALLOW("openat"),
	ALLOW("openat2"),
	ALLOW("mkdirat"),
	ALLOW("newfstatat"),
	ALLOW("unlinkat"),
	ALLOW("renameat"),
	ALLOW("renameat2"),
	ALLOW("linkat"),
	ALLOW("symlinkat"),
	ALLOW("readlinkat"),
	ALLOW("fchmodat"),
	ALLOW("faccessat"),
	ALLOW("faccessat2"),
	ALLOW("pselect6"),
	ALLOW("ppoll"),
	ALLOW("set_robust_list"),
	ALLOW("get_robust_list"),
	ALLOW("splice"),
	ALLOW("tee"),
	ALLOW("sync_file_range"),
	ALLOW("vmsplice"),
	ALLOW("epoll_pwait"),
	ALLOW("epoll_pwait2"),
	ALLOW("signalfd"),
	ALLOW("timerfd_create"),
	ALLOW("eventfd"),
	ALLOW("fallocate"),
	ALLOW("timerfd_settime"),
	ALLOW("timerfd_gettime"),
	ALLOW("accept4"),
	ALLOW("signalfd4"),
	ALLOW("eventfd2"),
	ALLOW("epoll_create1"),
	ALLOW("dup3"),
	ALLOW("pipe2"),
	ALLOW("preadv"),
	ALLOW("pwritev"),
	ALLOW("preadv2"),
	ALLOW("pwritev2"),
	ALLOW("recvmmsg"),
	ALLOW("sendmmsg"),
	ALLOW("prlimit64"),
	ALLOW("syncfs"),
	ALLOW("getcpu"),
	ALLOW("sched_getattr"),
	ALLOW("getrandom"),
	ALLOW("memfd_create"),
	ALLOW("membarrier"),
	ALLOW("mlock2"),
	ALLOW("copy_file_range"),
	ALLOW("statx"),
	ALLOW("rseq"),
	ALLOW("close_range"),
	ALLOW("seccomp"),
	ALLOW("set_thread_area"),
	ALLOW("get_thread_area"),
	ALLOW("clone"),
	ALLOW("cachestat"),
	ALLOW("map_shadow_stack"),
	ALLOW("futex_wake"),
	ALLOW("futex_wait"),
	ALLOW("futex_requeue"),
	ALLOW("fchmodat2"),
	END,
};

/* The guest's only: processes, sockets, ownership, IPC, tracing. */
static const struct filter_rule guest[] = {
	ALLOW("execve"),
	ALLOW("execveat"),
	ALLOW("fork"),
	ALLOW("vfork"),
	ALLOW("wait4"),
	ALLOW("waitid"),
	ALLOW("kill"),
	ALLOW("socket"),
	ALLOW("socketpair"),
	ALLOW("connect"),
	ALLOW("bind"),
	ALLOW("listen"),
	ALLOW("setpgid"),
	ALLOW("setsid"),
	ALLOW("chown"),
	ALLOW("fchown"),
	ALLOW("lchown"),
	ALLOW("fchownat"),
	ALLOW("setuid"),
	ALLOW("setgid"),
	ALLOW("setreuid"),
	ALLOW("setregid"),
	ALLOW("setgroups"),
	ALLOW("setresuid"),
	ALLOW("setresgid"),
	ALLOW("setfsuid"),
	ALLOW("setfsgid"),
	ALLOW("capset"),
	ALLOW("rt_sigqueueinfo"),
	ALLOW("rt_tgsigqueueinfo"),
	ALLOW("utime"),
	ALLOW("utimes"),
	ALLOW("futimesat"),
	ALLOW("utimensat"),
	ALLOW("mknod"),
	ALLOW("mknodat"),
	ALLOW("setpriority"),
	ALLOW("sched_setparam"),
	ALLOW("sched_setscheduler"),
	ALLOW("sched_setattr"),
	ALLOW("ioprio_set"),
	ALLOW("ioprio_get"),
	ALLOW("ptrace"),
	ALLOW("shmget"),
	ALLOW("shmat"),
	ALLOW("shmctl"),
	ALLOW("shmdt"),
	ALLOW("semget"),
	ALLOW("semop"),
	ALLOW("semctl"),
	ALLOW("semtimedop"),
	ALLOW("msgget"),
	ALLOW("msgsnd"),
	ALLOW("msgrcv"),
	ALLOW("msgctl"),
	ALLOW("mq_open"),
	ALLOW("mq_unlink"),
	ALLOW("mq_timedsend"),
	ALLOW("mq_timedreceive"),
	ALLOW("mq_notify"),
	ALLOW("mq_getsetattr"),
	ALLOW("setxattr"),
	ALLOW("lsetxattr"),
	ALLOW("fsetxattr"),
	ALLOW("removexattr"),
	ALLOW("lremovexattr"),
	ALLOW("fremovexattr"),
	ALLOW("inotify_init"),
	ALLOW("inotify_init1"),
	ALLOW("inotify_add_watch"),
	ALLOW("inotify_rm_watch"),
	ALLOW("pidfd_open"),
	ALLOW("pidfd_send_signal"),
	ALLOW("pkey_mprotect"),
	ALLOW("pkey_alloc"),
	ALLOW("pkey_free"),
	ALLOW("remap_file_pages"),
	ALLOW("landlock_create_ruleset"),
	ALLOW("landlock_add_rule"),
	ALLOW("landlock_restrict_self"),
	ALLOW("sched_get_priority_max"),
	ALLOW("process_mrelease"),
	/* Values that only change what uname() says or how memory is laid out. */
	ALLOW_ARG("personality", 0, 0x0),
	ALLOW_ARG("personality", 0, 0x8),
	ALLOW_ARG("personality", 0, 0x20000),
	ALLOW_ARG("personality", 0, 0x20008),
	ALLOW_ARG("personality", 0, 0x40000),
	ALLOW_ARG("personality", 0, 0xffffffff),
	END,
};

/* Known and refused: EPERM says "not here" where ENOSYS would say "old kernel". */
static const struct filter_rule refused[] = {
	REFUSE("bpf", EPERM),
	REFUSE("chroot", EPERM),
	REFUSE("io_uring_setup", EPERM),
	REFUSE("io_uring_enter", EPERM),
	REFUSE("io_uring_register", EPERM),
	REFUSE("perf_event_open", EPERM),
	REFUSE("userfaultfd", EPERM),
	REFUSE("keyctl", EPERM),
	REFUSE("add_key", EPERM),
	REFUSE("request_key", EPERM),
	REFUSE("process_vm_readv", EPERM),
	REFUSE("process_vm_writev", EPERM),
	REFUSE("process_madvise", EPERM),
	REFUSE("kcmp", EPERM),
	REFUSE("pidfd_getfd", EPERM),
	REFUSE("mount", EPERM),
	REFUSE("umount2", EPERM),
	REFUSE("pivot_root", EPERM),
	REFUSE("move_mount", EPERM),
	REFUSE("open_tree", EPERM),
	REFUSE("fsopen", EPERM),
	REFUSE("fsconfig", EPERM),
	REFUSE("fsmount", EPERM),
	REFUSE("fspick", EPERM),
	REFUSE("mount_setattr", EPERM),
	REFUSE("setns", EPERM),
	REFUSE("unshare", EPERM),
	REFUSE("open_by_handle_at", EPERM),
	REFUSE("name_to_handle_at", EPERM),
	REFUSE("kexec_load", EPERM),
	REFUSE("kexec_file_load", EPERM),
	REFUSE("init_module", EPERM),
	REFUSE("finit_module", EPERM),
	REFUSE("delete_module", EPERM),
	REFUSE("swapon", EPERM),
	REFUSE("swapoff", EPERM),
	REFUSE("reboot", EPERM),
	REFUSE("quotactl", EPERM),
	REFUSE("quotactl_fd", EPERM),
	REFUSE("acct", EPERM),
	REFUSE("syslog", EPERM),
	REFUSE("sethostname", EPERM),
	REFUSE("setdomainname", EPERM),
	REFUSE("settimeofday", EPERM),
	REFUSE("clock_settime", EPERM),
	REFUSE("adjtimex", EPERM),
	REFUSE("clock_adjtime", EPERM),
	REFUSE("iopl", EPERM),
	REFUSE("ioperm", EPERM),
	REFUSE("modify_ldt", EPERM),
	REFUSE("vhangup", EPERM),
	REFUSE("fanotify_init", EPERM),
	REFUSE("fanotify_mark", EPERM),
	REFUSE("lookup_dcookie", EPERM),
	REFUSE("mbind", EPERM),
	REFUSE("set_mempolicy", EPERM),
	REFUSE("migrate_pages", EPERM),
	REFUSE("move_pages", EPERM),
	REFUSE("set_mempolicy_home_node", EPERM),
	/* glibc falls back to clone(), whose flags a filter can see. */
	REFUSE("clone3", ENOSYS),
	END,
};

/* By argument, for the guest. The families are listed one by one: AF_UNIX (1), AF_INET (2),
 * AF_INET6 (10), and AF_NETLINK (16) for routes only are what remains. */
static const struct filter_rule by_argument[] = {
	REFUSE_INT("socket", 0, 0, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 3, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 4, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 5, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 6, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 7, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 8, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 9, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 11, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 12, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 13, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 14, EAFNOSUPPORT),
	REFUSE_INT("socket", 0, 15, EAFNOSUPPORT),
	{ .call = "socket",
	  .verdict = FILTER_ERRNO,
	  .error = EAFNOSUPPORT,
	  .when = { { .arg = 0, .compare = FILTER_ABOVE, .value = AF_NETLINK } } },
	{ .call = "socket",
	  .verdict = FILTER_ERRNO,
	  .error = EPROTONOSUPPORT,
	  .when = { { .arg = 0, .compare = FILTER_EQ, .value = AF_NETLINK },
		    { .arg = 2, .compare = FILTER_NE, .value = 0 } } },
	REFUSE_FLAG("clone", 0, CLONE_NEWNS),
	REFUSE_FLAG("clone", 0, CLONE_NEWUSER),
	REFUSE_FLAG("clone", 0, CLONE_NEWPID),
	REFUSE_FLAG("clone", 0, CLONE_NEWNET),
	REFUSE_FLAG("clone", 0, CLONE_NEWIPC),
	REFUSE_FLAG("clone", 0, CLONE_NEWUTS),
	REFUSE_FLAG("clone", 0, CLONE_NEWCGROUP),
	/* Pushing characters into a terminal's input, and the console's paste buffer. */
	REFUSE_INT("ioctl", 1, TIOCSTI, EPERM),
	REFUSE_INT("ioctl", 1, 0x541C, EPERM),
	END,
};

/* For the VMM: threads only. A clone() without CLONE_THREAD is a process. */
static const struct filter_rule vmm_refused[] = {
	REFUSE("socket", EPERM),
	REFUSE("socketpair", EPERM),
	REFUSE("connect", EPERM),
	REFUSE("bind", EPERM),
	REFUSE("listen", EPERM),
	REFUSE("ptrace", EPERM),
	REFUSE("fork", EPERM),
	REFUSE("vfork", EPERM),
	REFUSE("kill", EPERM),
	REFUSE("setuid", EPERM),
	REFUSE("setgid", EPERM),
	REFUSE("personality", EPERM),
	{ .call = "clone",
	  .verdict = FILTER_ERRNO,
	  .error = EPERM,
	  .when = { { .arg = 0, .compare = FILTER_BITS, .mask = CLONE_THREAD, .value = 0 } } },
	REFUSE_INT("ioctl", 1, TIOCSTI, EPERM),
	REFUSE_INT("ioctl", 1, 0x541C, EPERM),
	END,
};

/* Each exec asks the listener; once that is closed the kernel answers ENOSYS by itself. */
static const struct filter_rule vmm_exec[] = {
	{ .call = "execve", .verdict = FILTER_NOTIFY },
	{ .call = "execveat", .verdict = FILTER_NOTIFY },
	ALLOW("utimensat"),
	ALLOW("wait4"),
	ALLOW("waitid"),
	ALLOW("sched_setscheduler"),
	ALLOW("setpriority"),
	ALLOW("sched_setattr"),
	ALLOW("setsid"),
	END,
};

int jail_filter_build(enum jail_filter kind, struct filter_program *ret_calls,
		      struct filter_program *ret_refusals, struct bb_err *err)
{
	const struct filter_rule *const guest_calls[] = { common, guest, refused, NULL };
	const struct filter_rule *const guest_refusals[] = { by_argument, NULL };
	const struct filter_rule *const vmm_calls[] = { common, vmm_exec, refused, NULL };
	const struct filter_rule *const vmm_refusals[] = { vmm_refused, NULL };
	bool is_guest = kind == JAIL_FILTER_GUEST;
	int r = filter_build(is_guest ? guest_calls : vmm_calls, FILTER_ERRNO, ENOSYS, ret_calls,
			     err);

	if (r < 0)
		return r;
	return filter_build(is_guest ? guest_refusals : vmm_refusals, FILTER_ALLOW, 0, ret_refusals,
			    err);
}
