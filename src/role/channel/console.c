/*
 * The guest's console: a pipe that the VMM or bottle-init writes, copied raw into console.log up to
 * a cap. It is read to its end whatever happens, so that a chatty guest never blocks on it.
 */
#include "base/fd.h"
#include "base/log.h"
#include "role/channel/channel_impl.h"

static void keep(struct channel *c, size_t n)
{
	uint64_t room = LIMIT_CONSOLE_LOG - c->console_bytes;

	if (n > room)
		n = (size_t)room;
	if (n == 0 || c->console_log_fd < 0)
		return;
	if (bb_fd_write_all(c->console_log_fd, c->chunk, n) < 0) {
		bb_debug("console.log cannot be written; the rest is dropped");
		c->console_bytes = LIMIT_CONSOLE_LOG;
		return;
	}
	c->console_bytes += n;
}

static void on_console(void *arg, int events)
{
	struct channel *c = arg;

	(void)events;
	for (int i = 0; i < 4; i++) {
		ssize_t n = read(c->console_fd, c->chunk, CHANNEL_CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			loop_fd_free(bb_take_ptr(&c->console_watch));
			return;
		}
		keep(c, (size_t)n);
	}
}

int console_start(struct channel *c)
{
	if (c->console_fd < 0)
		return 0;
	(void)bb_fd_set_nonblock(c->console_fd, 1);
	c->console_watch = loop_fd_new(c->loop, c->console_fd, LOOP_READ, on_console, c);
	return c->console_watch == NULL ? -ENOMEM : 0;
}

void console_stop(struct channel *c)
{
	if (c->console_watch != NULL) {
		on_console(c, 0); /* last words that are already in the pipe */
		loop_fd_free(bb_take_ptr(&c->console_watch));
	}
	if (c->console_fd >= 0)
		(void)close(bb_take_fd(&c->console_fd));
	if (c->console_log_fd >= 0)
		(void)close(bb_take_fd(&c->console_log_fd));
}
