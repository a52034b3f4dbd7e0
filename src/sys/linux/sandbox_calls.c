/*
 * What each role may call after sandbox_lock(). The lists hold what our code, glibc 2.36 and later,
 * libuv, OpenSSL and c-ares call once set up, with the fallbacks of glibc. What no list names fails
 * with EPERM; a call that no correct role ever makes kills the process, so that an attempt is seen:
 * the bottle then ends with "part died".
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

#include "sys/linux/filter_rows.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif

/* Memory, time, the loop, and I/O on descriptors that are already there. */
static const struct filter_rule common[] = {
	ALLOW("read"),
	ALLOW("write"),
	ALLOW("readv"),
	ALLOW("writev"),
	ALLOW("pread64"),
	ALLOW("pwrite64"),
	ALLOW("preadv"),
	ALLOW("pwritev"),
	ALLOW("close"),
	ALLOW("close_range"),
	ALLOW("lseek"),
	ALLOW("fstat"),
	ALLOW("ftruncate"),
	ALLOW("dup"),
	ALLOW("dup2"),
	ALLOW("dup3"),
	ALLOW("pipe2"),
	ALLOW("poll"),
	ALLOW("ppoll"),
	ALLOW("select"),
	ALLOW("pselect6"),
	ALLOW("epoll_create1"),
	ALLOW("epoll_ctl"),
	ALLOW("epoll_wait"),
	ALLOW("epoll_pwait"),
	ALLOW("epoll_pwait2"),
	ALLOW("eventfd2"),
	ALLOW("timerfd_create"),
	ALLOW("timerfd_settime"),
	ALLOW("sendmsg"),
	ALLOW("recvmsg"),
	ALLOW("sendto"),
	ALLOW("recvfrom"),
	ALLOW("shutdown"),
	ALLOW("getsockopt"),
	ALLOW("setsockopt"),
	ALLOW("getsockname"),
	ALLOW("getpeername"),
	ALLOW("munmap"),
	ALLOW("mremap"),
	ALLOW("brk"),
	ALLOW("madvise"),
	ALLOW("mlock"),
	ALLOW("mlock2"),
	ALLOW("munlock"),
	ALLOW("rt_sigaction"),
	ALLOW("rt_sigprocmask"),
	ALLOW("rt_sigreturn"),
	ALLOW("sigaltstack"),
	ALLOW("restart_syscall"),
	ALLOW("getpid"),
	ALLOW("gettid"),
	ALLOW("getppid"),
	ALLOW("getuid"),
	ALLOW("geteuid"),
	ALLOW("getgid"),
	ALLOW("getegid"),
	ALLOW("exit"),
	ALLOW("exit_group"),
	ALLOW("futex"),
	ALLOW("clock_gettime"),
	ALLOW("clock_getres"),
	ALLOW("clock_nanosleep"),
	ALLOW("nanosleep"),
	ALLOW("gettimeofday"),
	ALLOW("time"),
	ALLOW("getrandom"),
	ALLOW("sched_yield"),
	ALLOW("sched_getaffinity"),
	ALLOW("set_robust_list"),
	ALLOW("rseq"),
	ALLOW("getrusage"),
	ALLOW("sysinfo"),
	ALLOW("uname"),
	ALLOW("getcpu"),
	ALLOW("membarrier"),
	/* fstat() of glibc 2.33 and later; a path is not looked at with this flag and "". */
	ALLOW_BITS("newfstatat", 3, AT_EMPTY_PATH, AT_EMPTY_PATH),
	/* No memory that can be executed is ever made. */
	ALLOW_BITS("mmap", 2, PROT_EXEC, 0),
	ALLOW_BITS("mprotect", 2, PROT_EXEC, 0),
	/* No F_SETOWN, F_SETSIG: they send signals to others. */
	ALLOW_ARG("fcntl", 1, F_DUPFD),
	ALLOW_ARG("fcntl", 1, F_DUPFD_CLOEXEC),
	ALLOW_ARG("fcntl", 1, F_GETFD),
	ALLOW_ARG("fcntl", 1, F_SETFD),
	ALLOW_ARG("fcntl", 1, F_GETFL),
	ALLOW_ARG("fcntl", 1, F_SETFL),
	ALLOW_ARG("fcntl", 1, F_ADD_SEALS),
	ALLOW_ARG("fcntl", 1, F_GET_SEALS),
	/* isatty() of stdio, libuv's non-blocking switch, bytes waiting. */
	ALLOW_ARG("ioctl", 1, TCGETS),
	ALLOW_ARG("ioctl", 1, FIONBIO),
	ALLOW_ARG("ioctl", 1, FIONREAD),
	ALLOW_ARG("ioctl", 1, FIOCLEX),
	ALLOW_ARG("ioctl", 1, SIOCOUTQ),
	ALLOW_ARG("prctl", 0, PR_SET_NAME),
	ALLOW_ARG("prctl", 0, PR_GET_NAME),
	ALLOW_ARG("prctl", 0, PR_SET_VMA),
	END,
};

