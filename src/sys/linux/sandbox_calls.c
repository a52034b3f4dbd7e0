/*
 * What each role may call after sandbox_lock(). The lists hold what our code, glibc 2.36 and later,
 * libuv, OpenSSL and c-ares call once set up, with the fallbacks of glibc. What no list names fails
 * with EPERM; a call that no correct role ever makes kills the process, so that an attempt is seen:
 * the bottle then ends with "part died".
 *
 * Arguments are compared in 64 bits although the kernel looks at 32 of an int: an upper half that
 * is not zero only makes a call fail that would have been allowed.
 */
#include "sys/linux/sandbox_calls.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif

#define CALL(name)                                      \
	{                                               \
		.call = (name), .verdict = FILTER_ALLOW \
	}
#define CALL_ARG(name, index, number)                    \
	{                                                \
		.call = (name), .verdict = FILTER_ALLOW, \
		.when = { {                              \
			.arg = (index),                  \
			.compare = FILTER_EQ,            \
			.value = (uint64_t)(number),     \
		} },                                     \
	}
#define CALL_BITS(name, index, bits, number)             \
	{                                                \
		.call = (name), .verdict = FILTER_ALLOW, \
		.when = { {                              \
			.arg = (index),                  \
			.compare = FILTER_BITS,          \
			.mask = (uint64_t)(bits),        \
			.value = (uint64_t)(number),     \
		} },                                     \
	}
#define CALL_SOCKET(family, type)                          \
	{                                                  \
		.call = "socket", .verdict = FILTER_ALLOW, \
		.when = { {                                \
				  .arg = 0,                \
				  .compare = FILTER_EQ,    \
				  .value = (family),       \
			  },                               \
			  {                                \
				  .arg = 1,                \
				  .compare = FILTER_BITS,  \
				  .mask = 0xf,             \
				  .value = (type),         \
			  } },                             \
	}
#define KILL(name)                                     \
	{                                              \
		.call = (name), .verdict = FILTER_KILL \
	}
#define END                  \
	{                    \
		.call = NULL \
	}

/* Memory, time, the loop, and I/O on descriptors that are already there. */
static const struct filter_rule common[] = {
	CALL("read"),
	CALL("write"),
	CALL("readv"),
	CALL("writev"),
	CALL("pread64"),
	CALL("pwrite64"),
	CALL("preadv"),
	CALL("pwritev"),
	CALL("close"),
	CALL("close_range"),
	CALL("lseek"),
	CALL("fstat"),
	CALL("ftruncate"),
	CALL("dup"),
	CALL("dup2"),
	CALL("dup3"),
	CALL("pipe2"),
	CALL("poll"),
	CALL("ppoll"),
	CALL("select"),
	CALL("pselect6"),
	CALL("epoll_create1"),
	CALL("epoll_ctl"),
	CALL("epoll_wait"),
	CALL("epoll_pwait"),
	CALL("epoll_pwait2"),
	CALL("eventfd2"),
	CALL("timerfd_create"),
	CALL("timerfd_settime"),
	CALL("sendmsg"),
	CALL("recvmsg"),
	CALL("sendto"),
	CALL("recvfrom"),
	CALL("shutdown"),
	CALL("getsockopt"),
	CALL("setsockopt"),
	CALL("getsockname"),
	CALL("getpeername"),
	CALL("munmap"),
	CALL("mremap"),
	CALL("brk"),
	CALL("madvise"),
	CALL("mlock"),
	CALL("mlock2"),
	CALL("munlock"),
	CALL("rt_sigaction"),
	CALL("rt_sigprocmask"),
	CALL("rt_sigreturn"),
	CALL("sigaltstack"),
	CALL("restart_syscall"),
	CALL("getpid"),
	CALL("gettid"),
	CALL("getppid"),
	CALL("getuid"),
	CALL("geteuid"),
	CALL("getgid"),
	CALL("getegid"),
	CALL("exit"),
	CALL("exit_group"),
	CALL("futex"),
	CALL("clock_gettime"),
	CALL("clock_getres"),
	CALL("clock_nanosleep"),
	CALL("nanosleep"),
	CALL("gettimeofday"),
	CALL("time"),
	CALL("getrandom"),
	CALL("sched_yield"),
	CALL("sched_getaffinity"),
	CALL("set_robust_list"),
	CALL("rseq"),
	CALL("getrusage"),
	CALL("sysinfo"),
	CALL("uname"),
	CALL("getcpu"),
	CALL("membarrier"),
	/* fstat() of glibc 2.33 and later; a path is not looked at with this flag and "". */
	CALL_BITS("newfstatat", 3, AT_EMPTY_PATH, AT_EMPTY_PATH),
	/* No memory that can be executed is ever made. */
	CALL_BITS("mmap", 2, PROT_EXEC, 0),
	CALL_BITS("mprotect", 2, PROT_EXEC, 0),
	/* No F_SETOWN, F_SETSIG: they send signals to others. */
	CALL_ARG("fcntl", 1, F_DUPFD),
	CALL_ARG("fcntl", 1, F_DUPFD_CLOEXEC),
	CALL_ARG("fcntl", 1, F_GETFD),
	CALL_ARG("fcntl", 1, F_SETFD),
	CALL_ARG("fcntl", 1, F_GETFL),
	CALL_ARG("fcntl", 1, F_SETFL),
	CALL_ARG("fcntl", 1, F_ADD_SEALS),
	CALL_ARG("fcntl", 1, F_GET_SEALS),
	/* isatty() of stdio, libuv's non-blocking switch, bytes waiting. */
	CALL_ARG("ioctl", 1, TCGETS),
	CALL_ARG("ioctl", 1, FIONBIO),
	CALL_ARG("ioctl", 1, FIONREAD),
	CALL_ARG("ioctl", 1, FIOCLEX),
	CALL_ARG("ioctl", 1, SIOCOUTQ),
	CALL_ARG("prctl", 0, PR_SET_NAME),
	CALL_ARG("prctl", 0, PR_GET_NAME),
	CALL_ARG("prctl", 0, PR_SET_VMA),
	END,
};

