/*
 * A start in six named steps, each a function from explicit inputs to explicit outputs. They run in
 * the keeper, one after the other; what they took is released in reverse order when a later one
 * fails or the launch is interrupted, and at the bottle's end.
 *
 *   allocate    address and lock, run directory, credentials, the machine's record
 *   mint        the monitor's word that egress has minted: the public certificate only
 *   bundle      network namespace and listeners; the monitor gives them to channel and egress
 *   discover    what the guest must dial: read from the listeners, not assumed
 *   launch      create, force the allow-list, start, compare, wait until a command runs
 *   init        start bottle-init (TSI mode; in socket mode it is the machine's workload)
 *
 * A released struct may be released again.
 */
#ifndef BB_BACKEND_SMOLMACHINES_STEPS_H
#define BB_BACKEND_SMOLMACHINES_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/smolmachines/alias.h"
#include "backend/smolmachines/keeper.h"
#include "backend/smolmachines/record.h"
#include "backend/smolmachines/smolvm.h"

#define SMOL_GUEST_SOCKET   "/run/bot-bottle/stream.sock"
#define SMOL_CREDENTIAL     32 /* bytes that the stream begins with */
#define SMOL_PASSWORD_CHARS 43 /* 256 bits as base64url */
#define SMOL_PROXY_URL_MAX  96

/* 1. allocate */
struct smol_resources {
	char machine[SMOLVM_NAME_MAX + 1];
	struct smol_record record;   /* held: the machine is reaped when this process is gone */
	struct loopback_alias alias; /* TSI mode; lock_fd -1 otherwise */
	char *socket_path;           /* socket mode, in a directory of this user alone; else NULL */
	uint8_t credential[SMOL_CREDENTIAL];    /* TSI mode */
	char password[SMOL_PASSWORD_CHARS + 1]; /* TSI mode */
};
int smol_step_allocate(const struct smolvm *vm, const struct keeper_plan *plan,
		       struct smol_resources *ret, struct bb_err *err);
void smol_release_resources(struct smol_resources *r);

/* 2. mint */
struct smol_certificate {
	char *pem; /* one public certificate */
	size_t size;
};
int smol_step_mint(int link_fd, struct smol_certificate *ret, struct bb_err *err);
void smol_release_certificate(struct smol_certificate *c);

/* 3. bundle */
struct smol_bundle {
	bool has_namespace; /* this process is in a network namespace of its own */
	int stream_fd;      /* listening; -1 once handed over */
	int proxy_fd;       /* listening, TSI mode; else -1 */
	char *socket_path;  /* borrowed from the resources; unlinked at release */
};
int smol_step_bundle(enum smolvm_mode mode, const struct smol_resources *resources,
		     struct smol_bundle *ret, struct bb_err *err);
void smol_release_bundle(struct smol_bundle *b);

/* 4. discover */
struct smol_urls {
	char address[ALIAS_TEXT_MAX];
	uint16_t stream_port, proxy_port;   /* 0 in socket mode */
	char proxy_url[SMOL_PROXY_URL_MAX]; /* "" in socket mode; holds the password */
};
int smol_step_discover(enum smolvm_mode mode, const struct smol_bundle *bundle,
		       const struct smol_resources *resources, struct smol_urls *ret,
		       struct bb_err *err);

/* 5. launch */
struct smol_machine {
	bool is_created;
	char *data_dir;
	pid_t pid;
	int pidfd; /* readable when the machine's process is gone; -1 */
};
int smol_step_launch(const struct smolvm *vm, const struct keeper_plan *plan,
		     const struct smol_resources *resources, struct smol_machine *ret,
		     struct bb_err *err);
void smol_release_machine(const struct smolvm *vm, const struct smol_resources *resources,
			  struct smol_machine *m);

/* 6. init */
struct smol_guest {
	struct spawn_child exec; /* TSI mode: the command that holds bottle-init; pidfd -1 else */
	int stdin_fd;            /* its standard input, open for the bottle's life; -1 */
};
int smol_step_init(const struct smolvm *vm, const struct keeper_plan *plan,
		   const struct smol_resources *resources, const struct smol_urls *urls,
		   struct smol_guest *ret, struct bb_err *err);
void smol_release_guest(struct smol_guest *g);

#endif
