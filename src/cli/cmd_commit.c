/* `bot-bottle commit`: an image of what a living bottle has changed. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/choose_id.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/json.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "cli/transfer.h"
#include "image/build.h"
#include "store/store.h"

#define ARCHIVE_EXTRA (64u << 20) /* heads and padding beyond the guest's disk */

BB_DEFINE_AUTO(image_commit, image_commit_free)

static const struct cli_option options[] = {
	{ "name", 0, CLI_VALUE, "NAME", CLI_WORD_ANY,
	  "the image's name (default: committed-ID); one that has it is replaced" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
};
static const struct cli_field fields[] = {
	{ "id", "the bottle" },
	{ "image", "the image's id, made of its content" },
	{ "name", "the image's name" },
	{ "bytes", "size of what the bottle has changed" },
};
static const struct cli_example examples[] = {
	{ "bot-bottle commit implementer-3k9x2", "and later: bot-bottle resume implementer-3k9x2" },
	{ "bot-bottle commit implementer-3k9x2 --name with-tools",
	  "for others too: bot-bottle start AGENT --image with-tools" },
};

struct committed {
	char *identity, *name, *image_id;
	uint64_t bytes;
};

static void committed_done(struct committed *c)
{
	free(c->identity);
	free(c->name);
	free(c->image_id);
}

static int fetch(struct cli_control *control, int fd, uint64_t *ret_bytes, struct bb_err *err)
{
	struct cli_status status;
	struct stat st;
	int r = cli_control_status(control, &status, err);

	if (r == 0)
		r = cli_transfer_get_changes(control, fd, status.disk_bytes + ARCHIVE_EXTRA, err);
	if (r == 0 && fstat(fd, &st) < 0)
		r = bb_err_errno(err, "cannot look at the image");
	if (r == 0)
		*ret_bytes = (uint64_t)st.st_size;
	return r;
}

static int commit(struct committed *c, struct bb_err *err)
{
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	BB_AUTO(cli_control) struct cli_control *control = NULL;
	BB_AUTO(image_commit) struct image_commit *image = NULL;
	int r = cli_control_connect(c->identity, &control, err);

	if (r == 0)
		r = store_meta_read(c->identity, &m, err);
	if (r < 0)
		return r;
	if (m->base_id == NULL)
		return bb_err_set(err, BB_E_USAGE, "'%s' was started by an older bot-bottle",
				  c->identity);
	r = image_commit_begin(c->name, m->base_id, &image, err);
	if (r == 0)
		r = fetch(control, image_commit_fd(image), &c->bytes, err);
	if (r == 0)
		r = image_commit_finish(image, &c->image_id, err);
	if (r < 0)
		return bb_err_wrap(err, "nothing was committed");
	r = cli_control_committed(control, c->image_id, err);
	return r < 0 ? bb_err_wrap(err, "image '%s' was made, but 'resume' will not know of it",
				   c->name)
		     : 0;
}

static void tell(const struct cli_args *args, const struct committed *c)
{
	struct cli_json j = { 0 };

	if (!cli_args_has(args, "json")) {
		cli_out_note(
			"image '%s' (%.12s): %llu KiB of changes; 'bot-bottle resume %s' starts "
			"from it, or: bot-bottle start AGENT --image %s",
			c->name, c->image_id, (unsigned long long)(c->bytes >> 10), c->identity,
			c->name);
		return;
	}
	cli_json_begin(&j, '{');
	cli_json_str(&j, "id", c->identity);
	cli_json_str(&j, "image", c->image_id);
	cli_json_str(&j, "name", c->name);
	cli_json_num(&j, "bytes", c->bytes);
	cli_json_end(&j, '}');
}

static int run_commit(const struct cli_args *args)
{
	__attribute__((cleanup(committed_done))) struct committed c = { 0 };
	const char *name = cli_args_get(args, "name");
	struct bb_err err = { 0 };

	c.identity = cli_choose_bottle(args, CLI_BOTTLES_LIVING, "Of which bottle?", &err);
	if (c.identity == NULL)
		return cli_out_fail(&err);
	c.name = name != NULL ? strdup(name) : bb_text_printf("committed-%s", c.identity);
	if (c.name == NULL)
		(void)bb_err_set(&err, -ENOMEM, "out of memory");
	if (c.name == NULL || cli_signals_open(&err) < 0 || commit(&c, &err) < 0)
		return cli_out_fail(&err);
	tell(args, &c);
	return 0;
}

const struct cli_command cli_commit = {
	.name = "commit",
	.operands = "[ID]",
	.summary = "Make an image of what a living bottle has changed",
	.about =
		"The guest sends its changes and goes on meanwhile; files that change while they "
		"are "
		"read are as a\nbackup of a living system has them. The archive is stored as it "
		"came "
		"and read by guests only. In a\nnamespace bottle only its home can change, so only "
		"that is in the image. Left out: /tmp, /run,\n/var/tmp and what bot-bottle itself "
		"writes at each start. Whoever starts from such an image runs\nwhat that agent "
		"left "
		"in it. An interrupted commit leaves nothing. Without ID it is the only bottle "
		"that "
		"runs, or chosen on the\nterminal.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	CLI_EXAMPLES(examples),
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.run = run_commit,
};
