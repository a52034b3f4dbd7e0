/*
 * Ownership by scope. An owned local is initialised where it is declared, freed when its scope ends
 * and handed over with bb_take_*. Freeing keeps errno, so a failing path can return it.
 */
#ifndef BB_BASE_CLEANUP_H
#define BB_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void bb_cleanup_fd(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing to do about a failing close of an owned local */
	errno = saved;
}

static inline void bb_cleanup_ptr(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void bb_cleanup_file(FILE **f)
{
	int saved = errno;

	if (*f != NULL)
		(void)fclose(*f);
	errno = saved;
}

#define BB_AUTO_CLOSE  __attribute__((cleanup(bb_cleanup_fd)))
#define BB_AUTO_FREE   __attribute__((cleanup(bb_cleanup_ptr)))
#define BB_AUTO_FCLOSE __attribute__((cleanup(bb_cleanup_file)))

/* BB_DEFINE_AUTO(store, store_free) defines the cleanup for `BB_AUTO(store) struct store *s =
 * NULL`. */
#define BB_DEFINE_AUTO(name, free_fn)                      \
	static inline void bb_auto_##name(struct name **p) \
	{                                                  \
		free_fn(*p);                               \
		*p = NULL;                                 \
	}
#define BB_AUTO(name) __attribute__((cleanup(bb_auto_##name)))

/* Returns the descriptor and leaves -1, so that the cleanup does nothing. */
static inline int bb_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Returns the pointer and leaves NULL. */
#define bb_take_ptr(p)                            \
	({                                        \
		__typeof__(*(p)) bb_taken = *(p); \
		*(p) = NULL;                      \
		bb_taken;                         \
	})

#define BB_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
