/*
 * Where things are kept (DESIGN 11): the root (BOT_BOTTLE_HOME or ~/.bot-bottle), one state
 * directory a bottle, images, and run-time sockets. A bottle is alive while its monitor holds the
 * lock of its state directory; nothing is ever killed by a pid read from a file.
 */
#ifndef BB_STORE_STORE_H
#define BB_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_SLUG_MAX 40

/* Heap strings, no trailing slash. NULL with err set on failure. */
char *store_root(struct bb_err *err);      /* ~/.bot-bottle; not created */
char *store_image_dir(struct bb_err *err); /* ~/.cache/bot-bottle/images (XDG_CACHE_HOME) */
char *store_cache_dir(struct bb_err *err); /* ~/.cache/bot-bottle */
char *store_state_dir(const char *identity, struct bb_err *err);
/* $XDG_RUNTIME_DIR/bot-bottle/<identity>, else /tmp/bot-bottle-<uid>/<identity> with owner and mode
 * checked; control.sock's path stays under 100 bytes. */
char *store_run_dir(const char *identity, struct bb_err *err);

/* Identities and labels: ^[a-z][a-z0-9-]*$, at most STORE_SLUG_MAX. */
bool store_is_slug(const char *s);
/* "<agent>-<5 base36>", fresh. */
char *store_new_identity(const char *agent, struct bb_err *err);

/* Creates state/<identity> (0700) exclusively; -EEXIST when it is there and alive, or kept. */
int store_create_state(const char *identity, struct bb_err *err);
/* Takes the bottle's lock for the life of the descriptor; -EBUSY when a monitor holds it. */
int store_lock(const char *identity, int *ret_fd, struct bb_err *err);
bool store_is_alive(const char *identity);
/* All identities with a state directory, NULL-terminated, sorted. */
char **store_list(struct bb_err *err);

/* metadata.json of a bottle. Strings owned; unknown members are kept by nobody: one writer, one
 * version. */
struct store_meta {
	char *identity, *agent, *bottle, *backend, *label, *color, *image, *cwd, *guest_workspace;
	uint64_t started_at; /* CLOCK_REALTIME seconds */
	bool is_headless;
	bool has_ended;
	int exit_code;
	char *reason;        /* why it ended */
	bool workspace_kept; /* workspace.frames is complete */
	char *problem;       /* what could not be kept, or NULL */
};
int store_meta_write(const struct store_meta *m, struct bb_err *err);
int store_meta_read(const char *identity, struct store_meta **ret, struct bb_err *err);
void store_meta_free(struct store_meta *m);

/* Removes state and run directories of a bottle that is not alive. */
int store_remove(const char *identity, struct bb_err *err);

#endif