/* Never made by a correct role. Not listed for the monitor. */
static const struct filter_rule never[] = {
	KILL("execve"),
	KILL("execveat"),
	KILL("ptrace"),
	KILL("process_vm_readv"),
	KILL("process_vm_writev"),
	KILL("bpf"),
	KILL("perf_event_open"),
	KILL("userfaultfd"),
	KILL("keyctl"),
	KILL("add_key"),
	KILL("request_key"),
	KILL("mount"),
	KILL("umount2"),
	KILL("pivot_root"),
	KILL("chroot"),
	KILL("unshare"),
	KILL("setns"),
	KILL("fsopen"),
	KILL("move_mount"),
	KILL("open_tree"),
	KILL("mount_setattr"),
	KILL("kexec_load"),
	KILL("kexec_file_load"),
	KILL("init_module"),
	KILL("finit_module"),
	KILL("delete_module"),
	KILL("open_by_handle_at"),
	KILL("pidfd_getfd"),
	KILL("reboot"),
	KILL("swapon"),
	KILL("swapoff"),
	KILL("iopl"),
	KILL("ioperm"),
	KILL("modify_ldt"),
	KILL("personality"),
	END,
};

static const struct filter_rule socket_pairs[] = {
	CALL_ARG("socketpair", 0, AF_UNIX),
	END,
};

static const struct filter_rule memory_files[] = {
	CALL("memfd_create"),
	CALL("fallocate"),
	END,
};

/* TCP upstreams, and UDP and TCP to the name servers. */
static const struct filter_rule network[] = {
	CALL_SOCKET(AF_INET, SOCK_STREAM),
	CALL_SOCKET(AF_INET6, SOCK_STREAM),
	CALL_SOCKET(AF_INET, SOCK_DGRAM),
	CALL_SOCKET(AF_INET6, SOCK_DGRAM),
	CALL("connect"),
	CALL("sendmmsg"),
	CALL("recvmmsg"),
	END,
};

/* Reading a file; Landlock says which. */
static const struct filter_rule read_files[] = {
	CALL_BITS("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY),
		  O_RDONLY),
	CALL_BITS("open", 1, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), O_RDONLY),
	CALL("newfstatat"),
	CALL("statx"),
	CALL("access"),
	CALL("faccessat"),
	CALL("faccessat2"),
	CALL("readlink"),
	CALL("fadvise64"),
	END,
};

static const struct filter_rule sync_files[] = {
	CALL("fdatasync"), CALL("fsync"), CALL("fstatfs"), CALL("flock"), END,
};

