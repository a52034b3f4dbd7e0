/*
 * What the answer to the probe says. The guest's word is taken for what it reached: a machine that
 * lies about that is not the one that was started. Where this side can see for itself it looks,
 * too, and an answer that names what was never asked is one that is not understood.
 */
#include "role/monitor/monitor_impl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CONNECT_S 2
#define REFUSED   403 /* what egress says to a host that nobody allows */

enum number {
	NUMBER_TCP,
	NUMBER_UDP,
	NUMBER_LISTENS,
	NUMBER_BUNDLE,
};

/* Does somebody answer on this port of this host? Loopback says so at once. */
static bool is_listening(uint16_t port)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true; /* not to be told: it counts as the worse */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
}

static bool was_visited(int canary)
{
	BB_AUTO_CLOSE int fd = canary < 0 ? -1 : accept4(canary, NULL, NULL, SOCK_CLOEXEC);

	return fd >= 0;
}

/* What it reached and must not, or NULL. */
static const char *find_reached(const struct probe *p, const uint32_t n[PROBE_NUMBERS])
{
	for (size_t i = 0; i < p->target_count; i++) {
		const struct probe_target *t = &p->targets[i];

		if ((n[t->is_udp ? NUMBER_UDP : NUMBER_TCP] & 1u << t->bit) != 0)
			return t->what;
	}
	if (was_visited(p->canaries[CANARY_HOST]))
		return "a port of this host on all its addresses";
	if (was_visited(p->canaries[CANARY_ADDRESS]))
		return "an address beside the bundle's";
	if ((n[NUMBER_UDP] & PROTO_PROBE_OWN) != 0)
		return "a name server of its own, so a random name was looked up";
	return n[NUMBER_TCP] != 0 || n[NUMBER_UDP] != 0 ? "something that it was not asked for"
							: NULL;
}

int probe_judge(const struct probe *p, const uint32_t numbers[PROBE_NUMBERS], struct bb_err *err)
{
	const char *reached = find_reached(p, numbers);

	if (reached != NULL)
		return bb_err_set(err, BB_E_GUEST, "the guest is not confined: it reached %s",
				  reached);
	if (numbers[NUMBER_LISTENS] != 0 && is_listening(p->listen_port))
		return bb_err_set(err, BB_E_GUEST,
				  "the guest is not confined: a port that it listens on is open on "
				  "this host");
	if (numbers[NUMBER_BUNDLE] != REFUSED)
		return bb_err_set(err, BB_E_GUEST,
				  "the guest does not reach the bundle: egress did not answer");
	return 0;
}
