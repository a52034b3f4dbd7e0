/*
 * POSIX tar (ustar with pax extended headers), as much as file transfer needs. Reading goes through
 * a callback, so that tests and the fuzzer feed it from memory; nothing in an archive makes the
 * reader allocate. What it cannot represent exactly (sparse files, GNU long names, binary numbers)
 * is refused.
 */
#ifndef BB_GUEST_TAR_H
#define BB_GUEST_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limit.h"

#define TAR_BLOCK 512

enum tar_type {
	TAR_FILE,
	TAR_DIRECTORY,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_REMOVED, /* layers only: what stood here is gone (a character device 0/0) */
};

struct tar_entry {
	enum tar_type type;
	char path[LIMIT_TAR_NAME + 1];
	char link[LIMIT_TAR_NAME + 1]; /* SYMLINK, HARDLINK */
	uint32_t mode;                 /* permission bits, 07777 at most */
	uint64_t size;                 /* FILE: bytes of data; else 0 */
	int64_t mtime;
	uint32_t uid, gid; /* 0 where the writer does not say */
	bool is_opaque;    /* DIRECTORY of a layer: replaces what stood here, does not join it */
};

/* Reads exactly n bytes; 0, -ENODATA at an early end, or -errno. */
typedef int tar_read_cb(void *arg, void *p, size_t n);

struct tar_reader {
	tar_read_cb *read;
	void *arg;
	struct tar_entry entry;
	uint64_t left; /* bytes of the entry's data not yet read */
	size_t pad;    /* bytes behind them to the block's end */
	bool is_at_end;
	bool is_layer; /* set after tar_reader_init(): TAR_REMOVED is accepted */
	/* From extended headers, for the next entry. */
	bool has_path, has_link, has_size, has_mtime, has_uid, has_gid, is_opaque;
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime;
};

void tar_reader_init(struct tar_reader *t, tar_read_cb *read, void *arg);
/* 1 and t->entry; 0 at the archive's end; negative when it is broken, cut off, or holds what is
 * refused (the message names the entry). Data that was not read is skipped. */
int tar_next(struct tar_reader *t, struct bb_err *err);
/* Up to n bytes of the entry's data: bytes read (0: all was read), or negative. */
int tar_read(struct tar_reader *t, void *p, size_t n, struct bb_err *err);

/* Writes all n bytes; 0 or -errno. */
typedef int tar_write_cb(void *arg, const void *p, size_t n);
/* Header, with an extended one before it where the entry needs it. The caller then writes e->size
 * bytes and tar_write_pad(). */
int tar_write_header(tar_write_cb *write, void *arg, const struct tar_entry *e);
int tar_write_pad(tar_write_cb *write, void *arg, uint64_t size);
int tar_write_end(tar_write_cb *write, void *arg);

/* Is this a name that stays below the directory it is unpacked in: relative, no "..", not empty?
 * "." and "./" parts are fine. */
bool tar_path_is_inside(const char *path);

#endif
