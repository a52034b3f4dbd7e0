/*
 * What may leave a bottle: routes, and the one decision function that every entry uses. Pure: no
 * I/O, no allocation in a decision. A policy is immutable once built; egress and dialler each hold
 * their own copy, decoded strictly from the bytes that the operator's CLI encoded.
 */
#ifndef BB_POLICY_POLICY_H
#define BB_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limit.h"
#include "base/view.h"

/* Where the secret of a host goes. The numbers are those of the binary form. */
enum policy_auth_kind {
	POLICY_AUTH_NONE,
	POLICY_AUTH_BEARER, /* Authorization: Bearer SECRET */
	POLICY_AUTH_HEADER, /* auth_header: SECRET */
	POLICY_AUTH_TOKEN,  /* Authorization: token SECRET */
	POLICY_AUTH_BASIC,  /* Authorization: Basic base64(auth_user:SECRET), or of SECRET alone */
	POLICY_AUTH_QUERY,  /* ?auth_query=SECRET */
};
#define POLICY_NUM_AUTH_KINDS 6
/* "Bearer", "token", "Basic"; NULL: a kind that is no scheme. */
const char *policy_auth_scheme(enum policy_auth_kind kind);

/* How a value is compared with what a rule says. */
enum policy_compare {
	POLICY_EXACT,
	POLICY_PREFIX, /* of paths only, and on a '/' boundary only */
	POLICY_REGEX,  /* the whole value; regex.h */
};
#define POLICY_NUM_COMPARES 3
extern const char *const policy_compare_names[POLICY_NUM_COMPARES]; /* as manifests write them */

struct policy_regex;

/* What a path, a header or a query parameter must be. */
struct policy_value {
	enum policy_compare how;
	char *name; /* of a header (lower case) or parameter (decoded); NULL: a path */
	char *text; /* visible ASCII and space */
	struct policy_regex *regex; /* POLICY_REGEX: made by policy_add() */
};

struct policy_values {
	struct policy_value *items;
	size_t count;
};

/*
 * One alternative of a route; a route without any allows every request. All that it states must
 * hold: one of the methods, one of the paths, every header and every parameter. A header or
 * parameter that comes several times must fit each time.
 */
struct policy_match {
	char **methods; /* NULL-terminated, upper case; NULL: any */
	struct policy_values paths, headers, query;
};

/* Which special-purpose addresses a host may have. Never: link-local, metadata, unspecified,
 * multicast, and on loopback any address but 127.0.0.1 and ::1 (bot-bottle listens on others). */
enum policy_private {
	POLICY_PRIVATE_NONE,
	POLICY_PRIVATE_NETWORKS, /* RFC 1918, unique local, 100.64/10 */
	POLICY_PRIVATE_LOOPBACK,
};
#define POLICY_NUM_PRIVATES 3

/* In an hour; 0: no limit. */
struct policy_rate {
	uint32_t requests;
	uint64_t bytes_out; /* heads and bodies of requests */
};

struct policy_route {
	char *host;       /* lower case LDH; for a wildcard the suffix without "*." */
	bool is_wildcard; /* "*.suffix": one or more labels before it, never the suffix itself */
	uint16_t tls_ports[LIMIT_ROUTE_PORTS]; /* default 443 */
	size_t tls_port_count;
	uint16_t
		plain_ports[LIMIT_ROUTE_PORTS]; /* plain HTTP, only where listed; never with auth */
	size_t plain_port_count;
	enum policy_auth_kind auth;
	char *auth_header; /* POLICY_AUTH_HEADER: lower case token */
	char *auth_query;  /* POLICY_AUTH_QUERY: name of the parameter */
	char *auth_user;   /* POLICY_AUTH_BASIC; NULL: the secret is "user:password" */
	char *token_ref;   /* name of the host variable; egress looks its secret up by it */
	enum policy_private private; /* of an exact host */
	bool may_git_fetch;          /* git's fetches over HTTPS; its pushes never pass */
	struct policy_rate rate;     /* of all requests that the route lets pass */
	struct policy_match *matches;
	size_t match_count;
	char *origin; /* "file:line" or "provider claude": for people */
};

struct policy {
	struct policy_route *routes;
	size_t route_count;
	uint32_t log;       /* egress.log: 0, 1 refusals, 2 requests and responses too */
	size_t regex_bytes; /* of all routes: LIMIT_POLICY_REGEXES */
};

