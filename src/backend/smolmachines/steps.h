/*
 * A start in six named steps, each a function from explicit inputs to explicit outputs. They run in
 * the keeper, one after the other; what they took is released in reverse order when a later one
 * fails or the launch is interrupted, and at the bottle's end.
 *
 *   allocate    the machine's name and record, address and lock, socket's path, credentials
 *   mint        the monitor's word that egress has minted: the public certificate only
 *   bundle      network namespace and listeners; the monitor gives them to channel and egress
 *   discover    what the guest must dial: read from the listeners, not assumed
 *   launch      create, force the allow-list, start, compare, wait until a command runs
 *   init        start bottle-init (TSI mode; in socket mode it is the machine's workload)
 *
 * Every struct is initialised by SMOL_*_NONE, and may be released then, half filled, and again.
 */
#ifndef BB_BACKEND_SMOLMACHINES_STEPS_H
#define BB_BACKEND_SMOLMACHINES_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/smolmachines/alias.h"
#include "backend/smolmachines/keeper.h"
#include "backend/smolmachines/record.h"
#include "backend/smolmachines/smolvm.h"

#define SMOL_GUEST_INIT     "/bottle-init"
#define SMOL_GUEST_SOCKET   "/run/bot-bottle/stream.sock"
#define SMOL_PASSWORD_CHARS 43  /* 256 bits as base64url */
#define SMOL_SOCKET_MAX     100 /* bytes of a socket's path, with room for sun_path everywhere */

/* 1. allocate */
struct smol_resources {
	char machine[SMOLVM_NAME_MAX + 1];
	struct smol_record record;   /* held: the machine is removed when this process is gone */
	struct loopback_alias alias; /* TSI mode */
	char *socket_path;           /* socket mode: in the bottle's own run directory */
	uint8_t credential[BACKEND_CREDENTIAL]; /* TSI mode */
	char password[SMOL_PASSWORD_CHARS + 1]; /* TSI mode */
};
#define SMOL_RESOURCES_NONE                                            \
	{                                                              \
		.record = { .lock_fd = -1 }, .alias = {.lock_fd = -1 } \
	}
/* Where the records and the locks of addresses are. */
struct smol_dirs {
	const char *records, *aliases;
};
int smol_step_allocate(const struct smolvm *vm, const struct keeper_plan *plan,
		       const struct smol_dirs *dirs, struct smol_resources *ret,
		       struct bb_err *err);
/* is_gone: the machine is not there (any more), so its record may go. */
void smol_release_resources(struct smol_resources *r, bool is_gone);

/* 2. mint */
struct smol_certificate {
	char *pem; /* one public certificate */
};
#define SMOL_CERTIFICATE_NONE \
	{                     \
		.pem = NULL   \
	}
/* Waits for the monitor's word. A text with a private key is refused. */
int smol_step_mint(int link_fd, int timeout_ms, struct smol_certificate *ret, struct bb_err *err);
void smol_release_certificate(struct smol_certificate *c);

/* 3. bundle */
struct smol_bundle {
	int stream_fd; /* listening */
	int proxy_fd;  /* listening; TSI mode */
	int canary_fd; /* listening on another address, which the guest must not reach; TSI mode */
	char *unlink;  /* the socket's path; socket mode */
};
#define SMOL_BUNDLE_NONE                                         \
	{                                                        \
		.stream_fd = -1, .proxy_fd = -1, .canary_fd = -1 \
	}
/* enter: moves this process into a network namespace (TSI mode; NULL: not on this system). */
int smol_step_bundle(enum smolvm_mode mode, const struct smol_resources *resources,
		     int (*enter)(struct bb_err *err), struct smol_bundle *ret, struct bb_err *err);
void smol_release_bundle(struct smol_bundle *b);

/* 4. discover */
struct smol_urls {
	char address[ALIAS_TEXT_MAX]; /* "" in socket mode, as all of it */
	uint16_t stream_port, proxy_port;
	char proxy_url[BACKEND_URL_MAX];     /* holds the password */
	char dial_line[ALIAS_TEXT_MAX + 80]; /* what bottle-init reads; holds the credential */
};
int smol_step_discover(enum smolvm_mode mode, const struct smol_bundle *bundle,
		       const struct smol_resources *resources, struct smol_urls *ret,
		       struct bb_err *err);
void smol_release_urls(struct smol_urls *u); /* wipes */

/* 5. launch */
struct smol_machine {
	bool is_made; /* create was tried: the machine must be removed */
	pid_t pid;
	int pidfd; /* readable when the machine's process is gone */
};
#define SMOL_MACHINE_NONE   \
	{                   \
		.pidfd = -1 \
	}
int smol_step_launch(const struct smolvm *vm, const struct keeper_plan *plan,
		     const struct smol_resources *resources, struct smol_machine *ret,
		     struct bb_err *err);
/* 0 when the machine is gone for sure. */
int smol_release_machine(const struct smolvm *vm, const struct smol_resources *resources,
			 struct smol_machine *m, struct bb_err *err);

/* 6. init */
struct smol_guest {
	struct spawn_child exec; /* TSI mode: the command that holds bottle-init */
	int stdin_fd;            /* its standard input, open for the bottle's life */
};
#define SMOL_GUEST_NONE                                            \
	{                                                          \
		.exec = { .pid = -1, .pidfd = -1 }, .stdin_fd = -1 \
	}
int smol_step_init(const struct smolvm *vm, const struct smol_resources *resources,
		   const struct smol_urls *urls, int console_fd, struct smol_guest *ret,
		   struct bb_err *err);
void smol_release_guest(struct smol_guest *g);

#endif
