/*
 * Members that open a way in or out are listed by name and must be empty; members that nobody here
 * knows are kept as they are. Numbers, strings and the order of members survive the round trip
 * through jansson; that nothing but allowed_cidrs changed is checked on the text that is written.
 */
#include "backend/smolmachines/vmrow.h"

#include <arpa/inet.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/text.h"

static inline void row_unref(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(row_unref)))

#define CIDRS       "allowed_cidrs"
#define SHOWN_MAX   200
#define LOAD_FLAGS  (JSON_REJECT_DUPLICATES)
#define WRITE_FLAGS (JSON_COMPACT)

/* What gives a machine another way than the one we mean; must be absent, null, false or empty. */
static const char *const must_be_empty[] = {
	"ports",        "mounts",      "dns_filter_hosts", "network_name", "remote_volumes",
	"egress_rules", "egressRules", "docker_socket",    "ssh_agent",
};

bool vmrow_is_loopback_cidr(const char *cidr)
{
	struct in_addr a;
	char address[INET_ADDRSTRLEN], again[INET_ADDRSTRLEN];
	size_t n = strlen(cidr);

	if (n < 4 || n - 3 >= sizeof(address) || strcmp(cidr + n - 3, "/32") != 0)
		return false;
	(void)snprintf(address, sizeof(address), "%.*s", (int)(n - 3), cidr);
	return inet_pton(AF_INET, address, &a) == 1 && ntohl(a.s_addr) >> 24 == 127 &&
	       inet_ntop(AF_INET, &a, again, sizeof(again)) != NULL && strcmp(address, again) == 0;
}

/* A value for a message: its JSON, escaped and cut; "nothing" for NULL. */
static const char *shown(const json_t *v, char *dst, size_t cap)
{
	BB_AUTO_FREE char *text = v == NULL ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL)
		(void)snprintf(dst, cap, "nothing");
	else
		(void)bb_text_escape(dst, cap, bb_view_str(text), SHOWN_MAX);
	return dst;
}
#define SHOWN(v) shown((v), (char[SHOWN_MAX * 4 + 8]){ 0 }, SHOWN_MAX * 4 + 8)

static int wrong(struct bb_err *err, const char *what, const char *expected, const json_t *found)
{
	return bb_err_set(err, BB_E_REFUSED, "%s: expected %s, found %s", what, expected,
			  SHOWN(found));
}

static bool is_empty(const json_t *v)
{
	return v == NULL || json_is_null(v) || json_is_false(v) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

static json_t *load(struct bb_view text, const char *what, struct bb_err *err)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)text.p, text.n, LOAD_FLAGS, &why);

	if (root != NULL && json_is_object(root))
		return root;
	(void)bb_err_set(err, BB_E_REFUSED, "%s: expected a JSON object, found %s", what,
			 root != NULL ? SHOWN(root) : BB_ESCAPED(bb_view_str(why.text)));
	json_decref(root);
	return NULL;
}

static int check_member(const json_t *root, const char *key, const char *text, struct bb_err *err)
{
	const json_t *v = json_object_get(root, key);
	BB_AUTO_FREE char *quoted = bb_text_printf("\"%s\"", text);

	if (json_is_string(v) && strcmp(json_string_value(v), text) == 0)
		return 0;
	return wrong(err, key, quoted == NULL ? text : quoted, v);
}

static int check_ways(const json_t *root, struct bb_err *err)
{
	const json_t *backend = json_object_get(root, "network_backend");

	for (size_t i = 0; i < BB_ARRAY_LEN(must_be_empty); i++) {
		const json_t *v = json_object_get(root, must_be_empty[i]);

		if (!is_empty(v))
			return wrong(err, must_be_empty[i], "nothing", v);
	}
	if (!is_empty(backend) &&
	    (!json_is_string(backend) || strcmp(json_string_value(backend), "tsi") != 0))
		return wrong(err, "network_backend", "nothing or \"tsi\"", backend);
	return 0;
}

/* Exactly ["<cidr>"], or with NULL: null or absent. */
static int check_cidrs(const json_t *v, const char *cidr, struct bb_err *err)
{
	const char *only = json_string_value(json_array_get(v, 0));
	BB_AUTO_FREE char *expected = NULL;

	if (cidr == NULL)
		return v == NULL || json_is_null(v) ? 0 : wrong(err, CIDRS, "null", v);
	if (json_is_array(v) && json_array_size(v) == 1 && only != NULL && strcmp(only, cidr) == 0)
		return 0;
	expected = bb_text_printf("[\"%s\"] and nothing else", cidr);
	return wrong(err, CIDRS, expected == NULL ? cidr : expected, v);
}

/* One mounted socket, ours; the entry's member names differ between versions. */
static int check_sockets(const json_t *v, const char *guest, struct bb_err *err)
{
	json_t *entry = json_array_get(v, 0), *value;
	bool is_ours = false, is_mount = false;
	const char *key;

	if (guest == NULL)
		return is_empty(v) ? 0 : wrong(err, "published_sockets", "nothing", v);
	json_object_foreach(entry, key, value)
	{
		const char *text = json_string_value(value);

		is_ours = is_ours || (text != NULL && strcmp(text, guest) == 0);
		is_mount = is_mount || (text != NULL && strcmp(key, "direction") == 0 &&
					strcmp(text, "mount") == 0);
	}
	if (json_array_size(v) == 1 && is_ours && is_mount)
		return 0;
	return wrong(err, "published_sockets", "the bottle's one mounted socket", v);
}