/* A tree below one directory; Landlock keeps it there. */
static const struct filter_rule trees[] = {
	CALL("open"),       CALL("openat"),     CALL("openat2"),         CALL("newfstatat"),
	CALL("stat"),       CALL("lstat"),      CALL("statx"),           CALL("access"),
	CALL("faccessat"),  CALL("faccessat2"), CALL("getdents64"),      CALL("mkdir"),
	CALL("mkdirat"),    CALL("unlink"),     CALL("unlinkat"),        CALL("rmdir"),
	CALL("rename"),     CALL("renameat"),   CALL("renameat2"),       CALL("link"),
	CALL("linkat"),     CALL("symlink"),    CALL("symlinkat"),       CALL("readlink"),
	CALL("readlinkat"), CALL("chmod"),      CALL("fchmod"),          CALL("fchmodat"),
	CALL("chown"),      CALL("fchown"),     CALL("lchown"),          CALL("fchownat"),
	CALL("utimensat"),  CALL("utimes"),     CALL("futimesat"),       CALL("chdir"),
	CALL("fchdir"),     CALL("getcwd"),     CALL("umask"),           CALL("statfs"),
	CALL("fadvise64"),  CALL("fallocate"),  CALL("copy_file_range"), CALL("truncate"),
	CALL("getxattr"),   CALL("lgetxattr"),  CALL("fgetxattr"),       CALL("listxattr"),
	CALL("llistxattr"), CALL("flistxattr"), CALL("getgroups"),       END,
};

/* The monitor once everything is started: it watches, ends and cleans up. */
static const struct filter_rule monitor[] = {
	CALL_ARG("socket", 0, AF_UNIX),
	CALL("bind"),
	CALL("listen"),
	CALL("accept"),
	CALL("accept4"),
	CALL("connect"),
	CALL("splice"), /* its log, unread */
	CALL("pidfd_send_signal"),
	CALL("pidfd_open"),
	CALL("waitid"),
	CALL("wait4"),
	CALL("setsid"),
	CALL("kill"),
	CALL_ARG("fcntl", 1, F_SETLK),
	CALL_ARG("fcntl", 1, F_GETLK),
	CALL_ARG("fcntl", 1, F_OFD_SETLK),
	CALL_ARG("fcntl", 1, F_OFD_GETLK),
	CALL_ARG("fcntl", 1, F_OFD_SETLKW),
	KILL("ptrace"),
	KILL("process_vm_readv"),
	KILL("process_vm_writev"),
	KILL("bpf"),
	KILL("perf_event_open"),
	KILL("userfaultfd"),
	KILL("keyctl"),
	KILL("add_key"),
	KILL("execve"),
	KILL("execveat"),
	KILL("mount"),
	KILL("pivot_root"),
	KILL("unshare"),
	KILL("setns"),
	KILL("init_module"),
	KILL("finit_module"),
	KILL("open_by_handle_at"),
	KILL("pidfd_getfd"),
	END,
};

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

/* What the sanitizers' own threads, reports and leak check call. */
static const struct filter_rule sanitizer[] = {
#ifdef WITH_SANITIZER
	CALL("open"),
	CALL("openat"),
	CALL("readlink"),
	CALL("readlinkat"),
	CALL("newfstatat"),
	CALL("stat"),
	CALL("lstat"),
	CALL("statx"),
	CALL("getdents64"),
	CALL("mmap"),
	CALL("mprotect"),
	CALL("clone"),
	CALL("wait4"),
	CALL("prctl"),
	CALL("fcntl"),
	CALL("ioctl"),
	CALL("arch_prctl"),
	CALL("prlimit64"),
	CALL("getrlimit"),
	CALL("sched_getparam"),
	CALL("process_madvise"),
	CALL("tgkill"),
	CALL("getcwd"),
	CALL("set_tid_address"),
	CALL("socket"),
#endif
	END,
};

const struct filter_rule *const sandbox_calls[SANDBOX_NUM_PROFILES][SANDBOX_TABLES_MAX] = {
	[SANDBOX_CHANNEL] = { common, never, sanitizer, socket_pairs, sync_files },
	[SANDBOX_EGRESS] = { common, never, sanitizer, memory_files },
	[SANDBOX_DIALLER] = { common, never, sanitizer, network, read_files },
	[SANDBOX_RECORDER] = { common, never, sanitizer, sync_files },
	[SANDBOX_MONITOR] = { common, sanitizer, socket_pairs, memory_files, sync_files, trees,
			      monitor },
	[SANDBOX_ARCHIVE] = { common, never, sanitizer, sync_files, trees },
};

const struct filter_rule sandbox_no_open[] = {
	{ .call = "open", .verdict = FILTER_ERRNO, .error = EACCES },
	{ .call = "openat", .verdict = FILTER_ERRNO, .error = EACCES },
	{ .call = "openat2", .verdict = FILTER_ERRNO, .error = EACCES },
	END,
};
