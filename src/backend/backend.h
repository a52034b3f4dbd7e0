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
	const char *run_dir;   /* the bottle's sockets are here; this user's alone */
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
	/* What a guest could reach and should not, line by line: a start shows it and asks. "":
	 * nothing. */
	char question[4096];
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

/*
 * Begins to start the guest with stream_fd as its only channel (taken on success only). It is to be
 * destroyed from here on.
 *
 * A kept backend (backend_is_kept()) is given -1: its guest connects to a listener, and the backend
 * starts it in turns with the bundle, by a process of its own, the keeper. start() returns at once;
 * then, each as the other side is ready: backend_guest_minted(), BACKEND_EVENT_DOOR,
 * backend_guest_launch(), BACKEND_EVENT_STARTED. backend_guest_pidfd() is the keeper's.
 */
int backend_start(const struct backend *b, const struct backend_plan *plan, int stream_fd,
		  struct backend_guest **ret, struct bb_err *err);
/* Waits, once, until its program runs; else a sentence saying why not. At once with a kept backend.
 */
int backend_guest_started(struct backend_guest *g, struct bb_err *err);
/* Not wanted on every host: what it lacks is told as a warning unless it was asked for. */
bool backend_is_optional(const struct backend *b);
bool backend_is_kept(const struct backend *b);

/* What a guest that comes in from outside connects to. */
#define BACKEND_CREDENTIAL   32
#define BACKEND_PASSWORD_MAX 64
#define BACKEND_URL_MAX      128
struct backend_door {
	int stream_fd; /* listening, owned; one connection becomes the stream */
	int proxy_fd;  /* listening, owned; -1: the guest has no other way than the stream */
	/* With a proxy: listening, owned, on an address that the guest must not reach; whoever
	 * holds it only sees whether somebody connects. Else -1. */
	int canary_fd;
	/* The stream begins with the credential. Without: who connects must be of our uid. */
	bool wants_credential;
	uint8_t credential[BACKEND_CREDENTIAL];
	char proxy_password[BACKEND_PASSWORD_MAX]; /* user "bottle"; "" without a proxy */
	char proxy_url[BACKEND_URL_MAX]; /* for the guest's variables; holds the password */
};

enum backend_event_kind {
	BACKEND_EVENT_NONE, /* nothing to read now */
	BACKEND_EVENT_STEP, /* text: what is being done now */
	BACKEND_EVENT_DOOR, /* door: give its sockets to the bundle, then backend_guest_launch() */
	BACKEND_EVENT_STARTED, /* the machine runs; its hello comes over the stream */
	BACKEND_EVENT_FAILED,  /* text: why; the guest is being removed */
	BACKEND_EVENT_GONE,    /* the keeper closed its end */
};
struct backend_event {
	enum backend_event_kind kind;
	char text[BB_ERR_MSG_MAX]; /* escaped */
	struct backend_door door;
};
/* Kept backends only; borrowed; readable when there is an event. -1: the backend is not kept. */
int backend_guest_event_fd(const struct backend_guest *g);
/* The next event without waiting; 0, or -EPROTO: the keeper is not to be trusted any more. */
int backend_guest_next_event(struct backend_guest *g, struct backend_event *ret,
			     struct bb_err *err);
void backend_event_done(struct backend_event *e); /* closes the door's sockets, wipes */
/* Egress has minted: its public certificate. */
int backend_guest_minted(struct backend_guest *g, struct bb_view ca_pem, struct bb_err *err);
/* The bundle holds the door's sockets. */
int backend_guest_launch(struct backend_guest *g, struct bb_err *err);
/* The word to remove the guest, without waiting for it: no more events, and the pidfd tells when it
 * is gone. Destroyed before that, the keeper goes on alone. A backend that is not kept: nothing. */
void backend_guest_end(struct backend_guest *g);
/* Once ended: the machine is still there, since its keeper is still at it, was killed or could not
 * remove it. The next command looks after it. */
bool backend_guest_is_left(struct backend_guest *g);

/* Removes what killed keepers left, and waits a moment for one that still removes its own machine;
 * every command calls it. Quick when there is nothing. told (may be NULL) hears of each machine. */
enum backend_reaped {
	BACKEND_REAP_BEGINS, /* this may take a while */
	BACKEND_REAP_GONE,
	BACKEND_REAP_LEFT, /* why says what went wrong */
};
typedef void backend_told(void *arg, const char *machine, enum backend_reaped what,
			  const char *why);
int backend_reap(backend_told *told, void *arg, struct bb_err *err);

/* Machines of ours that nobody remembers: their record was lost. found is told of each; slow (asks
 * the backend's own program, where there is one). The first error, after all were asked. */
int backend_strays(void (*found)(void *arg, const struct backend *b, const char *machine),
		   void *arg, struct bb_err *err);
int backend_stray_remove(const struct backend *b, const char *machine, struct bb_err *err);

int backend_guest_pidfd(
	const struct backend_guest *g); /* borrowed; readable when the guest is gone */
const char *backend_guest_note(
	const struct backend_guest *g); /* "kvm", "tcg (KVM did not say hello within 5 s)" */
/* How long a hello may take, ms (by accelerator). */
uint64_t backend_guest_hello_ms(const struct backend_guest *g);
void backend_guest_destroy(struct backend_guest *g); /* stops, releases, frees; NULL is fine */

#endif
