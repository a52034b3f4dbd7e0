/* See choose_id.h. */
#include "cli/choose_id.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/control.h"
#include "store/store.h"
#include "tui/dialogue.h"

struct candidates {
	char **names;
	int *colors;
	size_t count;
};

static bool describe(void *arg, size_t index, struct bb_buf *text)
{
	const struct candidates *c = arg;
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	char started[BB_CLOCK_UTC_MAX];
	struct bb_err err = { 0 };

	if (store_meta_read(c->names[index], &m, &err) < 0) {
		(void)bb_buf_append_str(text, err.msg); /* cut when it is too long */
		return false;
	}
	bb_clock_format_utc((int64_t)m->started_at, 0, started);
	(void)bb_buf_printf(text, "agent %s on %s, since %.19sZ", m->agent, m->backend, started);
	return true;
}

static int color_of(const char *identity)
{
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	int index = store_meta_read(identity, &m, NULL) < 0 || m->color == NULL
			    ? -1
			    : cli_color_find(m->color);

	return index < 0 ? 0 : index + 1;
}

static int find(struct candidates *c, enum cli_bottles which, struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);

	c->names = calloc(1, sizeof(*c->names));
	if (all == NULL)
		return err->code;
	for (size_t i = 0; all[i] != NULL; i++)
		if (store_is_alive(all[i]) == (which == CLI_BOTTLES_LIVING) &&
		    bb_strv_push(&c->names, strdup(all[i])) < 0)
			return bb_err_set(err, -ENOMEM, "out of memory");
	c->count = c->names == NULL ? 0 : bb_strv_len(c->names);
	c->colors = calloc(c->count + 1, sizeof(*c->colors));
	if (c->names == NULL || c->colors == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->count; i++)
		c->colors[i] = color_of(c->names[i]);
	return 0;
}

static int pick(struct candidates *c, const char *command, const char *question, size_t *ret_index,
		struct bb_err *err)
{
	BB_AUTO(tui_screen) struct tui_screen *screen = NULL;
	struct tui_pick pick = { .question = { .title = question },
				 .describe = describe,
				 .arg = c,
				 .colors = c->colors };
	struct tui_list list = { 0 };
	struct bb_err why = { 0 };
	int r = tui_screen_open(&screen, &why);

	if (r < 0)
		return bb_err_set(err, BB_E_USAGE,
				  "no bottle is named, and %s; say: bot-bottle %s ID ('bot-bottle "
				  "list' shows them)",
				  why.msg, command);
	r = tui_list_init(&list, (const char *const *)c->names, c->count, err);
	if (r == 0)
		r = tui_pick(screen, &pick, &list, err);
	if (r == TUI_QUIT)
		r = bb_err_set(err, -EINTR, "interrupted");
	else if (r == TUI_BACK)
		r = bb_err_set(err, -ECANCELED, "no bottle is chosen");
	else if (r == TUI_ANSWERED && !tui_list_current(&list, ret_index))
		r = bb_err_set(err, -ECANCELED, "no bottle is chosen");
	tui_list_done(&list);
	return r;
}

char *cli_choose_bottle(const struct cli_args *args, enum cli_bottles which, const char *question,
			struct bb_err *err)
{
	struct candidates c = { 0 };
	char *identity = NULL;
	size_t index = 0;
	int r;

	if (args->operand_count > 0)
		return cli_control_resolve(args->operands[0], err);
	r = find(&c, which, err);
	if (r == 0 && c.count == 0)
		r = bb_err_set(err, BB_E_USAGE, "no bottle %s",
			       which == CLI_BOTTLES_LIVING ? "is running"
							   : "has ended and is kept");
	if (r == 0 && (c.count > 1 || which == CLI_BOTTLES_ENDED))
		r = pick(&c, args->command->name, question, &index, err);
	if (r == 0) {
		identity = strdup(c.names[index]);
		if (identity == NULL)
			(void)bb_err_set(err, -ENOMEM, "out of memory");
	}
	bb_strv_free(c.names);
	free(c.colors);
	return identity;
}
