/* resolv.conf(5): a keyword at the start of a line, its value after blanks. */
#include "sys/resolvers.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"

#define RESOLV_CONF     "/etc/resolv.conf"
#define RESOLV_CONF_MAX 65536
#define KEYWORD         "nameserver"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The line's address, when it is a name server's and of IPv4. */
static bool take_line(struct bb_view line, struct in_addr *ret)
{
	const size_t n = sizeof(KEYWORD) - 1;
	char text[INET_ADDRSTRLEN];
	size_t size = 0;

	if (line.n <= n || memcmp(line.p, KEYWORD, n) != 0 || !is_blank(line.p[n]))
		return false;
	line = bb_view_from(line, n);
	while (line.n > 0 && is_blank(line.p[0]))
		line = bb_view_from(line, 1);
	while (size < line.n && !is_blank(line.p[size]) && line.p[size] != '\r')
		size++;
	if (size == 0 || size >= sizeof(text))
		return false;
	memcpy(text, line.p, size);
	text[size] = '\0';
	return inet_pton(AF_INET, text, ret) == 1;
}

size_t resolvers_parse(struct bb_view text, struct in_addr ret[RESOLVERS_MAX])
{
	size_t count = 0;

	while (text.n > 0 && count < RESOLVERS_MAX) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end == NULL ? text.n : (size_t)(end - text.p);

		if (take_line(bb_view_of(text.p, n), &ret[count]))
			count++;
		text = bb_view_from(text, n + 1);
	}
	return count;
}

size_t resolvers_read(struct in_addr ret[RESOLVERS_MAX])
{
	BB_AUTO_BUF struct bb_buf text;

	bb_buf_init(&text, RESOLV_CONF_MAX);
	if (bb_path_read(RESOLV_CONF, 0, &text, NULL) < 0)
		return 0;
	return resolvers_parse(bb_buf_peek(&text), ret);
}
