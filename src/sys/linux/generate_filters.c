/*
 * Runs while bot-bottle is built: writes filters.c (filters.h), the seccomp programs of all tables,
 * as arrays. usage: generate-filters OUTPUT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sys/linux/filter.h"
#include "sys/linux/jail_calls.h"
#include "sys/linux/sandbox_calls.h"

struct output {
	FILE *file;
	struct bb_err err;
};

/* One array of instructions: NAME_INDEX. */
static int put_code(struct output *o, const struct filter_rule *const *tables,
		    enum filter_verdict otherwise, int error, const char *name, size_t index)
{
	FILTER_AUTO_PROGRAM struct filter_program program = { 0 };
	int r = filter_build(tables, otherwise, error, &program, &o->err);

	if (r < 0)
		return r;
	(void)fprintf(o->file, "static const struct sock_filter %s_%zu[] = {\n", name, index);
	for (size_t i = 0; i < program.count; i++)
		(void)fprintf(o->file, "\t{ 0x%x, %u, %u, 0x%x },\n", program.code[i].code,
			      program.code[i].jt, program.code[i].jf, program.code[i].k);
	(void)fputs("};\n", o->file);
	return 0;
}

static void put_entry(struct output *o, const char *name, size_t index)
{
	(void)fprintf(o->file, "\t{ %s_%zu, sizeof(%s_%zu) / sizeof(%s_%zu[0]) },\n", name, index,
		      name, index, name, index);
}

static void put_table(struct output *o, const char *name, size_t count)
{
	(void)fprintf(o->file, "const struct filter_program filters_%s[] = {\n", name);
	for (size_t i = 0; i < count; i++)
		put_entry(o, name, i);
	(void)fputs("};\n", o->file);
}

static int put_all(struct output *o)
{
	static const struct filter_rule *const no_open[] = { sandbox_no_open, NULL };
	int r = 0;

	(void)fputs("/* Written by generate_filters.c. */\n#include \"sys/linux/filters.h\"\n",
		    o->file);
	for (size_t i = 0; i < SANDBOX_NUM_PROFILES && r == 0; i++)
		r = put_code(o, sandbox_calls[i], FILTER_ERRNO, EPERM, "sandbox", i);
	for (size_t i = 0; i < JAIL_FILTER_NUM_BUILT && r == 0; i++)
		r = put_code(o, jail_calls[i], FILTER_ERRNO, ENOSYS, "jail_calls", i);
	for (size_t i = 0; i < JAIL_FILTER_NUM_BUILT && r == 0; i++)
		r = put_code(o, jail_refusals[i], FILTER_ALLOW, 0, "jail_refusals", i);
	if (r == 0)
		r = put_code(o, no_open, FILTER_ALLOW, 0, "no_open", 0);
	if (r < 0)
		return r;
	put_table(o, "sandbox", SANDBOX_NUM_PROFILES);
	put_table(o, "jail_calls", JAIL_FILTER_NUM_BUILT);
	put_table(o, "jail_refusals", JAIL_FILTER_NUM_BUILT);
	(void)fputs("const struct filter_program filters_no_open =\n", o->file);
	(void)fputs("\t{ no_open_0, sizeof(no_open_0) / sizeof(no_open_0[0]) };\n", o->file);
	return 0;
}

int main(int argc, char **argv)
{
	struct output o = { .file = argc == 2 ? fopen(argv[1], "we") : NULL };
	int r;

	if (o.file == NULL) {
		(void)fputs("usage: generate-filters OUTPUT\n", stderr);
		return 2;
	}
	r = put_all(&o);
	if (r < 0)
		(void)fprintf(stderr, "generate-filters: %s\n", o.err.msg);
	if (fclose(o.file) != 0)
		r = -EIO;
	return r < 0 ? 1 : 0;
}
