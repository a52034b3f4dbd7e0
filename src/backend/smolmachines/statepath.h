/* Where smolvm keeps its state, by the rules of the system; the environment is injected. */
#ifndef BB_BACKEND_SMOLMACHINES_STATEPATH_H
#define BB_BACKEND_SMOLMACHINES_STATEPATH_H

#include "base/err.h"

enum statepath_os {
	STATEPATH_LINUX,  /* XDG_DATA_HOME when absolute, else ~/.local/share */
	STATEPATH_DARWIN, /* ~/Library/Application Support */
};

#define STATEPATH_HERE STATEPATH_LINUX /* what is built so far */

/* What the path depends on; strings borrowed, NULL: unset. */
struct statepath_env {
	enum statepath_os os;
	const char *home;           /* HOME */
	const char *xdg_data_home;  /* XDG_DATA_HOME */
	const char *passwd_home;    /* what the user database says */
	const char *xdg_cache_home; /* XDG_CACHE_HOME */
};

/* On the heap, or NULL with err set (BB_E_USAGE: no home). Pure. */
char *statepath_database(const struct statepath_env *env, struct bb_err *err);
/* A machine's directory: named by its name's digest, below the cache directory. */
char *statepath_machine(const struct statepath_env *env, const char *machine, struct bb_err *err);
/* Where our own records of machines are: beside smolvm's folder, so that whoever sees its machines
 * sees the records too. */
char *statepath_records(const struct statepath_env *env, struct bb_err *err);

#endif