int vmrow_check(struct bb_view row, const char *name, const char *cidr, const char *socket_guest,
		struct bb_err *err)
{
	AUTO_JSON json_t *root = load(row, "the machine's row", err);
	const json_t *network = json_object_get(root, "network");
	int r;

	if (root == NULL)
		return BB_E_REFUSED;
	r = check_member(root, "name", name, err);
	if (r == 0 && !json_is_false(network))
		r = wrong(err, "network", "false", network);
	if (r == 0)
		r = check_cidrs(json_object_get(root, CIDRS), cidr, err);
	if (r == 0)
		r = check_ways(root, err);
	return r < 0 ? r
		     : check_sockets(json_object_get(root, "published_sockets"), socket_guest, err);
}

int vmrow_check_effective(struct bb_view config, const char *cidr, struct bb_err *err)
{
	AUTO_JSON json_t *root = load(config, "agent.config.json", err);
	const json_t *resources = json_object_get(root, "resources");
	const json_t *network = json_object_get(resources, "network");
	const json_t *ports = json_object_get(root, "ports");
	int r;

	if (root == NULL)
		return BB_E_REFUSED;
	if (!json_is_object(resources))
		return wrong(err, "agent.config.json: resources", "an object", resources);
	if (!is_empty(ports))
		return wrong(err, "agent.config.json: ports", "nothing", ports);
	/* With an allow-list smolvm may say either: the list alone switches the network on. */
	if (cidr == NULL ? !json_is_false(network) : !json_is_boolean(network))
		return wrong(err, "agent.config.json: network",
			     cidr == NULL ? "false" : "true or false", network);
	r = check_cidrs(json_object_get(resources, CIDRS), cidr, err);
	return r < 0 ? bb_err_wrap(err, "agent.config.json") : 0;
}

/* A machine that was just created without a network: nobody else has set anything. */
static int check_before(const json_t *root, const char *name, struct bb_err *err)
{
	const json_t *state = json_object_get(root, "state");
	const json_t *pid = json_object_get(root, "pid");
	const json_t *network = json_object_get(root, "network");
	const char *word = json_is_string(state) ? json_string_value(state) : "";
	int r = check_member(root, "name", name, err);

	if (r < 0)
		return r;
	if (strcmp(word, "created") != 0 && strcmp(word, "stopped") != 0)
		return wrong(err, "state", "\"created\" or \"stopped\"", state);
	if (pid != NULL && !json_is_null(pid))
		return wrong(err, "pid", "null", pid);
	if (!json_is_false(network))
		return wrong(err, "network", "false", network);
	return check_ways(root, err);
}

/* Whatever the text says now, it is the old row but for allowed_cidrs. */
static int check_kept(const json_t *old, const char *text, const char *cidr, struct bb_err *err)
{
	AUTO_JSON json_t *fresh = json_loads(text, LOAD_FLAGS, NULL);
	AUTO_JSON json_t *was = json_deep_copy(old);
	int r = check_cidrs(json_object_get(fresh, CIDRS), cidr, err);

	if (r < 0)
		return r;
	(void)json_object_del(fresh, CIDRS);
	(void)json_object_del(was, CIDRS);
	return json_equal(fresh, was) == 1
		       ? 0
		       : bb_err_set(err, -EPROTO, "the row does not survive being written");
}

/* Sets the member where it stands, so that the order stays. */
static int write_patched(json_t *root, const char *cidr, struct bb_buf *out, struct bb_err *err)
{
	AUTO_JSON json_t *old = json_deep_copy(root);
	BB_AUTO_FREE char *text = NULL;
	int r;

	if (old == NULL || json_object_set_new(root, CIDRS, json_pack("[s]", cidr)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	text = json_dumps(root, WRITE_FLAGS);
	if (text == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = check_kept(old, text, cidr, err);
	if (r < 0)
		return r;
	r = bb_buf_append_str(out, text);
	return r < 0 ? bb_err_set(err, r, "the machine's row is too large") : 0;
}

int vmrow_patch(struct bb_view row, const char *name, const char *cidr, struct bb_buf *out,
		bool *ret_changed, struct bb_err *err)
{
	AUTO_JSON json_t *root = NULL;
	json_t *cidrs;
	int r;

	if (!vmrow_is_loopback_cidr(cidr))
		return bb_err_set(
			err, BB_E_REFUSED,
			"allowed_cidrs: expected one loopback address with /32, found '%s'",
			BB_ESCAPED(bb_view_str(cidr)));
	root = load(row, "the machine's row", err);
	if (root == NULL)
		return BB_E_REFUSED;
	r = check_before(root, name, err);
	if (r < 0)
		return r;
	cidrs = json_object_get(root, CIDRS);
	if (cidrs == NULL)
		return wrong(err, CIDRS, "null or a list", NULL);
	if (!is_empty(cidrs) || json_is_false(cidrs) || json_is_object(cidrs)) {
		r = check_cidrs(cidrs, cidr, err);
		*ret_changed = r == 0 ? false : *ret_changed;
		return r;
	}
	r = write_patched(root, cidr, out, err);
	*ret_changed = r == 0 ? true : *ret_changed;
	return r;
}