enum policy_reason {
	POLICY_ALLOWED,
	POLICY_HOST_NOT_ALLOWED,
	POLICY_PORT_NOT_ALLOWED,
	POLICY_HOST_INVALID,      /* not LDH labels, too long, empty, trailing dots, ... */
	POLICY_ADDRESS_LITERAL,   /* an IP literal that no route names */
	POLICY_PLAIN_NOT_ALLOWED, /* plain HTTP on a port listed for TLS only */
	POLICY_METHOD_NOT_ALLOWED,
	POLICY_PATH_NOT_ALLOWED,
	POLICY_PATH_INVALID,
	POLICY_HEADER_NOT_ALLOWED,
	POLICY_QUERY_NOT_ALLOWED,
	POLICY_GIT_PUSH_REFUSED,
	POLICY_GIT_FETCH_NOT_ALLOWED,
};
#define POLICY_NUM_REASONS 13

struct policy *policy_new(void);
void policy_free(struct policy *p);

/* Routes under construction. Each adds a zeroed or filled entry and returns it, or NULL (memory);
 * strings are copied. */
struct policy_match *policy_match_add(struct policy_route *r);
struct policy_value *policy_value_add(struct policy_values *list, enum policy_compare how,
				      const char *name, const char *text);
/* Where a value stands, for what it may be. */
enum policy_place {
	POLICY_PATHS,
	POLICY_HEADERS,
	POLICY_QUERY,
};
#define POLICY_NUM_PLACES 3
/* Can this value ever match, and does its regex compile? 0, or -EINVAL with a sentence. */
int policy_check_value(const struct policy_value *v, enum policy_place place, struct bb_err *err);
/* Frees what a route owns, where the route itself is the caller's. */
void policy_route_done(struct policy_route *r);
/* Adds a route; strings are copied. Checks everything the struct's comments promise. */
int policy_add(struct policy *p, const struct policy_route *route, struct bb_err *err);

/* Routes of one host: to allows as well what more does, ports and requests together. Credentials
 * are not touched. */
int policy_route_join(struct policy_route *to, const struct policy_route *more, struct bb_err *err);
/* Gives to the credential of from. */
int policy_route_copy_auth(struct policy_route *to, const struct policy_route *from,
			   struct bb_err *err);

/* Host patterns as manifests write them: "api.example.com", "*.example.com". 0, or a sentence
 * saying why it can never match (upper case is folded; schemes, ports, paths, empty labels, bare
 * "*", "*" inside refused). */
int policy_parse_host(struct bb_view text, char **ret_host, bool *ret_is_wildcard,
		      struct bb_err *err);

/* A name as a guest asks for it: folds case, drops one trailing dot, refuses all but LDH labels.
 * dst holds 254 bytes. POLICY_ALLOWED, or POLICY_HOST_INVALID / POLICY_ADDRESS_LITERAL. */
enum policy_reason policy_normalise_host(struct bb_view text, char *dst);

/* The verdict on a tunnel or request target. host is normalised. ret_route (may be NULL) is set
 * when allowed. */
enum policy_reason policy_decide_host(const struct policy *p, const char *host, uint16_t port,
				      bool is_tls, const struct policy_route **ret_route);
/* May this (host, port) be dialled at all? For the dialler. */
bool policy_may_dial(const struct policy *p, const char *host, uint16_t port);
/* Which special-purpose addresses may it have? */
enum policy_private policy_private_of(const struct policy *p, const char *host);

/* A request as it will be sent. */
struct policy_request {
	struct bb_view method;
	struct bb_view path;  /* canonical (http/target.h) */
	struct bb_view query; /* without its '?' */
	const struct bb_field *headers;
	size_t header_count;
};
/* Is it git over HTTPS? */
enum policy_git {
	POLICY_GIT_NONE,
	POLICY_GIT_FETCH,
	POLICY_GIT_PUSH,
};
enum policy_git policy_git_of(const struct policy_request *q);
/* The verdict on a request. The reason of a refusal is that of the alternative that came furthest,
 * in the order path, method, headers, query. */
enum policy_reason policy_decide_request(const struct policy_route *route,
					 const struct policy_request *q);

const char *policy_reason_word(enum policy_reason r); /* "host_not_allowed": audit */
/* One sentence for the agent, e.g. "host 'x' is not in this bottle's allowlist". */
void policy_reason_text(enum policy_reason r, const char *host, uint16_t port, char *dst,
			size_t cap);

/* A route as lines of a manifest, "- host: ..." first, each indented by that many spaces. 0 or the
 * buffer's error. */
int policy_put_yaml(const struct policy_route *r, unsigned indent, struct bb_buf *out);
/* Its `matches` alone. */
int policy_put_matches(const struct policy_route *r, unsigned indent, struct bb_buf *out);

/* Strict binary form. */
int policy_encode(const struct policy *p, struct bb_buf *out);
int policy_decode(struct bb_view in, struct policy **ret, struct bb_err *err);

#endif
