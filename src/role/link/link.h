/*
 * One end of a message link on the loop: receives whole messages, queues what the peer does not
 * take at once. The queue is bounded: a peer that stops reading loses the link.
 */
#ifndef BB_ROLE_LINK_LINK_H
#define BB_ROLE_LINK_LINK_H

#include "base/err.h"
#include "ipc/ipc.h"
#include "loop/loop.h"

struct link;

struct link_handlers {
	/* A message; its descriptors are closed afterwards unless taken. Negative: the link breaks
	 * with that error. */
	int (*on_message)(void *arg, struct ipc_message *msg, struct bb_err *err);
	/* The link is over, called once; err->code 0: the peer closed it. May free the link. */
	void (*on_gone)(void *arg, const struct bb_err *err);
};

/* Takes fd on success. NULL: out of memory. */
struct link *link_new(struct loop *loop, int fd, const struct link_handlers *handlers, void *arg);
/* Closes; no callback comes any more. NULL is fine. */
void link_free(struct link *l);

/* Sends or queues; fds are borrowed. 0, or -errno: the link is broken (on_gone follows). */
int link_send(struct link *l, uint16_t type, uint32_t id, struct bb_view body, const int *fds,
	      int fd_count);
/* The same with a body of one string field (tag 1), cut to what fits. */
int link_send_text(struct link *l, uint16_t type, uint32_t id, const char *text);

#endif
