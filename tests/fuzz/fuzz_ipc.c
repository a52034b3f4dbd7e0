/*
 * A message from one of our processes that was taken over: the datagram is the input. Oracle: what
 * is received is what was sent; a handler runs only when type, state, size and descriptors are as
 * its table says; fields that were read encode to the same body; a refusal has a sentence.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/tlv.h"
#include "ipc/ipc.h"

#define STATE     3
#define FIELD_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int handled;

static int read_fields(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct bb_view text = { 0 }, bytes = { 0 }, many[4] = { 0 };
	uint32_t small = 0;
	uint64_t large = 0;
	size_t count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &small },
		{ .tag = 2, .type = BB_TLV_STR, .max = FIELD_MAX, .out = &text },
		{ .tag = 3, .type = BB_TLV_BYTES, .max = FIELD_MAX, .out = &bytes },
		{ .tag = 4, .type = BB_TLV_U64, .out = &large },
		{ .tag = 5,
		  .type = BB_TLV_STR,
		  .max = FIELD_MAX,
		  .out = many,
		  .count = &count,
		  .repeat_max = BB_ARRAY_LEN(many) },
	};
	size_t total = BB_TLV_HEADER + 4;
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	assert(ctx == &handled);
	handled++;
	if (r < 0)
		return r;
	assert(text.n <= FIELD_MAX && bytes.n <= FIELD_MAX && count <= BB_ARRAY_LEN(many));
	assert(text.n == 0 || memchr(text.p, 0, text.n) == NULL);
	total += text.p != NULL ? BB_TLV_HEADER + text.n : 0;
	total += bytes.p != NULL ? BB_TLV_HEADER + bytes.n : 0;
	for (size_t i = 0; i < count; i++)
		total += BB_TLV_HEADER + many[i].n;
	assert(total == m->body.n || total + BB_TLV_HEADER + 8 == m->body.n);
	return 0;
}

static const struct ipc_op ops[] = {
	{ 1, "plain", IPC_IN(STATE), 10, 4096, 0, read_fields },
	{ 2, "empty", IPC_IN(STATE), 0, 0, 0, read_fields },
	{ 3, "elsewhere", IPC_IN(STATE + 1), 0, 4096, 0, read_fields },
	{ 4, "with a descriptor", IPC_IN(STATE), 0, 4096, 1, read_fields },
};

static void check(const uint8_t *data, size_t size, struct ipc_message *m)
{
	struct bb_err err = { 0 };
	bool may_run;
	int r;

	assert(size >= 8 && m->type == bb_be16(data) && m->id == bb_be32(data + 4));
	assert(bb_view_eq(m->body, bb_view_of(data + 8, size - 8)) && m->fd_count == 0);
	handled = 0;
	r = ipc_dispatch(ops, BB_ARRAY_LEN(ops), STATE, &handled, m, &err);
	may_run = (m->type == 1 && m->body.n >= 10 && m->body.n <= 4096) ||
		  (m->type == 2 && m->body.n == 0);
	assert(handled == (may_run ? 1 : 0));
	if (r < 0)
		assert(err.code == r && err.msg[0] != '\0');
	else
		assert(may_run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct ipc_message m;
	struct bb_err err = { 0 };
	int pair[2];
	int r;

	if (size == 0 || ipc_pair(pair) < 0)
		return 0;
	if (send(pair[0], data, size, MSG_DONTWAIT) == (ssize_t)size) {
		r = ipc_receive(pair[1], buffer, &m, &err);
		assert(r == 1 || (r == -EPROTO && err.msg[0] != '\0'));
		if (r == 1) {
			check(data, size, &m);
			ipc_message_done(&m);
		} else {
			assert(size < 8 || size > 8 + LIMIT_IPC_BODY || bb_be16(data + 2) != 0);
		}
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}
