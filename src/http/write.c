/* Writing messages; see write.h. */
#include "http/write.h"

#include <assert.h>

#include "base/cleanup.h"
#include "http/field.h"

int http_put_request_line(struct bb_buf *out, struct bb_view method, struct bb_view target)
{
	return bb_buf_printf(out, "%.*s %.*s HTTP/1.1\r\n", BB_VIEW_ARG(method),
			     BB_VIEW_ARG(target));
}

int http_put_status_line(struct bb_buf *out, unsigned status, struct bb_view reason)
{
	int r = bb_buf_printf(out, "HTTP/1.1 %03u ", status);

	if (r == 0)
		r = bb_buf_append_view(out, reason);
	return r < 0 ? r : bb_buf_append_str(out, "\r\n");
}

int http_put_field(struct bb_buf *out, const char *name, struct bb_view value)
{
	int r;

	assert(http_is_field_value(value)); /* parsed or ours; CR or LF here would be our bug */
	r = bb_buf_append_str(out, name);
	if (r == 0)
		r = bb_buf_append_str(out, ": ");
	if (r == 0)
		r = bb_buf_append_view(out, value);
	return r < 0 ? r : bb_buf_append_str(out, "\r\n");
}

int http_put_framing(struct bb_buf *out, enum http_framing framing, uint64_t length)
{
	switch (framing) {
	case HTTP_BODY_LENGTH:
		return bb_buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
	case HTTP_BODY_CHUNKED:
		return bb_buf_append_str(out, "Transfer-Encoding: chunked\r\n");
	case HTTP_BODY_NONE:
	case HTTP_BODY_CLOSE:
		break;
	}
	return 0;
}

int http_put_end(struct bb_buf *out)
{
	return bb_buf_append_str(out, "\r\n");
}

int http_put_chunk(struct bb_buf *out, struct bb_view data)
{
	int r;

	assert(data.n > 0); /* an empty chunk ends the body */
	r = bb_buf_printf(out, "%zx\r\n", data.n);
	if (r == 0)
		r = bb_buf_append_view(out, data);
	return r < 0 ? r : bb_buf_append_str(out, "\r\n");
}

int http_put_last_chunk(struct bb_buf *out)
{
	return bb_buf_append_str(out, "0\r\n\r\n");
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} table[] = {
		{ 100, "Continue" },
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 421, "Misdirected Request" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "";
}
