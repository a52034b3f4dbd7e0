/*
 * Steps 3 and 4: where the guest will knock. In TSI mode the guest's connections end in the network
 * namespace of smolvm's process, so the listeners are made there too: what else listens on this
 * host is not in it, and no other user of this host can reach them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "backend/smolmachines/steps.h"
#include "base/cleanup.h"
#include "base/text.h"

#define STREAM_BACKLOG 8
#define PROXY_BACKLOG  128
#define LISTEN_FLAGS   (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static int listen_tcp(const char *address, int backlog, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_INET, LISTEN_FLAGS, 0);
	struct sockaddr_in a = { .sin_family = AF_INET };

	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
	    bind(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) < 0 ||
	    listen(fd, backlog) < 0)
		return bb_err_errno(err, "cannot listen on %s", address);
	return bb_take_fd(&fd);
}

static int listen_unix(const char *path, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_UNIX, LISTEN_FLAGS, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path))
		return bb_err_set(err, -ENAMETOOLONG, "'%s' is too long for a socket", path);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	/* Its directory is this user's alone, so nobody comes between bind and chmod. */
	if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) < 0 ||
	    chmod(path, 0600) < 0 || listen(fd, STREAM_BACKLOG) < 0)
		return bb_err_errno(err, "cannot listen on '%s'", path);
	return bb_take_fd(&fd);
}

static int open_tsi(const struct smol_resources *resources, struct smol_bundle *b,
		    struct bb_err *err)
{
	char other[ALIAS_TEXT_MAX];

	/* Any other address of the pool: nobody else is in this namespace. */
	(void)snprintf(other, sizeof(other), "127.0.0.%d", ALIAS_LAST);
	if (strcmp(other, resources->alias.address) == 0)
		(void)snprintf(other, sizeof(other), "127.0.0.%d", ALIAS_LAST - 1);
	b->stream_fd = listen_tcp(resources->alias.address, STREAM_BACKLOG, err);
	if (b->stream_fd < 0)
		return b->stream_fd;
	b->proxy_fd = listen_tcp(resources->alias.address, PROXY_BACKLOG, err);
	if (b->proxy_fd < 0)
		return b->proxy_fd;
	b->canary_fd = listen_tcp(other, STREAM_BACKLOG, err);
	return b->canary_fd < 0 ? b->canary_fd : 0;
}

int smol_step_bundle(enum smolvm_mode mode, const struct smol_resources *resources,
		     int (*enter)(struct bb_err *err), struct smol_bundle *ret, struct bb_err *err)
{
	int r;

	if (mode == SMOLVM_SOCKET) {
		ret->stream_fd = listen_unix(resources->socket_path, err);
		if (ret->stream_fd < 0)
			return ret->stream_fd;
		ret->unlink = strdup(resources->socket_path);
		return ret->unlink == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
	}
	r = enter == NULL ? 0 : enter(err);
	if (r < 0)
		return bb_err_wrap(err, "smolvm's TSI mode needs a network namespace of its own");
	return open_tsi(resources, ret, err);
}

void smol_release_bundle(struct smol_bundle *b)
{
	bb_cleanup_fd(&b->stream_fd);
	bb_cleanup_fd(&b->proxy_fd);
	bb_cleanup_fd(&b->canary_fd);
	if (b->unlink != NULL)
		(void)unlink(b->unlink); /* goes with its directory else */
	free(b->unlink);
	*b = (struct smol_bundle)SMOL_BUNDLE_NONE;
}

/* The port on which a listener really is, and that it is on our address. */
static int port_of(int fd, const char *address, uint16_t *ret, struct bb_err *err)
{
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);
	char text[INET_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)(void *)&a, &n) < 0)
		return bb_err_errno(err, "cannot look at a listener");
	if (a.sin_family != AF_INET ||
	    inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text)) == NULL ||
	    strcmp(text, address) != 0 || a.sin_port == 0)
		return bb_err_set(err, -EPROTO, "a listener is on '%s', expected %s", text,
				  address);
	*ret = ntohs(a.sin_port);
	return 0;
}

static void hex(const uint8_t *p, size_t n, char *dst)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(dst + 2 * i, 3, "%02x", p[i]);
}

int smol_step_discover(enum smolvm_mode mode, const struct smol_bundle *bundle,
		       const struct smol_resources *resources, struct smol_urls *ret,
		       struct bb_err *err)
{
	char credential[BACKEND_CREDENTIAL * 2 + 1];
	int r;

	*ret = (struct smol_urls){ 0 };
	if (mode == SMOLVM_SOCKET)
		return 0; /* the machine's mounted socket is all it has */
	r = port_of(bundle->stream_fd, resources->alias.address, &ret->stream_port, err);
	if (r == 0)
		r = port_of(bundle->proxy_fd, resources->alias.address, &ret->proxy_port, err);
	if (r < 0)
		return r;
	hex(resources->credential, sizeof(resources->credential), credential);
	(void)snprintf(ret->address, sizeof(ret->address), "%s", resources->alias.address);
	(void)snprintf(ret->proxy_url, sizeof(ret->proxy_url), "http://bottle:%s@%s:%u",
		       resources->password, ret->address, ret->proxy_port);
	(void)snprintf(ret->dial_line, sizeof(ret->dial_line), "%s %u %s\n", ret->address,
		       ret->stream_port, credential);
	explicit_bzero(credential, sizeof(credential));
	return 0;
}

void smol_release_urls(struct smol_urls *u)
{
	explicit_bzero(u, sizeof(*u));
}
