/*
 * One agent's policy, from files to the printed page: 1000 bottles in chains of six (each extends
 * the next), the agent in the last one. The baseline is libyaml alone: its events of the front
 * matter of the same seven files, which are in memory already. Both are taken in turn, over all
 * chains.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yaml.h>

#include "base/path.h"
#include "base/text.h"
#include "manifest/keys.h"
#include "manifest/print.h"

#define BOTTLES 1000
#define DEPTH   6 /* files of a chain: extends, five deep */
#define SAMPLES 201
#define GOAL    3.0

static void fail(const char *what, const struct bb_err *err)
{
	(void)fprintf(stderr, "bench-manifest: %s: %s\n", what, err->msg);
	exit(1);
}

static char *bottle_text(int chain, int level)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };
	char *all;
	int r = 0;

	bb_buf_init(&text, 65536);
	r |= bb_buf_append_str(&text, "---\n");
	if (level + 1 < DEPTH)
		r |= bb_buf_printf(&text, "extends: b%d-%d\n", chain, level + 1);
	r |= bb_buf_printf(
		&text,
		"env:\n  NODE_ENV: development\n  LEVEL_%d: \"%d of %d\"\n  HOME_%d: ${HOME}\n",
		level, level, DEPTH, level);
	r |= bb_buf_append_str(&text, "agent_provider:\n  template: claude\n"
				      "  auth_token: BOT_BOTTLE_CLAUDE_OAUTH_TOKEN\n"
				      "egress:\n  log: 1\n  routes:\n");
	for (int i = 0; i < 8; i++)
		r |= bb_buf_printf(&text,
				   "    - host: host%d.level%d.example\n"
				   "      ports: [443, 8443]   # both\n"
				   "      auth: {scheme: Bearer, token_ref: TOKEN_%d}\n",
				   i, level, i);
	r |= bb_buf_append_str(&text, "resources:\n  cpus: 2\n  memory: 4G\n  time: 8h\n---\n"
				      "For people.\n");
	all = r < 0 ? NULL : bb_buf_dup_str(&text);
	if (all == NULL)
		exit(1);
	return all;
}

static void write_file(const char *root, const char *name, const char *text)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s.md", root, name);
	struct bb_err err = { 0 };

	if (path == NULL || bb_path_write_atomic(path, text, strlen(text), 0600, &err) < 0)
		fail("cannot write", &err);
}

static void make_home(const char *root)
{
	BB_AUTO_FREE char *bottles = bb_text_printf("%s/bottles", root);
	BB_AUTO_FREE char *agents = bb_text_printf("%s/agents", root);
	struct bb_err err = { 0 };

	if (bb_path_mkdirs(bottles, 0700, &err) < 0 || bb_path_mkdirs(agents, 0700, &err) < 0)
		fail("cannot make the home", &err);
	for (int i = 0; i < BOTTLES; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("bottles/b%d-%d", i / DEPTH, i % DEPTH);
		BB_AUTO_FREE char *text = bottle_text(i / DEPTH, i % DEPTH);

		write_file(root, name, text);
	}
	for (int i = 0; i < BOTTLES / DEPTH; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("agents/a%d", i);
		BB_AUTO_FREE char *text =
			bb_text_printf("---\nbottle: b%d-0\nskills: [one]\n---\nYou help.\n", i);

		write_file(root, name, text);
	}
}

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void print_policy(const char *root, int chain, struct bb_buf *page)
{
	const struct manifest_places places = { .home = root };
	BB_AUTO_FREE char *name = bb_text_printf("a%d", chain);
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	bb_buf_reset(page);
	if (manifest_load_agent(&places, name, &a, &err) < 0 ||
	    manifest_load_bottle_of(root, a, &b, &err) < 0)
		fail(name, &err);
	if (manifest_print_bottle(b, page) < 0 || bb_buf_size(page) < 500)
		fail("page", &err);
}

struct files {
	struct bb_buf text[DEPTH + 1];
	struct bb_view yaml[DEPTH + 1];
};

static void read_one(struct files *f, size_t i, const char *root, const char *name)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s.md", root, name);
	struct bb_err err = { 0 };
	struct bb_view body;
	unsigned line;

	bb_buf_init(&f->text[i], 65536);
	if (bb_path_read(path, 1, &f->text[i], &err) < 0 ||
	    manifest_split(bb_buf_peek(&f->text[i]), name, &f->yaml[i], &line, &body, &err) < 0)
		fail(name, &err);
}

static void read_files(struct files *f, const char *root, int chain)
{
	for (size_t i = 0; i < DEPTH; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("bottles/b%d-%zu", chain, i);

		read_one(f, i, root, name);
	}
	BB_AUTO_FREE char *agent = bb_text_printf("agents/a%d", chain);
	read_one(f, DEPTH, root, agent);
}

static void parse_alone(const struct files *f)
{
	for (size_t i = 0; i <= DEPTH; i++) {
		yaml_event_type_t type = YAML_NO_EVENT;
		yaml_parser_t parser;

		if (!yaml_parser_initialize(&parser))
			exit(1);
		yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&parser, f->yaml[i].p, f->yaml[i].n);
		while (type != YAML_STREAM_END_EVENT) {
			yaml_event_t event;

			if (!yaml_parser_parse(&parser, &event))
				exit(1);
			type = event.type;
			yaml_event_delete(&event);
		}
		yaml_parser_delete(&parser);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y ? 1 : 0;
}

static void report(double *ours, double *alone)
{
	double value, baseline;

	qsort(ours, SAMPLES, sizeof(*ours), compare);
	qsort(alone, SAMPLES, sizeof(*alone), compare);
	value = ours[SAMPLES / 2];
	baseline = alone[SAMPLES / 2];
	(void)printf(
		"{\"name\": \"manifest.policy\", \"unit\": \"us\", \"value\": %.1f, \"samples\": "
		"%d, "
		"\"spread\": %.1f, \"baseline\": %.1f, \"ratio\": %.2f, \"goal\": \"<= %.0f\", "
		"\"ok\": %s}\n",
		value, SAMPLES, ours[SAMPLES * 3 / 4] - ours[SAMPLES / 4], baseline,
		value / baseline, GOAL, value <= GOAL * baseline ? "true" : "false");
}

int main(void)
{
	static double ours[SAMPLES], alone[SAMPLES];
	char root[] = "/tmp/bb-bench-manifest-XXXXXX";
	BB_AUTO_BUF struct bb_buf page = { 0 };

	if (mkdtemp(root) == NULL)
		return 1;
	make_home(root);
	bb_buf_init(&page, 1024 * 1024);
	for (int i = -10; i < SAMPLES; i++) { /* the first ones warm up */
		int chain = (i + 10) % (BOTTLES / DEPTH);
		struct files f = { 0 };
		double start, middle;

		read_files(&f, root, chain);
		start = now_us();
		print_policy(root, chain, &page);
		middle = now_us();
		parse_alone(&f);
		if (i >= 0) {
			ours[i] = middle - start;
			alone[i] = now_us() - middle;
		}
		for (size_t k = 0; k <= DEPTH; k++)
			bb_buf_done(&f.text[k]);
	}
	(void)bb_path_remove_tree(root, NULL);
	report(ours, alone);
	return 0;
}
