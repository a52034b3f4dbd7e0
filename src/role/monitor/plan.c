/*
 * The plan's encoding: one table of its strings and numbers serves both directions. Ours on both
 * ends, so what does not fit is an error in a build, and is refused rather than guessed.
 */
#include "role/monitor/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"
#include "store/store.h"

#define PLAN_STR_MAX     4096
#define PLAN_ENV_MAX     LIMIT_EXEC_ARGS
#define PLAN_ENV_STR_MAX 32768
#define PLAN_TOKENS_MAX  64
#define PLAN_PORTS_MAX   1024
#define PLAN_STATE_MAX   16
#define PLAN_POLICY_MAX  (MONITOR_PLAN_MAX / 2)

enum plan_tag {
	PLAN_POLICY = 1,
	PLAN_ENV,
	PLAN_TOKEN_REF,
	PLAN_PORT, /* two bytes each, in one field */
	PLAN_MEMORY,
	PLAN_DISK,
	PLAN_AGENT_STATE,
	PLAN_RESUMED,
	PLAN_NUMBERS = 16,
	PLAN_STRINGS = 32,
};

static const struct {
	size_t offset;
	bool is_required;
} plan_strings[] = {
	{ offsetof(struct monitor_plan, identity), true },
	{ offsetof(struct monitor_plan, agent), true },
	{ offsetof(struct monitor_plan, backend), true },
	{ offsetof(struct monitor_plan, image), true },
	{ offsetof(struct monitor_plan, bottle), false },
	{ offsetof(struct monitor_plan, label), false },
	{ offsetof(struct monitor_plan, color), false },
	{ offsetof(struct monitor_plan, cwd), false },
	{ offsetof(struct monitor_plan, roots_path), false },
	{ offsetof(struct monitor_plan, accelerator), false },
};
#define NUM_STRINGS BB_ARRAY_LEN(plan_strings)

static const size_t plan_numbers[] = {
	offsetof(struct monitor_plan, resources.cpus),
	offsetof(struct monitor_plan, resources.pids),
	offsetof(struct monitor_plan, max_seconds),
	offsetof(struct monitor_plan, orphan_grace_ms),
};
#define NUM_NUMBERS   BB_ARRAY_LEN(plan_numbers)
#define PLAN_HEADLESS (PLAN_NUMBERS + NUM_NUMBERS)

static void *at(const struct monitor_plan *p, size_t offset)
{
	return (char *)(uintptr_t)p + offset;
}

static int put_strv(struct bb_buf *out, uint16_t tag, char *const *strv)
{
	int r = 0;

	for (size_t i = 0; r == 0 && strv != NULL && strv[i] != NULL; i++)
		r = bb_tlv_put_str(out, tag, strv[i]);
	return r;
}

static int put_ports(struct bb_buf *out, const struct monitor_plan *p)
{
	uint8_t raw[PLAN_PORTS_MAX * 2];

	if (p->port_count > PLAN_PORTS_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < p->port_count; i++)
		bb_put_be16(raw + i * 2, p->ports[i]);
	return bb_tlv_put(out, PLAN_PORT, raw, p->port_count * 2);
}

int monitor_plan_encode(const struct monitor_plan *p, struct bb_buf *out)
{
	int r;

	for (size_t i = 0; i < NUM_STRINGS; i++) {
		const char *s = *(char *const *)at(p, plan_strings[i].offset);

		r = s == NULL ? 0 : bb_tlv_put_str(out, (uint16_t)(PLAN_STRINGS + i), s);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < NUM_NUMBERS; i++) {
		r = bb_tlv_put_u32(out, (uint16_t)(PLAN_NUMBERS + i),
				   *(const uint32_t *)at(p, plan_numbers[i]));
		if (r < 0)
			return r;
	}
	r = bb_tlv_put_u32(out, PLAN_HEADLESS, p->is_headless);
	if (r == 0)
		r = bb_tlv_put_u64(out, PLAN_MEMORY, p->resources.memory_bytes);
	if (r == 0)
		r = bb_tlv_put_u64(out, PLAN_DISK, p->resources.disk_bytes);
	if (r == 0)
		r = bb_tlv_put_view(out, PLAN_POLICY, p->policy);
	if (r == 0)
		r = put_ports(out, p);
	if (r == 0)
		r = bb_tlv_put_u32(out, PLAN_RESUMED, p->is_resumed);
	if (r == 0)
		r = put_strv(out, PLAN_ENV, p->env);
	if (r == 0)
		r = put_strv(out, PLAN_AGENT_STATE, p->agent_state);
	return r < 0 ? r : put_strv(out, PLAN_TOKEN_REF, p->token_refs);
}

struct plan_views {
	struct bb_view strings[NUM_STRINGS];
	struct bb_view env[PLAN_ENV_MAX], tokens[PLAN_TOKENS_MAX], ports;
	struct bb_view state[PLAN_STATE_MAX];
	size_t env_count, token_count, state_count;
	uint32_t is_headless, is_resumed;
};

