/* What a backend must provide. Callers use backend.h. registry.c lists all tables. */
#ifndef BB_BACKEND_BACKEND_IMPL_H
#define BB_BACKEND_BACKEND_IMPL_H

#include "backend/backend.h"

/* Backends whose guest is started by a keeper; see backend.h. All required. */
struct backend_kept {
	int (*event_fd)(const struct backend_guest *g);
	int (*next_event)(struct backend_guest *g, struct backend_event *ret, struct bb_err *err);
	int (*minted)(struct backend_guest *g, struct bb_view ca_pem, struct bb_err *err);
	int (*launch)(struct backend_guest *g, struct bb_err *err);
	void (*end)(struct backend_guest *g);
	bool (*is_left)(struct backend_guest *g);
};

struct backend {
	const char *name;    /* stable: used in manifests and BOT_BOTTLE_BACKEND */
	const char *warning; /* shown with every status line; NULL: none */
	/* Not wanted on every host: `doctor` tells what is missing as a warning, unless asked for
	 * this backend. */
	bool is_optional;
	/* Prove the backend works here by using it, not by looking at it. Required. */
	int (*preflight)(bool deep, struct backend_report *ret, struct bb_err *err);
	/* Begin to start the guest with stream_fd as its only channel; taken on success only. What
	 * takes the guest's own time is not waited for. Required. */
	int (*start)(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
		     struct bb_err *err);
	/* Wait until the guest's program runs, or say why it does not. Called once. Required but of
	 * kept backends. */
	int (*started)(struct backend_guest *g, struct bb_err *err);
	int (*pidfd)(const struct backend_guest *g);         /* Required. */
	const char *(*note)(const struct backend_guest *g);  /* Required. */
	uint64_t (*hello_ms)(const struct backend_guest *g); /* Required. */
	/* Stop and free. NULL guest is a no-op. Never fails. Required. */
	void (*destroy)(struct backend_guest *g);
	const struct backend_kept *kept; /* NULL: start() starts the guest with the stream in it */
	/* NULL, both: machines cannot be lost. */
	int (*strays)(void (*found)(void *arg, const struct backend *b, const char *machine),
		      void *arg, struct bb_err *err);
	int (*stray_remove)(const char *machine, struct bb_err *err);
	/* Removes what killed processes left. NULL: nothing can be left. */
	int (*reap)(backend_told *told, void *arg, struct bb_err *err);
};

/* The first member of every backend's guest struct. */
struct backend_guest {
	const struct backend *backend;
};

extern const struct backend backend_microvm;
extern const struct backend backend_namespace;
extern const struct backend backend_smolmachines;

#endif
