/*
 * sysctl's kern.hv_support is 1 where Hypervisor.framework works. lsof's field output has one
 * letter and a value a line: p PID, c COMMAND, f DESCRIPTOR, n NAME; a process' lines stand
 * together.
 *
 * A line that is not understood is an error, not a listener left out: the list is what the operator
 * decides by.
 */
#include "sys/darwin/host.h"

#include <string.h>

#include "base/num.h"
#include "base/text.h"

#define DARWIN_OUTPUT_MAX (1024 * 1024) /* bytes of one program's answer */

int darwin_check_hypervisor(const struct darwin_runner *runner, struct bb_err *err)
{
	const char *const argv[] = { "/usr/sbin/sysctl", "-n", "kern.hv_support", NULL };
	BB_AUTO_BUF struct bb_buf out = { .cap = 256 };
	struct bb_view v;
	int r = runner->run(runner->arg, (char *const *)(uintptr_t)argv, &out, err);

	if (r < 0)
		return r;
	v = bb_buf_peek(&out);
	if (r == 0 && (bb_view_eq_str(v, "1\n") || bb_view_eq_str(v, "1")))
		return 0;
	/* Systems before Hypervisor.framework do not know the name and answer with an error. */
	if (r != 0 || bb_view_eq_str(v, "0\n") || bb_view_eq_str(v, "0"))
		return bb_err_set(err, BB_E_MISSING,
				  "this Mac cannot run virtual machines (kern.hv_support is not "
				  "1); inside a virtual machine itself, switch nested "
				  "virtualisation on");
	return bb_err_set(err, -EPROTO, "sysctl answered '%s' to kern.hv_support", BB_ESCAPED(v));
}

struct listing {
	const char *address;
	struct darwin_listener *found;
	int count;
	uint32_t pid; /* of the process that the lines are about */
	char program[64];
};

static int listing_error(struct bb_view line, struct bb_err *err)
{
	return bb_err_set(err, -EPROTO, "lsof wrote '%s', which is not understood",
			  BB_ESCAPED(line));
}

/* Does a listener bound to host answer on the guest's address? IPv6's wildcard takes IPv4 too. */
static bool is_reached(const struct listing *l, struct bb_view host, bool *ret_wildcard)
{
	*ret_wildcard = bb_view_eq_str(host, "*") || bb_view_eq_str(host, "0.0.0.0") ||
			bb_view_eq_str(host, "[::]");
	return *ret_wildcard || bb_view_eq_str(host, l->address);
}

static bool is_known(const struct listing *l, uint16_t port)
{
	for (int i = 0; i < l->count; i++)
		if (l->found[i].pid == l->pid && l->found[i].port == port)
			return true; /* one for IPv4, one for IPv6 */
	return false;
}

/* memrchr() is GNU's and Linux's. */
static const uint8_t *last_colon(struct bb_view v)
{
	for (size_t i = v.n; i > 0; i--)
		if (v.p[i - 1] == ':')
			return v.p + i - 1;
	return NULL;
}

/* "*:5000", "127.0.0.1:631", "[::1]:631" */
static int listing_name(struct listing *l, struct bb_view name, struct bb_err *err)
{
	const uint8_t *colon = last_colon(name);
	struct bb_view host, port;
	bool is_wildcard;
	uint64_t number;

	if (colon == NULL || colon == name.p)
		return listing_error(name, err);
	host = bb_view_of(name.p, (size_t)(colon - name.p));
	port = bb_view_of(colon + 1, name.n - host.n - 1);
	if (bb_num_parse_u64(port, 65535, &number) < 0 || number == 0)
		return listing_error(name, err);
	if (!is_reached(l, host, &is_wildcard) || is_known(l, (uint16_t)number))
		return 0;
	if (l->count == DARWIN_LISTENERS_MAX)
		return bb_err_set(err, BB_E_LIMIT,
				  "more than %d programs listen where a guest could reach them",
				  DARWIN_LISTENERS_MAX);
	l->found[l->count] = (struct darwin_listener){ .pid = l->pid,
						       .port = (uint16_t)number,
						       .is_wildcard = is_wildcard };
	memcpy(l->found[l->count].program, l->program, sizeof(l->program));
	l->count++;
	return 0;
}

static int listing_line(struct listing *l, struct bb_view line, struct bb_err *err)
{
	struct bb_view value = bb_view_of(line.p + 1, line.n - 1);
	uint64_t pid;

	switch (line.p[0]) {
	case 'p':
		if (bb_num_parse_u64(value, UINT32_MAX, &pid) < 0)
			return listing_error(line, err);
		l->pid = (uint32_t)pid;
		l->program[0] = '\0';
		return 0;
	case 'c':
		(void)bb_text_escape(l->program, sizeof(l->program), value, 40);
		return 0;
	case 'f':
		return 0; /* the descriptor's number */
	case 'n':
		return l->pid == 0 ? listing_error(line, err) : listing_name(l, value, err);
	default:
		return listing_error(line, err);
	}
}

int darwin_listeners(const struct darwin_runner *runner, const char *address,
		     struct darwin_listener ret[DARWIN_LISTENERS_MAX], struct bb_err *err)
{
	const char *const argv[] = {
		"/usr/sbin/lsof", "-nP", "-iTCP", "-sTCP:LISTEN", "-Fpcn", NULL
	};
	BB_AUTO_BUF struct bb_buf out = { .cap = DARWIN_OUTPUT_MAX };
	struct listing l = { .address = address, .found = ret };
	struct bb_view rest;
	int r = runner->run(runner->arg, (char *const *)(uintptr_t)argv, &out, err);

	if (r < 0)
		return r;
	/* 1 with nothing written: nobody listens. */
	if (r > 1 || (r == 1 && bb_buf_size(&out) > 0))
		return bb_err_set(err, -EIO, "lsof failed with code %d", r);
	rest = bb_buf_peek(&out);
	while (rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end == NULL ? rest.n : (size_t)(end - rest.p);

		r = n == 0 ? 0 : listing_line(&l, bb_view_of(rest.p, n), err);
		if (r < 0)
			return r;
		rest = bb_view_from(rest, end == NULL ? n : n + 1);
	}
	return l.count;
}
