/* A guest that is one jail (sys/jail.h): what the tables of such backends share. */
#ifndef BB_BACKEND_JAILED_GUEST_H
#define BB_BACKEND_JAILED_GUEST_H

#include "backend/backend_impl.h"

struct jail;

/* Zeroed on the heap, filled in by the backend's start; jailed_guest_destroy() frees it also half
 * filled. */
struct jailed_guest {
	struct backend_guest base; /* first */
	struct jail *jail;
	char note[256];
	uint64_t hello_ms;
};

/* The members of struct backend. */
int jailed_guest_started(struct backend_guest *g, struct bb_err *err);
int jailed_guest_pidfd(const struct backend_guest *g);
const char *jailed_guest_note(const struct backend_guest *g);
uint64_t jailed_guest_hello_ms(const struct backend_guest *g);
void jailed_guest_destroy(struct backend_guest *g);

#endif
