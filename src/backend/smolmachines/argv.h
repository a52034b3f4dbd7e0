/*
 * smolvm's argument vectors. Pure: a description goes in, a vector comes out. No vector ever holds
 * --net, an allow flag, -p or -v, and no secret: other users can read arguments.
 */
#ifndef BB_BACKEND_SMOLMACHINES_ARGV_H
#define BB_BACKEND_SMOLMACHINES_ARGV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/smolmachines/version.h"
#include "base/err.h"

#define SMOLVM_NAME_MAX 128

/* What a machine is made from. */
struct smolvm_machine_plan {
	const char *name;
	const char *pack;  /* --from: TSI mode; NULL in socket mode */
	const char *image; /* --image FILE.tar: socket mode; NULL in TSI mode */
	const char *socket_host, *socket_guest; /* --mount-socket; NULL in TSI mode */
	uint32_t cpus;
	uint64_t memory_bytes, disk_bytes;
	char *const *workload; /* behind "--"; NULL: the image's own */
};

/* All return a NULL-terminated vector (bb_strv_free()), argv[0] "smolvm" first, or NULL: out of
 * memory. */
char **smolvm_argv_version(void);
char **smolvm_argv_create(const struct smolvm_quirks *q, const struct smolvm_machine_plan *plan);
char **smolvm_argv_start(const char *name);
char **smolvm_argv_stop(const char *name);
char **smolvm_argv_delete(const struct smolvm_quirks *q, const char *name);
char **smolvm_argv_status(const char *name);
char **smolvm_argv_ls(void);
char **smolvm_argv_data_dir(const struct smolvm_quirks *q, const char *name);
/* passes_stdin: -i. timeout_s 0: none. */
char **smolvm_argv_exec(const char *name, bool passes_stdin, unsigned timeout_s,
			char *const *command);
/* From a registry reference into out and out.smolmachine; out must not end in ".smolmachine". */
char **smolvm_argv_pack(const char *reference, const char *out);

/* smolvm's own rule for names: 1..128 of [A-Za-z0-9_-], begins alphanumeric, no '-' at the end, no
 * "--". */
bool smolvm_is_name(const char *s);
/* The machine of a bottle: "bot-bottle-" and the identity with '-' as '_'. -EINVAL when that is no
 * name. */
int smolvm_machine_name(const char *identity, char *dst, size_t cap, struct bb_err *err);
/* The way back: the identity on the heap, or NULL: not a machine of ours. */
char *smolvm_machine_identity(const char *name);

#endif
