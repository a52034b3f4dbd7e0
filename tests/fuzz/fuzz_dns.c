/* DNS queries. Oracle: a name that is accepted is a host name; an answer fits, repeats the id and
 * the question, and is read by the parser as an answer (never answered itself). */
#include <assert.h>
#include <stdint.h>

#include "base/num.h"
#include "guest/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t address[16] = { 0xfd };
	uint8_t out[DNS_ANSWER_MAX];
	struct bb_view in = bb_view_of(data, size);
	struct dns_query q, again;
	int rcode = dns_parse(in, &q);
	size_t n;

	if (rcode < 0)
		return 0;
	assert(rcode <= DNS_REFUSED && size >= 12 && q.question_size + 12 <= size);
	assert(strlen(q.name) <= DNS_NAME_MAX);
	if (rcode == DNS_NOERROR) {
		for (const char *c = q.name; *c != '\0'; c++)
			assert((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' ||
			       *c == '_' || *c == '.');
		assert(q.question_size == strlen(q.name) + (q.name[0] == '\0' ? 1 : 2) + 4);
	}
	n = dns_answer(in, &q, rcode, address, rcode == DNS_NOERROR ? 16 : 0, out);
	assert(n <= sizeof(out) && memcmp(out, data, 2) == 0 && (out[2] & 0x80) != 0);
	assert((out[3] & 15) == rcode && bb_be16(out + 6) == (rcode == DNS_NOERROR ? 1 : 0));
	assert(memcmp(out + 12, data + 12, q.question_size) == 0);
	assert(dns_parse(bb_view_of(out, n), &again) < 0);
	return 0;
}
