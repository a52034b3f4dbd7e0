/*
 * Provisioning. Files that a namespace bottle has bound over its read-only root
 * (ca-certificates.crt, hosts, hostname) can only be written in place, so nothing here renames; in
 * a microVM the same code works on the overlay.
 */
#include "guest/provision.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"
#include "mux/proto.h"

void provision_done(struct provision *p)
{
	bb_strv_free(p->env);
	free(p->ca);
	*p = (struct provision){ 0 };
}

static int provision_add_env(struct provision *p, struct bb_view v, struct bb_err *err)
{
	char *s;

	if (memchr(v.p, '=', v.n) == NULL || v.p[0] == '=')
		return bb_err_set(err, -EPROTO, "environment entry without a name");
	if (bb_strv_len(p->env) >= LIMIT_EXEC_ARGS)
		return bb_err_set(err, -EPROTO, "more than %d environment entries",
				  LIMIT_EXEC_ARGS);
	s = strndup((const char *)v.p, v.n);
	if (s == NULL || bb_strv_push(&p->env, s) < 0)
		return bb_err_set(err, -ENOMEM, "environment: out of memory");
	return 0;
}

static int provision_add_port(struct provision *p, struct bb_view v, struct bb_err *err)
{
	uint32_t port = v.n == 4 ? bb_be32(v.p) : 0;

	if (port == 0 || port > 65535)
		return bb_err_set(err, -EPROTO, "port %u is not a TCP port", port);
	for (size_t i = 0; i < p->port_count; i++)
		if (p->ports[i] == port)
			return 0;
	if (p->port_count == BB_ARRAY_LEN(p->ports))
		return bb_err_set(err, -EPROTO, "routes name more than %d ports",
				  LIMIT_GUEST_PORTS);
	p->ports[p->port_count++] = (uint16_t)port;
	return 0;
}

static int provision_add_ca(struct provision *p, struct bb_view ca, struct bb_err *err)
{
	free(p->ca);
	p->ca = malloc(ca.n);
	if (p->ca == NULL)
		return bb_err_set(err, -ENOMEM, "CA certificate: out of memory");
	memcpy(p->ca, ca.p, ca.n);
	p->ca_size = ca.n;
	return 0;
}

