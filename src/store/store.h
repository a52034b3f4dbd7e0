/*
 * Where things are kept (DESIGN 11): the root (BOT_BOTTLE_HOME or ~/.bot-bottle), one state
 * directory a bottle, images, and run-time sockets.
 *
 * Who is alive. A bottle is alive while its monitor holds the lock of its state directory; nothing
 * is ever killed by a pid read from a file. Birth (store_claim) and burial (store_reap,
 * store_remove) happen under one short lock of the whole root, so a state directory that nobody
 * holds belongs to a bottle that has ended or whose monitor was killed, never to one that is about
 * to start.
 */
#ifndef BB_STORE_STORE_H
#define BB_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define STORE_SLUG_MAX 40
/* In the run directory: what the monitor would answer when it is asked for its status. */
#define STORE_STATUS_FILE "status"

/* Heap strings, no trailing slash. NULL with err set on failure. */
char *store_root(struct bb_err *err);      /* ~/.bot-bottle; not created */
char *store_image_dir(struct bb_err *err); /* ~/.cache/bot-bottle/images (XDG_CACHE_HOME) */
char *store_cache_dir(struct bb_err *err); /* ~/.cache/bot-bottle */
char *store_state_dir(const char *identity, struct bb_err *err);
/*
 * Where a bottle's sockets are: what its monitor noted in its state directory, so that a command
 * with another environment finds them too. For a bottle that has none yet:
 * $XDG_RUNTIME_DIR/bot-bottle/<identity>, else /tmp/bot-bottle-<uid>/<identity> (also when the
 * first is too long for a socket's name). The path of control.sock stays under 100 bytes.
 */
char *store_run_dir(const char *identity, struct bb_err *err);

/* Identities and labels: ^[a-z][a-z0-9-]*$, at most STORE_SLUG_MAX. */
bool store_is_slug(const char *s);
/* "<stem>-<5 base36>", fresh; a stem that is too long is cut. */
char *store_new_identity(const char *stem, struct bb_err *err);
/* What a new bottle is called: its label (may be NULL) as it is; when an ended bottle is still kept
 * under that name, the label with a fresh suffix; without a label the agent with one. */
char *store_choose_identity(const char *agent, const char *label, struct bb_err *err);

/* metadata.json of a bottle. Strings owned; unknown members are kept by nobody: one writer, one
 * version. */
struct store_meta {
	char *identity, *agent, *bottle, *backend, *label, *color, *image, *cwd, *guest_workspace;
	uint64_t started_at; /* CLOCK_REALTIME seconds */
	bool is_headless;
	bool has_ended;
	int exit_code;
	char *reason;          /* why it ended */
	bool workspace_kept;   /* workspace.frames is complete */
	bool agent_kept;       /* agent.frames is: the agent's own state, its conversation in it */
	char *problem;         /* what could not be kept, or NULL */
	char *base_id;         /* id of the image that boots; "host" */
	char *committed_image; /* id of the image that was made of it last, or NULL */
};
/* Replaces the file; readers see the old or the new one. Not synced to the disk: after a crash of
 * the host no bottle lives, and store_reap() says so. */
int store_meta_write(const struct store_meta *m, struct bb_err *err);
/* The same, and on the disk when it returns: where something is kept that a power cut must not
 * take.
 */
int store_meta_write_synced(const struct store_meta *m, struct bb_err *err);
/* -ENOENT: there is none. -EBADMSG: damaged. -EPROTO: of another version. */
int store_meta_read(const char *identity, struct store_meta **ret, struct bb_err *err);
void store_meta_free(struct store_meta *m);
BB_DEFINE_AUTO(store_meta, store_meta_free)

/*
 * Births a bottle, for its monitor: makes state/<identity> (0700) and its run directory (0700),
 * takes its lock for the life of *ret_lock, and writes the first metadata. -EEXIST when the
 * identity is in use (alive, or an ended bottle's) or when a living bottle has the same label; the
 * sentence names it. Undone on failure.
 */
int store_claim(const struct store_meta *m, int *ret_lock, struct bb_err *err);
/* The same for an ended bottle that lives again: what its state directory holds stays, and m
 * carries over what of it is kept. -ENOENT when there is no such bottle, -EBUSY when it lives. */
int store_reclaim(const struct store_meta *m, int *ret_lock, struct bb_err *err);
/* -EEXIST with a sentence when a living bottle has this label or is called so: for an early word to
 * the operator; store_claim() decides. */
int store_check_label(const char *label, struct bb_err *err);

/* Creates state/<identity> (0700) exclusively; -EEXIST when it is there. store_claim() accepts an
 * empty one. */
int store_create_state(const char *identity, struct bb_err *err);
/* Takes the bottle's lock for the life of the descriptor; -EBUSY when a monitor holds it. */
int store_lock(const char *identity, int *ret_fd, struct bb_err *err);
/* Asks without taking the lock, so that asking never gets in a monitor's way. */
bool store_is_alive(const char *identity);
/* All identities with a state directory, NULL-terminated, sorted. */
char **store_list(struct bb_err *err);

/* Removes state and run directories of a bottle that is not alive; -EBUSY when it is. */
int store_remove(const char *identity, struct bb_err *err);
/* The run directory only: by the monitor at its end. */
void store_remove_run_dir(const char *identity);
/*
 * Cleans up after monitors that were killed: for each bottle that is not alive and whose metadata
 * does not say that it ended, the run directory goes and the metadata says "its monitor was
 * killed"; a state directory without metadata (a launch that was killed) goes; damaged metadata (a
 * power cut) is put aside and replaced by what can still be told. Every command calls
 * it first. reaped (may be NULL) is told of each such bottle. Returns how many, or negative.
 */
int store_reap(void (*reaped)(void *arg, const char *identity), void *arg, struct bb_err *err);

#endif