static int read_fields(struct monitor_plan *p, struct plan_views *v, struct bb_err *err)
{
	struct bb_tlv_field fields[NUM_STRINGS + NUM_NUMBERS + 9];
	size_t n = 0;

	for (size_t i = 0; i < NUM_STRINGS; i++)
		fields[n++] = (struct bb_tlv_field){ .tag = (uint16_t)(PLAN_STRINGS + i),
						     .type = BB_TLV_STR,
						     .max = PLAN_STR_MAX,
						     .is_required = plan_strings[i].is_required,
						     .out = &v->strings[i] };
	for (size_t i = 0; i < NUM_NUMBERS; i++)
		fields[n++] = (struct bb_tlv_field){ .tag = (uint16_t)(PLAN_NUMBERS + i),
						     .type = BB_TLV_U32,
						     .is_required = true,
						     .out = at(p, plan_numbers[i]) };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_HEADLESS,
					     .type = BB_TLV_U32,
					     .is_required = true,
					     .out = &v->is_headless };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_MEMORY,
					     .type = BB_TLV_U64,
					     .is_required = true,
					     .out = &p->resources.memory_bytes };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_DISK,
					     .type = BB_TLV_U64,
					     .is_required = true,
					     .out = &p->resources.disk_bytes };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_POLICY,
					     .type = BB_TLV_BYTES,
					     .max = PLAN_POLICY_MAX,
					     .is_required = true,
					     .out = &p->policy };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_PORT,
					     .type = BB_TLV_BYTES,
					     .max = (size_t)PLAN_PORTS_MAX * 2,
					     .is_required = true,
					     .out = &v->ports };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_ENV,
					     .type = BB_TLV_STR,
					     .max = PLAN_ENV_STR_MAX,
					     .out = v->env,
					     .count = &v->env_count,
					     .repeat_max = PLAN_ENV_MAX };
	fields[n++] = (struct bb_tlv_field){
		.tag = PLAN_RESUMED, .type = BB_TLV_U32, .is_required = true, .out = &v->is_resumed
	};
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_AGENT_STATE,
					     .type = BB_TLV_STR,
					     .max = PLAN_STR_MAX,
					     .out = v->state,
					     .count = &v->state_count,
					     .repeat_max = PLAN_STATE_MAX };
	fields[n++] = (struct bb_tlv_field){ .tag = PLAN_TOKEN_REF,
					     .type = BB_TLV_STR,
					     .max = 256,
					     .out = v->tokens,
					     .count = &v->token_count,
					     .repeat_max = PLAN_TOKENS_MAX };
	return bb_tlv_read(bb_buf_peek(&p->storage), fields, n, err);
}

static int copy_strv(char ***ret, const struct bb_view *views, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bb_strv_push(ret, strndup((const char *)views[i].p, views[i].n)) < 0)
			return -ENOMEM;
	return 0;
}

static int copy_values(struct monitor_plan *p, const struct plan_views *v, struct bb_err *err)
{
	for (size_t i = 0; i < NUM_STRINGS; i++) {
		char **dst = at(p, plan_strings[i].offset);

		if (v->strings[i].p == NULL)
			continue;
		*dst = strndup((const char *)v->strings[i].p, v->strings[i].n);
		if (*dst == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
	}
	p->port_count = v->ports.n / 2;
	p->ports = calloc(p->port_count + 1, sizeof(*p->ports));
	if (p->ports == NULL || copy_strv(&p->env, v->env, v->env_count) < 0 ||
	    copy_strv(&p->token_refs, v->tokens, v->token_count) < 0 ||
	    copy_strv(&p->agent_state, v->state, v->state_count) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->port_count; i++)
		p->ports[i] = bb_be16(v->ports.p + i * 2);
	p->is_headless = v->is_headless != 0;
	p->is_resumed = v->is_resumed != 0;
	return 0;
}

static int check_values(const struct monitor_plan *p, const struct plan_views *v,
			struct bb_err *err)
{
	if (!store_is_slug(p->identity))
		return bb_err_set(err, -EPROTO, "'%s' is not the name of a bottle",
				  BB_ESCAPED(bb_view_str(p->identity)));
	if (p->label != NULL && p->label[0] != '\0' && !store_is_slug(p->label))
		return bb_err_set(err, -EPROTO, "'%s' is not a label",
				  BB_ESCAPED(bb_view_str(p->label)));
	if (v->is_headless > 1 || v->is_resumed > 1 || v->ports.n % 2 != 0)
		return bb_err_set(err, -EPROTO, "a number is out of range");
	for (size_t i = 0; i < v->env_count; i++)
		if (memchr(v->env[i].p, '=', v->env[i].n) == NULL || v->env[i].p[0] == '=')
			return bb_err_set(err, -EPROTO, "environment entry %zu is not NAME=value",
					  i + 1);
	return 0;
}

int monitor_plan_decode(struct bb_view in, struct monitor_plan **ret, struct bb_err *err)
{
	struct monitor_plan *p = calloc(1, sizeof(*p));
	struct plan_views *v = calloc(1, sizeof(*v));
	int r = -ENOMEM;

	if (p != NULL)
		bb_buf_init(&p->storage, MONITOR_PLAN_MAX);
	if (p == NULL || v == NULL)
		(void)bb_err_set(err, r, "out of memory");
	else if (bb_buf_append_view(&p->storage, in) < 0)
		r = bb_err_set(err, -EMSGSIZE, "it has %zu bytes, limit %d", in.n,
			       MONITOR_PLAN_MAX);
	else
		r = read_fields(p, v, err);
	if (r == 0)
		r = copy_values(p, v, err);
	if (r == 0)
		r = check_values(p, v, err);
	free(v);
	if (r < 0) {
		monitor_plan_free(p);
		return bb_err_wrap(err, "launch plan");
	}
	*ret = p;
	return 0;
}

void monitor_plan_free(struct monitor_plan *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < NUM_STRINGS; i++)
		free(*(char **)at(p, plan_strings[i].offset));
	bb_strv_free(p->env);
	bb_strv_free(p->token_refs);
	bb_strv_free(p->agent_state);
	free(p->ports);
	bb_buf_done(&p->storage);
	free(p);
}
