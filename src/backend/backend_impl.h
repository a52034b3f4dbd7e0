/* What a backend must provide. Callers use backend.h. registry.c lists all tables. */
#ifndef BB_BACKEND_BACKEND_IMPL_H
#define BB_BACKEND_BACKEND_IMPL_H

#include "backend/backend.h"

struct backend {
	const char *name;    /* stable: used in manifests and BOT_BOTTLE_BACKEND */
	const char *warning; /* shown with every status line; NULL: none */
	/* Prove the backend works here by using it, not by looking at it. Required. */
	int (*preflight)(bool deep, struct backend_report *ret, struct bb_err *err);
	/* Start the guest with stream_fd as its only channel; taken on success only. Required. */
	int (*start)(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
		     struct bb_err *err);
	int (*pidfd)(const struct backend_guest *g);         /* Required. */
	const char *(*note)(const struct backend_guest *g);  /* Required. */
	uint64_t (*hello_ms)(const struct backend_guest *g); /* Required. */
	/* Stop and free. NULL guest is a no-op. Never fails. Required. */
	void (*destroy)(struct backend_guest *g);
};

/* The first member of every backend's guest struct. */
struct backend_guest {
	const struct backend *backend;
};

extern const struct backend backend_microvm;
extern const struct backend backend_namespace;

#endif
