/* The ring of a session's output. Small writes of a process are joined into one frame where
 * possible, because a frame head of eight bytes would otherwise fill the ring with itself. */
#include "guest/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/num.h"
#include "mux/proto.h"

void ring_init(struct ring *r)
{
	*r = (struct ring){ 0 };
}

void ring_done(struct ring *r)
{
	free(r->p);
	*r = (struct ring){ 0 };
}

static void ring_copy_in(struct ring *r, uint64_t at, const uint8_t *p, size_t n)
{
	size_t off = (size_t)(at % LIMIT_EXEC_RING);
	size_t first = n < LIMIT_EXEC_RING - off ? n : LIMIT_EXEC_RING - off;

	memcpy(r->p + off, p, first);
	memcpy(r->p, p + first, n - first);
}

static uint32_t ring_frame_body(const struct ring *r, uint64_t at)
{
	uint8_t n[4];

	for (size_t i = 0; i < sizeof(n); i++)
		n[i] = r->p[(at + 4 + i) % LIMIT_EXEC_RING];
	return bb_be32(n);
}

bool ring_make_room(struct ring *r, size_t n, uint64_t floor)
{
	size_t need = n + PROTO_FRAME_HEAD;

	assert(n <= RING_CHUNK);
	while (LIMIT_EXEC_RING - (r->head - r->tail) < need) {
		uint64_t end = r->tail + PROTO_FRAME_HEAD + ring_frame_body(r, r->tail);

		if (end > floor)
			return false;
		r->tail = end;
	}
	return true;
}

int ring_append(struct ring *r, uint8_t type, const void *body, size_t n, uint64_t ceiling)
{
	uint8_t head[PROTO_FRAME_HEAD] = { type };
	bool may_join;

	if (n == 0)
		return 0;
	if (r->p == NULL) {
		r->p = malloc(LIMIT_EXEC_RING);
		if (r->p == NULL)
			return -ENOMEM;
	}
	may_join = r->last < r->head && r->last >= r->tail && ceiling <= r->last &&
		   r->p[r->last % LIMIT_EXEC_RING] == type &&
		   ring_frame_body(r, r->last) + n <= RING_CHUNK;
	if (may_join) {
		uint8_t size[4];

		bb_put_be32(size, ring_frame_body(r, r->last) + (uint32_t)n);
		ring_copy_in(r, r->last + 4, size, sizeof(size));
	} else {
		r->last = r->head;
		bb_put_be32(head + 4, (uint32_t)n);
		ring_copy_in(r, r->head, head, sizeof(head));
		r->head += sizeof(head);
	}
	ring_copy_in(r, r->head, body, n);
	r->head += n;
	return 0;
}

struct bb_view ring_peek(const struct ring *r, uint64_t position)
{
	size_t off = (size_t)(position % LIMIT_EXEC_RING);
	uint64_t left = r->head - position;
	size_t n = LIMIT_EXEC_RING - off;

	assert(position >= r->tail && position <= r->head);
	if (left < n)
		n = (size_t)left;
	return bb_view_of(n == 0 ? NULL : r->p + off, n);
}
