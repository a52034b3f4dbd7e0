/* `bot-bottle doctor`: what this host lacks, found by trying. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/report.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "image/build.h"
#include "image/image.h"

static const struct cli_option options[] = {
	{ "backend", 0, CLI_VALUE, "NAME", CLI_WORD_BACKEND, "only what this backend needs" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
	{ "quick", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "do not boot a guest to prove KVM" },
};

static const struct cli_field fields[] = {
	{ "part", "program, image, or the name of a backend" },
	{ "check", "what was tried" },
	{ "state", "ok, warn or fail" },
	{ "text", "what was found" },
	{ "mend", "what to do, or empty" },
};

static const char *const state_words[] = {
	[BACKEND_CHECK_OK] = "ok",
	[BACKEND_CHECK_WARN] = "warn",
	[BACKEND_CHECK_FAIL] = "fail",
};

struct printer {
	bool is_json;
	size_t count, failures;
};

static void put(struct printer *p, const char *part, const struct backend_check *c)
{
	p->failures += c->state == BACKEND_CHECK_FAIL;
	if (!p->is_json) {
		(void)printf("%-4s %s: %s: %s\n", state_words[c->state], part, c->name, c->text);
		if (c->mend[0] != '\0')
			(void)printf("     mend: %s\n", c->mend);
		return;
	}
	(void)printf("%s{\"part\":", p->count++ > 0 ? "," : "");
	cli_out_json_string(part);
	(void)fputs(",\"check\":", stdout);
	cli_out_json_string(c->name);
	(void)fputs(",\"state\":", stdout);
	cli_out_json_string(state_words[c->state]);
	(void)fputs(",\"text\":", stdout);
	cli_out_json_string(c->text);
	(void)fputs(",\"mend\":", stdout);
	cli_out_json_string(c->mend);
	(void)putchar('}');
}

/* Not everybody wants every backend: what one lacks that nobody asked for is only told. */
static void soften(struct backend_check *c)
{
	if (c->state == BACKEND_CHECK_FAIL)
		c->state = BACKEND_CHECK_WARN;
}

static void check_backend(struct printer *p, const struct backend *b, bool is_deep, bool is_asked)
{
	static struct backend_report report;
	struct backend_check all = { .name = "start" };
	struct bb_err err = { 0 };

	memset(&report, 0, sizeof(report));
	if (backend_preflight(b, is_deep, &report, &err) < 0) {
		report_found(&all, BACKEND_CHECK_FAIL, "cannot start bottles: %s", err.msg);
	} else {
		report_found(&all, BACKEND_CHECK_OK, "can start bottles%s%s",
			     report.accelerator[0] != '\0' ? ", by " : "", report.accelerator);
	}
	for (size_t i = 0; i < report.count; i++) {
		if (backend_is_optional(b) && !is_asked)
			soften(&report.checks[i]);
		put(p, backend_name(b), &report.checks[i]);
	}
	if (backend_is_optional(b) && !is_asked)
		soften(&all);
	put(p, backend_name(b), &all);
}

static void check_image(struct printer *p, const char *name)
{
	struct backend_check c = { .name = name, .state = BACKEND_CHECK_OK, .text = "built" };
	struct image *image = NULL;
	struct bb_err err = { 0 };

	if (image_find(name, &image, &err) < 0) {
		report_found(&c, BACKEND_CHECK_WARN, "%s", err.msg);
		if (image_build_check(name, &err) < 0)
			report_mend(&c, "%s", err.msg);
	}
	image_free(image);
	put(p, "image", &c);
}

static void check_programs(struct printer *p)
{
	static const char *const names[] = { "bot-bottle-monitor",  "bot-bottle-channel",
					     "bot-bottle-egress",   "bot-bottle-dialler",
					     "bot-bottle-recorder", "bot-bottle-archive",
					     "bot-bottle-keeper",   "bot-bottle-git" };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		struct backend_check c = { .name = names[i] };
		struct bb_err err = { 0 };
		BB_AUTO_FREE char *path = bb_path_sibling(names[i], &err);

		report_found(&c, path != NULL ? BACKEND_CHECK_OK : BACKEND_CHECK_FAIL, "%s",
			     path != NULL ? path : err.msg);
		put(p, "program", &c);
	}
}

static void check_all(struct printer *p, bool is_deep)
{
	const char *const *names = backend_names();

	check_programs(p);
	for (size_t i = 0; names[i] != NULL; i++)
		check_backend(p, backend_find(names[i]), is_deep, false);
	for (size_t i = 0; image_buildable()[i] != NULL; i++)
		check_image(p, image_buildable()[i]);
}

static int run_doctor(const struct cli_args *args)
{
	struct printer p = { .is_json = cli_args_has(args, "json") };
	const char *name = cli_args_get(args, "backend");
	const struct backend *only = name == NULL ? NULL : backend_find(name);
	bool is_deep = !cli_args_has(args, "quick");
	struct bb_err err = { 0 };

	if (name != NULL && only == NULL) {
		(void)bb_err_set(&err, BB_E_USAGE, "unknown backend '%s'",
				 BB_ESCAPED(bb_view_str(name)));
		return cli_out_fail(&err);
	}
	if (p.is_json)
		(void)putchar('[');
	if (only != NULL)
		check_backend(&p, only, is_deep, true);
	else
		check_all(&p, is_deep);
	if (p.is_json)
		(void)puts("]");
	return p.failures == 0 ? 0 : 1;
}

const struct cli_command cli_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "Say what this host lacks, and how to mend it",
	.about = "Each check tries the thing. Exit code 1 when one fails. The backend smolmachines "
		 "needs a program\nthat not everybody wants: what it lacks is a warning, unless "
		 "--backend smolmachines asks.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	.run = run_doctor,
};
