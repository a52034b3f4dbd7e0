/*
 * Backends, for callers: start an isolated guest whose only way out is one byte stream. Everything
 * else (exec, copy, attach, workspace) is written once above the stream.
 */
#ifndef BB_BACKEND_BACKEND_H
#define BB_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"

struct backend;       /* one of the registry */
struct backend_guest; /* a running guest */

/* What the operator asked for, already validated; strings borrowed. Encoded into the launch plan.
 */
struct backend_resources {
	uint32_t cpus; /* 1..64 */
	uint64_t memory_bytes;
	uint64_t disk_bytes;
	uint32_t pids;
};

struct backend_plan {
	const char *identity;      /* names sockets, cgroup, hostname */
	const struct image *image; /* layers and, for microvm, kernel */
	struct backend_resources resources;
	const char *state_dir; /* the bottle's own directory */
	int console_fd;        /* write end of the console pipe; borrowed */
	bool force_tcg;        /* BOT_BOTTLE_ACCEL=tcg */
	bool force_kvm;        /* BOT_BOTTLE_ACCEL=kvm: fail instead of falling back */
};

/* One line of a preflight or of `doctor`. */
enum backend_check_state {
	BACKEND_CHECK_OK,
	BACKEND_CHECK_WARN,
	BACKEND_CHECK_FAIL,
};
struct backend_check {
	const char *name; /* static: "kvm-device", "qemu", ... */
	enum backend_check_state state;
	char text[512]; /* what was found */
	char mend[512]; /* what to do; empty when ok */
};
#define BACKEND_CHECKS_MAX 16
struct backend_report {
	struct backend_check checks[BACKEND_CHECKS_MAX];
	size_t count;
	char accelerator[64]; /* "kvm", "tcg (no /dev/kvm)", "shared kernel" */
};

const struct backend *backend_find(const char *name); /* NULL: unknown */
const char *backend_name(const struct backend *b);
/* Names of all, NULL-terminated, static: "microvm", "namespace". */
const char *const *backend_names(void);
/* The word for the status line: "shared kernel" for namespace, else "". */
const char *backend_warning(const struct backend *b);

/* Looks and proves; never changes the host. deep: also boots a guest to prove KVM (up to 5 s,
 * result is remembered). 0 when a start may be tried; BB_E_MISSING with the first failing check
 * otherwise. */
int backend_preflight(const struct backend *b, bool deep, struct backend_report *ret,
		      struct bb_err *err);

/* Starts the guest with stream_fd as its only channel (taken on success only). */
int backend_start(const struct backend *b, const struct backend_plan *plan, int stream_fd,
		  struct backend_guest **ret, struct bb_err *err);
int backend_guest_pidfd(
	const struct backend_guest *g); /* borrowed; readable when the guest is gone */
const char *backend_guest_note(
	const struct backend_guest *g); /* "kvm", "tcg (KVM did not say hello within 5 s)" */
/* How long a hello may take, ms (by accelerator). */
uint64_t backend_guest_hello_ms(const struct backend_guest *g);
void backend_guest_destroy(struct backend_guest *g); /* stops, releases, frees; NULL is fine */

#endif
