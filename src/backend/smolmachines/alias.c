/*
 * The lowest free address is found under one lock of the pool, so that two bottles that start at
 * once never try for the same one; each address then has a lock of its own, which lives as long as
 * its holder. A lock file stays when its holder is gone: that is not taken, only written on.
 */
#include "backend/smolmachines/alias.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#define HOLDERS_MAX 640 /* bytes of the list of holders in a message */

static int open_lock(const char *dir, const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	int fd;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? bb_err_errno(err, "cannot open lock '%s'", path) : fd;
}

/* 1: taken, 0: somebody holds it, or negative. */
static int try_lock(int fd, struct bb_err *err)
{
	int r;

	do
		r = flock(fd, LOCK_EX | LOCK_NB);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return 0;
	return r < 0 ? bb_err_errno(err, "cannot lock a loopback address") : 1;
}

static void add_holder(char *list, int fd, const char *address)
{
	char slug[64] = "";
	ssize_t n = pread(fd, slug, sizeof(slug) - 1, 0);
	size_t used = strlen(list);

	slug[n < 0 ? 0 : strcspn(slug, "\n")] = '\0';
	(void)snprintf(list + used, HOLDERS_MAX - used, "%s%s %s", used == 0 ? "" : ", ", address,
		       n <= 0 ? "?" : BB_ESCAPED(bb_view_str(slug)));
}

/* For people, and only for them: who holds the address. */
static void write_holder(int fd, const char *slug)
{
	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, slug, strlen(slug), 0); /* the lock alone counts */
}

/* Under the pool's lock. */
static int take_lowest(const char *dir, const char *slug, struct loopback_alias *ret,
		       struct bb_err *err)
{
	char holders[HOLDERS_MAX] = "";

	for (int n = ALIAS_FIRST; n <= ALIAS_LAST; n++) {
		BB_AUTO_CLOSE int fd = -1;
		char address[ALIAS_TEXT_MAX];
		int r;

		(void)snprintf(address, sizeof(address), "127.0.0.%d", n);
		fd = open_lock(dir, address, err);
		r = fd < 0 ? fd : try_lock(fd, err);
		if (r < 0)
			return r;
		if (r == 0) {
			add_holder(holders, fd, address);
			continue;
		}
		write_holder(fd, slug);
		(void)snprintf(ret->address, sizeof(ret->address), "%s", address);
		(void)snprintf(ret->cidr, sizeof(ret->cidr), "%s/32", address);
		ret->lock_fd = bb_take_fd(&fd);
		return 0;
	}
	return bb_err_set(err, BB_E_LIMIT,
			  "the pool of loopback addresses is full: all %d are held by bottles that "
			  "live (%s); stop one",
			  ALIAS_POOL, holders);
}

int loopback_allocate(const char *dir, const char *slug, struct loopback_alias *ret,
		      struct bb_err *err)
{
	BB_AUTO_CLOSE int pool = -1;
	int r = bb_path_mkdirs(dir, 0700, err);

	if (r < 0)
		return r;
	pool = open_lock(dir, "pool", err);
	if (pool < 0)
		return pool;
	do
		r = flock(pool, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return bb_err_errno(err, "cannot lock the pool of loopback addresses in '%s'", dir);
	return take_lowest(dir, slug, ret, err);
}

void loopback_release(struct loopback_alias *a)
{
	if (a->lock_fd >= 0)
		(void)close(a->lock_fd);
	*a = (struct loopback_alias){ .lock_fd = -1 };
}

/* "inet 127.0.0.16 " among the words of ifconfig. */
static bool is_listed(struct bb_view listing, const char *address)
{
	BB_AUTO_FREE char *words = bb_text_printf("inet %s ", address);
	size_t n = words == NULL ? 0 : strlen(words);

	return n > 0 && listing.n >= n && memmem(listing.p, listing.n, words, n) != NULL;
}

int loopback_ensure_pool(const struct loopback_runner *runner, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf listing;
	int r;

	bb_buf_init(&listing, 65536);
	r = runner->list(runner->arg, &listing, err);
	for (int n = ALIAS_FIRST; r == 0 && n <= ALIAS_LAST; n++) {
		char sudo[] = "sudo", ifconfig[] = "ifconfig", lo0[] = "lo0", alias[] = "alias";
		char address[ALIAS_TEXT_MAX], mask[] = "255.255.255.255";
		char *const argv[] = { sudo, ifconfig, lo0, alias, address, mask, NULL };

		(void)snprintf(address, sizeof(address), "127.0.0.%d", n);
		if (!is_listed(bb_buf_peek(&listing), address))
			r = runner->add(runner->arg, argv, err);
		if (r < 0)
			return bb_err_wrap(err, "cannot add loopback address %s", address);
	}
	return r;
}
