/* Locked, wiped memory; see secret.h. One mapping a secret: there are few, and pages are not
 * shared. */
#include "base/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECRET_MAX (1024 * 1024)

struct bb_secret {
	size_t map_size;
	size_t n;
	uint8_t bytes[];
};

struct bb_secret *bb_secret_new(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bb_secret *s;
	size_t map_size;

	if (n == 0 || n > SECRET_MAX)
		return NULL;
	map_size = (sizeof(*s) + n + page - 1) / page * page;
	s = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	if (mlock(s, map_size) < 0 || madvise(s, map_size, MADV_DONTDUMP) < 0 ||
	    madvise(s, map_size, MADV_WIPEONFORK) < 0) { /* a child has none, exec or not */
		(void)munmap(s, map_size);
		return NULL;
	}
	s->map_size = map_size;
	s->n = n;
	memcpy(s->bytes, p, n);
	return s;
}

void bb_secret_free(struct bb_secret *s)
{
	size_t map_size;

	if (s == NULL)
		return;
	map_size = s->map_size;
	explicit_bzero(s, map_size);
	(void)munmap(s, map_size);
}

struct bb_view bb_secret_peek(const struct bb_secret *s)
{
	return bb_view_of(s->bytes, s->n);
}

bool bb_secret_eq(struct bb_view a, struct bb_view b)
{
	unsigned diff = a.n == b.n ? 0 : 1;

	for (size_t i = 0; i < a.n && i < b.n; i++)
		diff |= (unsigned)(a.p[i] ^ b.p[i]);
	return diff == 0;
}

int bb_secret_harden_process(struct bb_err *err)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return bb_err_errno(err, "cannot make the process undumpable");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return bb_err_errno(err, "cannot forbid core dumps");
	return 0;
}
