/*
 * Manifests. Oracle: refused means BB_E_USAGE with a sentence that names the file and holds
 * printable ASCII only; accepted means that every promise of manifest.h holds and
 * that what is printed of a bottle reads back as the same bottle.
 */
#include <assert.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"
#include "manifest/print.h"

#include "../unit/manifest/same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(int r, const struct bb_err *err, const char *file)
{
	assert(r == BB_E_USAGE && err->code == r);
	assert(strncmp(err->msg, "manifest '", 10) == 0 && strstr(err->msg, file) != NULL);
	for (const char *p = err->msg; *p != '\0'; p++)
		assert(*p >= 0x20 && *p < 0x7f);
}

static void check_bottle(const struct manifest_bottle *b)
{
	assert(b->policy != NULL && b->policy->route_count <= LIMIT_ROUTES);
	assert(b->env_count <= LIMIT_MANIFEST_ENV);
	for (size_t i = 0; i < b->env_count; i++) {
		assert(b->env[i].name[0] != '\0' && strchr(b->env[i].name, '=') == NULL);
		assert((b->env[i].value != NULL) + (b->env[i].host_var != NULL) +
			       (b->env[i].question != NULL) ==
		       1);
	}
	for (size_t i = 0; i < b->policy->route_count; i++) {
		const struct policy_route *r = &b->policy->routes[i];

		assert(r->host[0] != '\0' && r->tls_port_count + r->plain_port_count > 0);
		assert(r->auth == POLICY_AUTH_NONE ||
		       (r->plain_port_count == 0 && r->token_ref != NULL));
		assert((r->auth == POLICY_AUTH_HEADER) == (r->auth_header != NULL));
	}
	assert(b->log <= 2 && b->resources.cpus <= 64);
}

/* Escapes make a text longer: to six times, a character of the file at most. */
static void check_print(const struct manifest_bottle *b)
{
	struct manifest_bottle *back = NULL;
	struct bb_buf out = { 0 };
	struct bb_err err = { 0 };
	int r;

	bb_buf_init(&out, 16 * LIMIT_MANIFEST_FILE);
	assert(bb_buf_append_str(&out, "---\n") == 0 && manifest_print_bottle(b, &out) == 0);
	assert(bb_buf_append_str(&out, "---\n") == 0);
	r = manifest_parse_bottle(bb_buf_peek(&out), "b", "bottles/b.md", &back, &err);
	assert(r == 0 && same_bottle(b, back));
	manifest_bottle_free(back);
	bb_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest_bottle *b = NULL;
	struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };
	int r;

	if (size > LIMIT_MANIFEST_FILE)
		return 0;
	r = manifest_parse_bottle(bb_view_of(data, size), "b", "bottles/b.md", &b, &err);
	if (r < 0)
		check_error(r, &err, "bottles/b.md");
	else {
		check_bottle(b);
		check_print(b);
	}
	manifest_bottle_free(b);
	memset(&err, 0, sizeof(err));
	r = manifest_parse_agent(bb_view_of(data, size), "a", "agents/a.md", &a, &err);
	if (r < 0)
		check_error(r, &err, "agents/a.md");
	else
		assert(a->prompt != NULL && strlen(a->prompt) <= size);
	manifest_agent_free(a);
	return 0;
}
