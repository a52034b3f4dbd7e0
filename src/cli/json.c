/* See json.h. */
#include "cli/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/out.h"

static void separate(struct cli_json *j, const char *name)
{
	if (j->has_member[j->depth])
		(void)putchar(',');
	j->has_member[j->depth] = true;
	if (name == NULL)
		return;
	cli_out_json_string(name);
	(void)putchar(':');
}

void cli_json_open(struct cli_json *j, const char *name, char kind)
{
	assert(j->depth < CLI_JSON_DEPTH);
	separate(j, name);
	(void)putchar(kind);
	j->has_member[++j->depth] = false;
}

void cli_json_begin(struct cli_json *j, char kind)
{
	cli_json_open(j, NULL, kind);
}

void cli_json_end(struct cli_json *j, char kind)
{
	assert(j->depth > 0);
	(void)putchar(kind);
	if (--j->depth == 0)
		(void)putchar('\n');
}

void cli_json_null(struct cli_json *j, const char *name)
{
	separate(j, name);
	(void)fputs("null", stdout);
}

void cli_json_str(struct cli_json *j, const char *name, const char *value)
{
	if (value == NULL) {
		cli_json_null(j, name);
		return;
	}
	separate(j, name);
	cli_out_json_string(value);
}

void cli_json_num(struct cli_json *j, const char *name, uint64_t value)
{
	separate(j, name);
	(void)printf("%" PRIu64, value);
}

void cli_json_bool(struct cli_json *j, const char *name, bool value)
{
	separate(j, name);
	(void)fputs(value ? "true" : "false", stdout);
}