/* Never made by anyone. */
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

/* Nor by a part; the monitor only fails. */
static const struct filter_rule never_by_parts[] = {
	KILL("request_key"),   KILL("umount2"),     KILL("chroot"),
	KILL("fsopen"),        KILL("move_mount"),  KILL("open_tree"),
	KILL("mount_setattr"), KILL("kexec_load"),  KILL("kexec_file_load"),
	KILL("delete_module"), KILL("reboot"),      KILL("swapon"),
	KILL("swapoff"),       KILL("iopl"),        KILL("ioperm"),
	KILL("modify_ldt"),    KILL("personality"), END,
};

static const struct filter_rule socket_pairs[] = {
	ALLOW_ARG("socketpair", 0, AF_UNIX),
	END,
};

/* From a listener that was handed over: neither role can make one. */
static const struct filter_rule accepting[] = {
	ALLOW("accept4"),
	END,
};

static const struct filter_rule memory_files[] = {
	ALLOW("memfd_create"),
	ALLOW("fallocate"),
	END,
};

/* TCP upstreams, and UDP and TCP to the name servers. */
static const struct filter_rule network[] = {
	ALLOW_SOCKET(AF_INET, SOCK_STREAM),
	ALLOW_SOCKET(AF_INET6, SOCK_STREAM),
	ALLOW_SOCKET(AF_INET, SOCK_DGRAM),
	ALLOW_SOCKET(AF_INET6, SOCK_DGRAM),
	ALLOW("connect"),
	ALLOW("sendmmsg"),
	ALLOW("recvmmsg"),
	END,
};

/* Reading a file; Landlock says which. */
static const struct filter_rule read_files[] = {
	ALLOW_BITS("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY),
		   O_RDONLY),
	ALLOW_BITS("open", 1, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), O_RDONLY),
	ALLOW("newfstatat"),
	ALLOW("statx"),
	ALLOW("access"),
	ALLOW("faccessat"),
	ALLOW("faccessat2"),
	ALLOW("readlink"),
	ALLOW("fadvise64"),
	END,
};

static const struct filter_rule sync_files[] = {
	ALLOW("fdatasync"), ALLOW("fsync"), ALLOW("fstatfs"), ALLOW("flock"), END,
};

