/*
 * Which smolvm this is, and what follows from it. Nothing outside version.c compares version
 * numbers: everybody else asks a quirk.
 */
#ifndef BB_BACKEND_SMOLMACHINES_VERSION_H
#define BB_BACKEND_SMOLMACHINES_VERSION_H

#include <stdbool.h>

#include "base/err.h"

struct smolvm_version {
	unsigned major, minor, patch;
};

enum smolvm_mode {
	SMOLVM_TSI,    /* 0.8.0, 0.8.1: the guest's sockets end on the host; one /32 is allowed */
	SMOLVM_SOCKET, /* from 1.7.5 on: no network at all, one mounted Unix socket */
};
#define SMOLVM_NUM_MODES 2
extern const char *const smolvm_mode_names[SMOLVM_NUM_MODES]; /* "TSI", "socket" */

/* What a version has or lacks. */
struct smolvm_quirks {
	bool named_flag;   /* create, delete and data-dir take --name, not a bare NAME (1.0.2) */
	bool delete_stops; /* delete stops a running machine (0.8.1) */
	bool sigwinch_ok;  /* a terminal's size reaches the guest (0.8.1) */
	bool sig_exit_ok;  /* death by a signal is 128+n, not 255 (0.8.1) */
	bool stop_unknown_fails; /* stop of an unknown machine exits 1, not 0 (0.8.1) */
	bool local_image;        /* --image FILE.tar (1.1.0) */
	bool workload;           /* create ... -- ARGV keeps ARGV running (1.0.2) */
	bool mount_socket;       /* --mount-socket, also without network (1.7.5) */
	bool drops_uid; /* run as root it gives each machine's process a uid of its own (1.2.5) */
	bool labels;    /* --label K=V (1.8.0) */
};

#define SMOLVM_OLD_VERSION    "0.8.1" /* the newest of the TSI mode */
#define SMOLVM_SOCKET_VERSION "1.7.5" /* the oldest of the socket mode */

/* Exactly "smolvm MAJOR.MINOR.PATCH", one line; anything else is refused: BB_E_REFUSED. */
int smolvm_version_parse(const char *text, struct smolvm_version *ret, struct bb_err *err);
/* The mode, or BB_E_REFUSED with the reason and the version to install. */
int smolvm_version_gate(const struct smolvm_version *v, enum smolvm_mode *ret, struct bb_err *err);
struct smolvm_quirks smolvm_version_quirks(const struct smolvm_version *v);

#endif
