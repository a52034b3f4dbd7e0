/*
 * standin-guest: the "virtual machine" of the stand-in smolvm. What the real one does with a
 * microVM is done here with namespaces; the command line (Python) starts it.
 *
 *   VMM (main.c)      comm "libkrun VM", in the network namespace of `machine start`; acts on the
 *                     guest's sockets under TSI (tsi.c), relays mounted sockets (relay.c)
 *   agent (agent.c)   pid 1 of the guest's pid namespace, uid 0 of its user namespace: containers
 *                     and exec requests; dies with the VMM
 *   container         own pid namespace: the workload, or an exec when none runs
 *
 * The guest's own network namespace is empty, so whatever tsi.c does not carry out has no network.
 * Not modelled: a guest thread that swaps a descriptor (dup2) between tsi.c's look at a socket that
 * is not an internet one and the kernel's own execution of sendmsg() on it.
 */
#ifndef STANDIN_GUEST_H
#define STANDIN_GUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define GUEST_CIDRS_MAX   64
#define GUEST_SOCKETS_MAX 8
#define GUEST_ENV_MAX     512

struct guest_cidr {
	struct in6_addr net; /* IPv4 as ::ffff:a.b.c.d */
	int bits;            /* of the 128 */
};

struct guest_socket {
	const char *host, *guest;
};

/* The command line, parsed. Strings are argv's. */
struct guest {
	const char *dir; /* data dir: "lower" (symlink to the image), "overlay/{upper,work}" */
	const char *hostname;
	const char *dns; /* name server for the guest's resolv.conf; NULL: file untouched */
	const char *workdir, *user;
	int agent_fd, ready_fd; /* listening agent.sock; told "ready" or why not */
	int console_fd;         /* where the workload's output goes */
	unsigned int relay_uid; /* what the VMM is to the host's sockets */
	bool is_tsi, has_policy;
	bool keeps_alive;  /* a non-interactive exec without a main container gets a lasting one */
	bool join_as_user; /* an exec that joins the main container takes the image's user */
	struct guest_cidr cidrs[GUEST_CIDRS_MAX];
	size_t cidr_count;
	struct guest_socket sockets[GUEST_SOCKETS_MAX];
	size_t socket_count;
	char *env[GUEST_ENV_MAX + 1];
	size_t env_count;
	char **argv; /* the workload; empty: the bare agent */
};

/* From agent to VMM on the control socket, always by write(): "KIND NUMBER\n", fixed width. The VMM
 * takes the descriptor by pidfd_getfd(): a sendmsg() would wait for the supervisor it announces. */
#define GUEST_SAY_LEN 16
enum guest_say {
	GUEST_SAY_SECCOMP = 'n', /* the filter's notification descriptor */
	GUEST_SAY_SOCKET = 's',  /* next mounted socket's listener */
	GUEST_SAY_READY = 'r',
};

/* ids.c: maps the child (alive, in a new user namespace) as far as the caller may; *ret_is_range
 * says whether 0..65535 or only uid 0 exists inside. */
int ids_map(pid_t child, bool *ret_is_range, struct bb_err *err);

/* root.c: in the agent: mounts the guest's root and enters it; needs the working directory to be
 * g->dir. */
int root_enter(const struct guest *g, struct bb_err *err);
int root_write_file(const char *path, const char *text); /* 0 or -errno */
int root_listen(const char *path, struct bb_err *err);   /* a mounted socket's guest end */
int root_lo_up(void);                                    /* 0 or -errno */

/* user.c: becomes `user` ("", NAME, UID, UID:GID) of the guest's /etc/passwd. */
int user_become(const char *user, struct bb_err *err);

/* agent.c: pid 1 of the guest; never returns. */
_Noreturn void agent_run(const struct guest *g, int control_fd);
/* exec.c: serves one request; called in a process of its own. */
_Noreturn void exec_serve(const struct guest *g, int client_fd, pid_t main_pid, int main_fd);
/* exec.c's half: the request of the command line, on one connection of agent.sock:
 *   u32 length (big endian), with the descriptors for 0, 1, 2 (none with 't'), then that many bytes
 *   of NUL-ended strings: FLAGS WORKDIR ROWS COLUMNS COUNT-OF-ENV ENV... ARGV...
 *   FLAGS: i interactive, t terminal, d detached, - none of them
 * Answers: 'T' with the terminal's master; 'D' u32 pid when detached; 'G' the container is gone;
 * 'X' u32 wait status, u8 1 when it died because its container did. */

/* container.c: what workload and exec share. Both for a forked child. */
struct container_run {
	char *const *argv, *const *env;
	const char *workdir, *user;
	int fds[3];
	bool has_terminal; /* fds[0] becomes the controlling terminal */
};
/* A child that is pid 1 of a new pid namespace with its own /proc; 0 in the child. */
pid_t container_new(void);
/* Makes this process's next children members of the container; 0 or -errno. */
int container_join(pid_t main_pid);
_Noreturn void container_exec(const struct container_run *run);

/* tsi.c */
int tsi_filter(bool is_tsi, struct bb_err *err); /* agent: the notify fd (-1: none) or -errno */
void tsi_serve(const struct guest *g, int notify_fd); /* VMM: answers one notification */

/* policy.c */
int policy_add(struct guest *g, const char *cidr, struct bb_err *err);
bool policy_allows(const struct guest *g, const struct in6_addr *address);

/* relay.c: VMM: carries one accepted connection to the host's socket, by two children. */
void relay_start(const struct guest *g, int guest_fd, const char *host_path);

#endif
