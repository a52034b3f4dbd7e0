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
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
	{ "quick", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "do not boot a guest to prove KVM" },
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

static void check_backend(struct printer *p, const char *name, bool is_deep)
{
	static struct backend_report report;
	struct backend_check all = { .name = "start" };
	struct bb_err err = { 0 };

	memset(&report, 0, sizeof(report));
	if (backend_preflight(backend_find(name), is_deep, &report, &err) < 0) {
		report_found(&all, BACKEND_CHECK_FAIL, "cannot start bottles: %s", err.msg);
	} else {
		report_found(&all, BACKEND_CHECK_OK, "can start bottles%s%s",
			     report.accelerator[0] != '\0' ? ", by " : "", report.accelerator);
	}
	for (size_t i = 0; i < report.count; i++)
		put(p, name, &report.checks[i]);
	put(p, name, &all);
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
					     "bot-bottle-recorder", "bot-bottle-archive" };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		struct backend_check c = { .name = names[i] };
		struct bb_err err = { 0 };
		BB_AUTO_FREE char *path = bb_path_sibling(names[i], &err);

		report_found(&c, path != NULL ? BACKEND_CHECK_OK : BACKEND_CHECK_FAIL, "%s",
			     path != NULL ? path : err.msg);
		put(p, "program", &c);
	}
}

static int run_doctor(const struct cli_args *args)
{
	struct printer p = { .is_json = cli_args_has(args, "json") };
	const char *const *names = backend_names();

	if (p.is_json)
		(void)putchar('[');
	check_programs(&p);
	for (size_t i = 0; names[i] != NULL; i++)
		check_backend(&p, names[i], !cli_args_has(args, "quick"));
	for (size_t i = 0; image_buildable()[i] != NULL; i++)
		check_image(&p, image_buildable()[i]);
	if (p.is_json)
		(void)puts("]");
	return p.failures == 0 ? 0 : 1;
}

const struct cli_command cli_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "Say what this host lacks, and how to mend it",
	.about = "Each check tries the thing. Exit code 1 when one fails.",
	CLI_OPTIONS(options),
	.run = run_doctor,
};
