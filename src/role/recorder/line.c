/* A record as a line of JSON; see recorder.h. Written by hand: seven escapes are less than a
 * library, and the line's length has a bound by construction. */
#include <stdbool.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/recorder/recorder.h"

struct record {
	struct bb_view host, method, path, reason, detail, entry, address;
	uint32_t port, verdict, status, ms, auth;
	uint64_t bytes_out, bytes_in;
};

struct line {
	struct bb_buf *out;
	int error;
	bool is_cut;
};

static void put(struct line *l, const char *s)
{
	if (l->error == 0)
		l->error = bb_buf_append_str(l->out, s);
}

/* Bytes above 0x7e become \u00XX: what the guest sent is bytes, not text of a known encoding. */
static void put_text(struct line *l, const char *name, struct bb_view v, size_t max)
{
	size_t used = 0;

	if (v.p == NULL || l->error < 0)
		return;
	l->error = bb_buf_printf(l->out, ",\"%s\":\"", name);
	for (size_t i = 0; i < v.n && l->error == 0; i++) {
		uint8_t c = v.p[i];
		bool is_plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		used += is_plain ? 1 : 6;
		if (used > max) {
			l->is_cut = true;
			break;
		}
		l->error = is_plain ? bb_buf_append_byte(l->out, c)
				    : bb_buf_printf(l->out, "\\u%04x", c);
	}
	put(l, "\"");
}

static void put_number(struct line *l, const char *name, uint64_t v, bool is_present)
{
	if (is_present && l->error == 0)
		l->error = bb_buf_printf(l->out, ",\"%s\":%llu", name, (unsigned long long)v);
}

static int read_record(struct bb_view body, struct record *r, struct bb_err *err)
{
	const struct bb_tlv_field fields[] = {
		{ .tag = RECORD_HOST,
		  .type = BB_TLV_BYTES,
		  .max = 1024,
		  .is_required = true,
		  .out = &r->host },
		{ .tag = RECORD_PORT, .type = BB_TLV_U32, .out = &r->port },
		{ .tag = RECORD_METHOD, .type = BB_TLV_BYTES, .max = 256, .out = &r->method },
		{ .tag = RECORD_PATH, .type = BB_TLV_BYTES, .max = 16384, .out = &r->path },
		{ .tag = RECORD_VERDICT,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &r->verdict },
		{ .tag = RECORD_REASON,
		  .type = BB_TLV_STR,
		  .max = 64,
		  .is_required = true,
		  .out = &r->reason },
		{ .tag = RECORD_DETAIL, .type = BB_TLV_BYTES, .max = 2048, .out = &r->detail },
		{ .tag = RECORD_ENTRY, .type = BB_TLV_STR, .max = 32, .out = &r->entry },
		{ .tag = RECORD_STATUS, .type = BB_TLV_U32, .out = &r->status },
		{ .tag = RECORD_BYTES_OUT, .type = BB_TLV_U64, .out = &r->bytes_out },
		{ .tag = RECORD_BYTES_IN, .type = BB_TLV_U64, .out = &r->bytes_in },
		{ .tag = RECORD_MS, .type = BB_TLV_U32, .out = &r->ms },
		{ .tag = RECORD_ADDRESS, .type = BB_TLV_STR, .max = 64, .out = &r->address },
		{ .tag = RECORD_AUTH, .type = BB_TLV_U32, .out = &r->auth },
	};
	int result = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (result == 0 && r->verdict > 1)
		result = bb_err_set(err, -EPROTO, "a record has verdict %u", r->verdict);
	return result;
}

int recorder_line(struct bb_view body, struct bb_buf *out, struct bb_err *err)
{
	struct record r = { 0 };
	struct line l = { .out = out };
	char now[BB_CLOCK_UTC_MAX];
	int result = read_record(body, &r, err);

	if (result < 0)
		return result;
	bb_clock_now_utc(now);
	l.error = bb_buf_printf(out, "{\"time\":\"%s\",\"verdict\":\"%s\"", now,
				r.verdict == 1 ? "allowed" : "refused");
	/* The limits add up to less than LIMIT_AUDIT_RECORD with all names and numbers. */
	put_text(&l, "reason", r.reason, 64);
	put_text(&l, "entry", r.entry, 32);
	put_text(&l, "host", r.host, 1024);
	put_number(&l, "port", r.port, r.port != 0);
	put_text(&l, "method", r.method, 128);
	put_text(&l, "path", r.path, 3072);
	put_number(&l, "status", r.status, r.status != 0);
	put_text(&l, "address", r.address, 64);
	put_number(&l, "bytes_out", r.bytes_out, r.bytes_out != 0);
	put_number(&l, "bytes_in", r.bytes_in, r.bytes_in != 0);
	put_number(&l, "ms", r.ms, r.ms != 0);
	put_text(&l, "detail", r.detail, 2048);
	if (r.auth == 1)
		put(&l, ",\"auth\":true");
	if (l.is_cut)
		put(&l, ",\"truncated\":true");
	put(&l, "}\n");
	return l.error < 0 ? bb_err_set(err, l.error, "a record does not fit its line") : 0;
}
