/* A guest that is one jail; see jailed_guest.h. */
#include "backend/jailed_guest.h"

#include <stdlib.h>

#include "sys/jail.h"

static const struct jailed_guest *jailed_guest_of(const struct backend_guest *g)
{
	return (const struct jailed_guest *)(const void *)g;
}

int jailed_guest_started(struct backend_guest *g, struct bb_err *err)
{
	return jail_finish(((struct jailed_guest *)(void *)g)->jail, err);
}

int jailed_guest_pidfd(const struct backend_guest *g)
{
	return jail_pidfd(jailed_guest_of(g)->jail);
}

const char *jailed_guest_note(const struct backend_guest *g)
{
	return jailed_guest_of(g)->note;
}

uint64_t jailed_guest_hello_ms(const struct backend_guest *g)
{
	return jailed_guest_of(g)->hello_ms;
}

void jailed_guest_destroy(struct backend_guest *g)
{
	struct jailed_guest *guest = (struct jailed_guest *)(void *)g;

	if (guest == NULL)
		return;
	jail_free(guest->jail);
	free(guest);
}
