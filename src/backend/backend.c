/* What callers see of a backend: each call goes to its table (backend_impl.h). */
#include "backend/backend.h"

#include <assert.h>
#include <string.h>

#include "backend/backend_impl.h"
#include "base/cleanup.h"

const char *backend_name(const struct backend *b)
{
	return b->name;
}

const char *backend_warning(const struct backend *b)
{
	return b->warning != NULL ? b->warning : "";
}

int backend_preflight(const struct backend *b, bool deep, struct backend_report *ret,
		      struct bb_err *err)
{
	*ret = (struct backend_report){ 0 };
	return b->preflight(deep, ret, err);
}

int backend_start(const struct backend *b, const struct backend_plan *plan, int stream_fd,
		  struct backend_guest **ret, struct bb_err *err)
{
	int r = b->start(plan, stream_fd, ret, err);

	if (r < 0)
		return bb_err_wrap(err, "backend '%s'", b->name);
	assert((*ret)->backend == b);
	return 0;
}

int backend_guest_started(struct backend_guest *g, struct bb_err *err)
{
	int r = g->backend->started == NULL ? 0 : g->backend->started(g, err);

	return r < 0 ? bb_err_wrap(err, "backend '%s'", g->backend->name) : 0;
}

bool backend_is_kept(const struct backend *b)
{
	return b->kept != NULL;
}

bool backend_is_optional(const struct backend *b)
{
	return b->is_optional;
}

int backend_guest_event_fd(const struct backend_guest *g)
{
	return g->backend->kept == NULL ? -1 : g->backend->kept->event_fd(g);
}

int backend_guest_next_event(struct backend_guest *g, struct backend_event *ret, struct bb_err *err)
{
	*ret = (struct backend_event){ .door = {
					       .stream_fd = -1, .proxy_fd = -1, .canary_fd = -1 } };
	return g->backend->kept->next_event(g, ret, err);
}

void backend_event_done(struct backend_event *e)
{
	bb_cleanup_fd(&e->door.stream_fd);
	bb_cleanup_fd(&e->door.proxy_fd);
	bb_cleanup_fd(&e->door.canary_fd);
	explicit_bzero(e, sizeof(*e));
	e->door.stream_fd = -1;
	e->door.proxy_fd = -1;
	e->door.canary_fd = -1;
}

int backend_stray_remove(const struct backend *b, const char *machine, struct bb_err *err)
{
	return b->stray_remove(machine, err);
}

int backend_guest_minted(struct backend_guest *g, struct bb_view ca_pem, struct bb_err *err)
{
	return g->backend->kept->minted(g, ca_pem, err);
}

int backend_guest_launch(struct backend_guest *g, struct bb_err *err)
{
	return g->backend->kept->launch(g, err);
}

void backend_guest_end(struct backend_guest *g)
{
	if (g->backend->kept != NULL)
		g->backend->kept->end(g);
}

bool backend_guest_is_left(struct backend_guest *g)
{
	return g->backend->kept != NULL && g->backend->kept->is_left(g);
}

int backend_guest_pidfd(const struct backend_guest *g)
{
	return g->backend->pidfd(g);
}

const char *backend_guest_note(const struct backend_guest *g)
{
	return g->backend->note(g);
}

uint64_t backend_guest_hello_ms(const struct backend_guest *g)
{
	return g->backend->hello_ms(g);
}

void backend_guest_destroy(struct backend_guest *g)
{
	if (g != NULL)
		g->backend->destroy(g);
}
