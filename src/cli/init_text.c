/* See init_text.h. What is put between quotes was seen to hold neither quote nor backslash. */
#include "cli/init_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/sites.h"
#include "manifest/manifest.h"
#include "policy/policy.h"

#define FILE_MAX 65536

static const char bottle_help[] =
	"---\n"
	"Written by 'bot-bottle init'. What is above the line is the whole policy: the agent "
	"reaches "
	"the hosts\n"
	"listed there (and those of its provider) over HTTPS, and nothing else.\n"
	"'bot-bottle edit --bottle %s' changes it, 'bot-bottle info %s' shows what follows from "
	"it.\n";

char **cli_init_words(const char *answer)
{
	char **words = calloc(1, sizeof(*words));

	while (words != NULL) {
		size_t n;

		answer += strspn(answer, " ,\t");
		n = strcspn(answer, " ,\t");
		if (n == 0)
			break;
		if (bb_strv_push(&words, strndup(answer, n)) < 0) {
			bb_strv_free(words);
			return NULL;
		}
		answer += n;
	}
	return words;
}

/* The parser names the file and the line; whoever answers has not seen a file yet. */
static void drop_place(struct bb_err *err)
{
	static const char place[] = "manifest 'the new ";
	char *reason = strstr(err->msg, ": ");

	if (strncmp(err->msg, place, sizeof(place) - 1) == 0 && reason != NULL)
		memmove(err->msg, reason + 2, strlen(reason + 2) + 1);
}

static int put_route(struct bb_buf *out, const char *word, struct bb_err *err)
{
	BB_AUTO_FREE char *host = NULL;
	bool is_wildcard = false;
	int r;

	if (strncmp(word, "preset:", 7) == 0) {
		if (word[7] == '\0' ||
		    strspn(word + 7, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_./:") != strlen(word + 7))
			return bb_err_set(err, BB_E_USAGE, "'%s' is not a preset",
					  BB_ESCAPED(bb_view_str(word)));
		return bb_buf_printf(out, "    - preset: \"%s\"\n", word + 7);
	}
	r = policy_parse_host(bb_view_str(word), &host, &is_wildcard, err);
	if (r < 0)
		return r;
	return bb_buf_printf(out, "    - host: \"%s%s\"\n", is_wildcard ? "*." : "", host);
}

/* Said twice is meant once. */
static bool is_repeated(const char *const *words, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcasecmp(words[i], words[index]) == 0)
			return true;
	return false;
}

static int put_bottle(const struct cli_init_answers *a, struct bb_buf *out, struct bb_err *err)
{
	bool has_provider = strcmp(a->provider, CLI_INIT_SHELL) != 0;
	int r = bb_buf_append_str(out, "---\n");

	if (r == 0 && has_provider)
		r = bb_buf_printf(out, "agent_provider:\n  template: %s\n", a->provider);
	if (r == 0 && a->image != NULL)
		r = bb_buf_printf(out, "image: %s\n", a->image);
	if (r == 0 && a->hosts[0] != NULL)
		r = bb_buf_append_str(out, "egress:\n  routes:\n");
	for (size_t i = 0; r == 0 && a->hosts[i] != NULL; i++)
		r = is_repeated(a->hosts, i) ? 0 : put_route(out, a->hosts[i], err);
	if (r == 0)
		r = bb_buf_printf(out, bottle_help, a->bottle, a->agent);
	return r;
}

char *cli_init_bottle_text(const struct cli_init_answers *a, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_BUF struct bb_buf out = { 0 };
	int r;

	bb_buf_init(&out, FILE_MAX);
	err->code = 0;
	r = put_bottle(a, &out, err);
	if (r < 0 && err->code == 0)
		(void)bb_err_set(err, r, "the answers are longer than a manifest may be");
	if (r < 0)
		return NULL;
	/* A preset is only known to be one when it is expanded. */
	if (manifest_parse_bottle(bb_buf_peek(&out), a->bottle, "the new bottle", &b, err) < 0 ||
	    cli_expand_presets(b, err) < 0) {
		drop_place(err);
		return NULL;
	}
	return bb_buf_dup_str(&out);
}

char *cli_init_agent_text(const struct cli_init_answers *a, struct bb_err *err)
{
	BB_AUTO(manifest_agent) struct manifest_agent *agent = NULL;
	BB_AUTO_BUF struct bb_buf out = { 0 };

	bb_buf_init(&out, FILE_MAX);
	if (bb_buf_printf(&out, "---\nbottle: %s\n---\n%s%s", a->bottle, a->prompt,
			  a->prompt[0] != '\0' ? "\n" : "") < 0) {
		(void)bb_err_set(err, BB_E_LIMIT, "the text is longer than a manifest may be");
		return NULL;
	}
	if (manifest_parse_agent(bb_buf_peek(&out), a->agent, "the new agent", &agent, err) < 0) {
		drop_place(err);
		return NULL;
	}
	return bb_buf_dup_str(&out);
}
