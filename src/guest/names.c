/* Two hash tables over one array of entries, and a list in order of use. Index 0 is the list's
 * head. */
#include "guest/names.h"

#include <sys/socket.h>

#include "base/limit.h"
#include "base/num.h"
#include "guest/dns.h"

#define NAMES_SLOTS   (LIMIT_GUEST_NAMES + 1)
#define NAMES_BUCKETS 4096
#define NAMES_V4      0xC6120000U /* 198.18.0.0 */

static const uint8_t names_v6[12] = { 0xfd, 0x00, 0x0b, 0x0b };

struct names_entry {
	char name[DNS_NAME_MAX + 1];
	uint32_t number; /* 0: never used */
	uint16_t next_by_name, next_by_number;
	uint16_t older, newer;
};

struct names {
	uint16_t by_name[NAMES_BUCKETS], by_number[NAMES_BUCKETS]; /* 0: empty */
	uint32_t last_number;
	uint16_t used; /* entries ever taken */
	struct names_entry e[NAMES_SLOTS];
};

struct names *names_new(void)
{
	return calloc(1, sizeof(struct names)); /* pages are touched as names come */
}

void names_free(struct names *t)
{
	free(t);
}

static unsigned names_hash(const char *name)
{
	uint32_t h = 2166136261U;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	return (h ^ h >> 16) % NAMES_BUCKETS;
}

static void names_unlink_use(struct names *t, uint16_t i)
{
	t->e[t->e[i].older].newer = t->e[i].newer;
	t->e[t->e[i].newer].older = t->e[i].older;
}

/* Newest: before the head, whose "older" is the newest and whose "newer" is the oldest. */
static void names_link_use(struct names *t, uint16_t i)
{
	uint16_t newest = t->e[0].older;

	t->e[i].older = newest;
	t->e[i].newer = 0;
	t->e[newest].newer = i;
	t->e[0].older = i;
}

static void names_touch(struct names *t, uint16_t i)
{
	names_unlink_use(t, i);
	names_link_use(t, i);
}

static void names_forget(struct names *t, uint16_t i)
{
	uint16_t *p = &t->by_name[names_hash(t->e[i].name)];

	while (*p != i)
		p = &t->e[*p].next_by_name;
	*p = t->e[i].next_by_name;
	p = &t->by_number[t->e[i].number % NAMES_BUCKETS];
	while (*p != i)
		p = &t->e[*p].next_by_number;
	*p = t->e[i].next_by_number;
	names_unlink_use(t, i);
}

static uint16_t names_slot(struct names *t)
{
	uint16_t i;

	if (t->used < LIMIT_GUEST_NAMES)
		return ++t->used;
	i = t->e[0].newer; /* the oldest */
	names_forget(t, i);
	return i;
}

static uint16_t names_index(const struct names *t, uint32_t number)
{
	uint16_t i = t->by_number[number % NAMES_BUCKETS];

	while (i != 0 && t->e[i].number != number)
		i = t->e[i].next_by_number;
	return i;
}

static uint32_t names_next_number(struct names *t)
{
	do
		t->last_number = t->last_number % (NAMES_NUMBERS - 1) + 1;
	while (names_index(t, t->last_number) != 0);
	return t->last_number;
}

uint32_t names_assign(struct names *t, const char *name)
{
	unsigned h = names_hash(name);
	struct names_entry *e;
	uint16_t i;

	for (i = t->by_name[h]; i != 0; i = t->e[i].next_by_name) {
		if (strcmp(t->e[i].name, name) == 0) {
			names_touch(t, i);
			return t->e[i].number;
		}
	}
	i = names_slot(t);
	e = &t->e[i];
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->number = names_next_number(t);
	e->next_by_name = t->by_name[h];
	t->by_name[h] = i;
	e->next_by_number = t->by_number[e->number % NAMES_BUCKETS];
	t->by_number[e->number % NAMES_BUCKETS] = i;
	names_link_use(t, i);
	return e->number;
}

const char *names_find(struct names *t, uint32_t number)
{
	uint16_t i = number == 0 ? 0 : names_index(t, number);

	if (i == 0)
		return NULL;
	names_touch(t, i);
	return t->e[i].name;
}

void names_address(uint32_t number, int family, uint8_t *dst)
{
	if (family == AF_INET) {
		bb_put_be32(dst, NAMES_V4 + number);
		return;
	}
	memcpy(dst, names_v6, sizeof(names_v6));
	bb_put_be32(dst + sizeof(names_v6), number);
}

uint32_t names_number(int family, const uint8_t *address)
{
	uint32_t number;

	if (family == AF_INET)
		number = bb_be32(address) - NAMES_V4;
	else if (memcmp(address, names_v6, sizeof(names_v6)) == 0)
		number = bb_be32(address + sizeof(names_v6));
	else
		return 0;
	return number < NAMES_NUMBERS ? number : 0;
}