/* A tree below one directory; Landlock keeps it there. */
static const struct filter_rule trees[] = {
	ALLOW("open"),       ALLOW("openat"),     ALLOW("openat2"),         ALLOW("newfstatat"),
	ALLOW("stat"),       ALLOW("lstat"),      ALLOW("statx"),           ALLOW("access"),
	ALLOW("faccessat"),  ALLOW("faccessat2"), ALLOW("getdents64"),      ALLOW("mkdir"),
	ALLOW("mkdirat"),    ALLOW("unlink"),     ALLOW("unlinkat"),        ALLOW("rmdir"),
	ALLOW("rename"),     ALLOW("renameat"),   ALLOW("renameat2"),       ALLOW("link"),
	ALLOW("linkat"),     ALLOW("symlink"),    ALLOW("symlinkat"),       ALLOW("readlink"),
	ALLOW("readlinkat"), ALLOW("chmod"),      ALLOW("fchmod"),          ALLOW("fchmodat"),
	ALLOW("chown"),      ALLOW("fchown"),     ALLOW("lchown"),          ALLOW("fchownat"),
	ALLOW("utimensat"),  ALLOW("utimes"),     ALLOW("futimesat"),       ALLOW("chdir"),
	ALLOW("fchdir"),     ALLOW("getcwd"),     ALLOW("umask"),           ALLOW("statfs"),
	ALLOW("fadvise64"),  ALLOW("fallocate"),  ALLOW("copy_file_range"), ALLOW("truncate"),
	ALLOW("getxattr"),   ALLOW("lgetxattr"),  ALLOW("fgetxattr"),       ALLOW("listxattr"),
	ALLOW("llistxattr"), ALLOW("flistxattr"), ALLOW("getgroups"),       END,
};

/* The monitor once everything is started: it watches, ends and cleans up. */
static const struct filter_rule monitor[] = {
	ALLOW_ARG("socket", 0, AF_UNIX),
	ALLOW("bind"),
	ALLOW("listen"),
	ALLOW("accept"),
	ALLOW("accept4"),
	ALLOW("connect"),
	ALLOW("splice"), /* its log, unread */
	ALLOW("pidfd_send_signal"),
	ALLOW("pidfd_open"),
	ALLOW("waitid"),
	ALLOW("wait4"),
	ALLOW("setsid"),
	ALLOW("kill"),
	ALLOW_ARG("fcntl", 1, F_SETLK),
	ALLOW_ARG("fcntl", 1, F_GETLK),
	ALLOW_ARG("fcntl", 1, F_OFD_SETLK),
	ALLOW_ARG("fcntl", 1, F_OFD_GETLK),
	ALLOW_ARG("fcntl", 1, F_OFD_SETLKW),
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
	ALLOW("open"),
	ALLOW("openat"),
	ALLOW("readlink"),
	ALLOW("readlinkat"),
	ALLOW("newfstatat"),
	ALLOW("stat"),
	ALLOW("lstat"),
	ALLOW("statx"),
	ALLOW("getdents64"),
	ALLOW("mmap"),
	ALLOW("mprotect"),
	ALLOW("clone"),
	ALLOW("wait4"),
	ALLOW("prctl"),
	ALLOW("fcntl"),
	ALLOW("ioctl"),
	ALLOW("arch_prctl"),
	ALLOW("prlimit64"),
	ALLOW("getrlimit"),
	ALLOW("sched_getparam"),
	ALLOW("process_madvise"),
	ALLOW("tgkill"),
	ALLOW("getcwd"),
	ALLOW("set_tid_address"),
	ALLOW("socket"),
#endif
	END,
};

const struct filter_rule *const sandbox_calls[SANDBOX_NUM_PROFILES][SANDBOX_TABLES_MAX] = {
	[SANDBOX_CHANNEL] = { common, never, never_by_parts, sanitizer, socket_pairs, sync_files },
	[SANDBOX_EGRESS] = { common, never, never_by_parts, sanitizer, memory_files },
	[SANDBOX_DIALLER] = { common, never, never_by_parts, sanitizer, network, read_files },
	[SANDBOX_RECORDER] = { common, never, never_by_parts, sanitizer, sync_files },
	[SANDBOX_MONITOR] = { common, never, sanitizer, socket_pairs, memory_files, sync_files,
			      trees, monitor },
	[SANDBOX_ARCHIVE] = { common, never, never_by_parts, sanitizer, sync_files, trees },
	[SANDBOX_CHANNEL_ACCEPT] = { common, never, never_by_parts, sanitizer, socket_pairs,
				     sync_files, accepting },
	[SANDBOX_EGRESS_ACCEPT] = { common, never, never_by_parts, sanitizer, memory_files,
				    accepting },
};

const struct filter_rule sandbox_no_open[] = {
	REFUSE("open", EACCES),
	REFUSE("openat", EACCES),
	REFUSE("openat2", EACCES),
	END,
};