int provision_add(struct provision *p, struct bb_view body, struct bb_err *err)
{
	struct bb_view ca = { 0 }, hostname = { 0 }, entropy = { 0 };
	struct bb_view env[LIMIT_EXEC_ARGS], ports[LIMIT_GUEST_PORTS];
	size_t env_count = 0, port_count = 0;
	const struct bb_tlv_field fields[] = {
		{ LIFECYCLE_TAG_CA_PEM, BB_TLV_BYTES, .max = 8192, .out = &ca },
		{ LIFECYCLE_TAG_HOSTNAME, BB_TLV_STR, .max = 63, .out = &hostname },
		{ LIFECYCLE_TAG_ENV, BB_TLV_STR, .max = LIMIT_PROTO_FRAME, .out = env,
		  .count = &env_count, .repeat_max = BB_ARRAY_LEN(env) },
		{ LIFECYCLE_TAG_PORT, BB_TLV_BYTES, .max = 4, .out = ports, .count = &port_count,
		  .repeat_max = BB_ARRAY_LEN(ports) },
		{ LIFECYCLE_TAG_CLOCK, BB_TLV_U64, .out = &p->clock_ns },
		{ LIFECYCLE_TAG_ENTROPY, BB_TLV_BYTES, .max = 64, .out = &entropy },
		{ LIFECYCLE_TAG_PIDS, BB_TLV_U32, .out = &p->pids },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	for (size_t i = 0; r == 0 && i < env_count; i++)
		r = provision_add_env(p, env[i], err);
	for (size_t i = 0; r == 0 && i < port_count; i++)
		r = provision_add_port(p, ports[i], err);
	if (r == 0 && ca.n > 0)
		r = provision_add_ca(p, ca, err);
	if (r < 0)
		return r;
	if (hostname.n > 0) {
		memcpy(p->hostname, hostname.p, hostname.n);
		p->hostname[hostname.n] = '\0';
	}
	if (entropy.n > 0) {
		memcpy(p->entropy, entropy.p, entropy.n);
		p->entropy_size = entropy.n;
	}
	return 0;
}

static int provision_write(const char *path, int flags, const void *bytes, size_t n,
			   struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	int r;

	if (fd < 0)
		return bb_err_errno(err, "'%s'", path);
	r = bb_fd_write_all(fd, bytes, n);
	if (r < 0)
		return bb_err_set(err, r, "'%s': %s", path, bb_err_name(r));
	return 0;
}

/* The store is required: a guest whose programs do not trust the bottle's CA fails at every
 * request, in a way nobody understands. The single file beside it is for tools that name it, where
 * there is room. */
static int provision_ca(const struct provision *p, unsigned what, struct bb_err *err)
{
	int r;

	if (p->ca == NULL)
		return 0;
	if (what & PROVISION_DIRECTORIES) {
		(void)mkdir("/etc/ssl", 0755);       /* exist in most images */
		(void)mkdir("/etc/ssl/certs", 0755); /* the open below reports what matters */
		(void)mkdir(PROVISION_CA_DIR, 0755);
	}
	r = provision_write(PROVISION_STORE, O_APPEND, "\n", 1, err);
	if (r == 0)
		r = provision_write(PROVISION_STORE, O_APPEND, p->ca, p->ca_size, err);
	if (r < 0)
		return bb_err_wrap(err, "the bottle's CA");
	(void)provision_write(PROVISION_CA, O_TRUNC, p->ca, p->ca_size, NULL);
	return 0;
}

static int provision_clock(const struct provision *p, struct bb_err *err)
{
	struct timespec ts = { .tv_sec = (time_t)(p->clock_ns / 1000000000U),
			       .tv_nsec = (long)(p->clock_ns % 1000000000U) };

	if (p->clock_ns == 0)
		return 0;
	if (clock_settime(CLOCK_REALTIME, &ts) < 0)
		return bb_err_errno(err, "clock");
	return 0;
}

/* Two clones of one snapshot hand out the same random bytes until the pool is told otherwise, and
 * adding alone does not reseed the generator at once: both calls are needed. */
static int provision_entropy(const struct provision *p, struct bb_err *err)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[64];
	} pool = { .info = { .entropy_count = (int)(p->entropy_size * 8),
			     .buf_size = (int)p->entropy_size } };
	BB_AUTO_CLOSE int fd = -1;

	if (p->entropy_size == 0)
		return 0;
	memcpy(pool.bytes, p->entropy, p->entropy_size);
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return bb_err_errno(err, "entropy");
	return 0;
}

/* In a machine that somebody else booted the right to change its name may be missing. */
static int provision_names(const struct provision *p, unsigned what, struct bb_err *err)
{
	char hosts[256];

	if (p->hostname[0] == '\0')
		return 0;
	if (sethostname(p->hostname, strlen(p->hostname)) < 0 && (what & PROVISION_KERNEL))
		return bb_err_errno(err, "host name '%s'", p->hostname);
	(void)snprintf(hosts, sizeof(hosts), "127.0.0.1\tlocalhost %s\n::1\tlocalhost %s\n",
		       p->hostname, p->hostname);
	if (provision_write("/etc/hosts", O_TRUNC, hosts, strlen(hosts), err) < 0)
		return err->code;
	(void)snprintf(hosts, sizeof(hosts), "%s\n", p->hostname);
	return provision_write("/etc/hostname", O_TRUNC, hosts, strlen(hosts), err);
}

static int provision_resolver(struct bb_err *err)
{
	/* The image's own file may be a link into a directory that does not exist. */
	(void)unlink("/etc/resolv.conf");
	return provision_write("/etc/resolv.conf", O_TRUNC, "nameserver 127.0.0.1\n", 21, err);
}

int provision_apply(const struct provision *p, unsigned what, struct bb_err *err)
{
	struct bb_err local = { 0 };
	int r;

	if (err == NULL)
		err = &local;
	r = provision_ca(p, what, err);
	if (r == 0 && (what & PROVISION_KERNEL))
		r = provision_clock(p, err);
	if (r == 0 && (what & PROVISION_KERNEL))
		r = provision_entropy(p, err);
	if (r == 0 && (what & PROVISION_NAMES))
		r = provision_names(p, what, err);
	if (r == 0 && (what & PROVISION_RESOLVER))
		r = provision_resolver(err);
	return r;
}
