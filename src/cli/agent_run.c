/* See agent_run.h. */
#include "cli/agent_run.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/copyin.h"
#include "cli/json.h"
#include "cli/out.h"
#include "cli/outcome.h"
#include "cli/skills.h"
#include "cli/transfer.h"
#include "image/image.h"
#include "ipc/messages.h"

#define STOP_MS 20000

BB_DEFINE_AUTO(image, image_free)

/* What the bottle was committed with, before anything else: it brings its own home. */
static int put_changes(struct cli_control *control, const struct cli_config *c, struct bb_err *err)
{
	BB_AUTO(image) struct image *image = NULL;
	BB_AUTO_CLOSE int fd = -1;
	int r = image_find(c->image, &image, err);

	if (r < 0 || image->changes == NULL)
		return r;
	fd = open(image->changes, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", image->changes);
	r = cli_transfer_put_changes(control, fd, err);
	return r < 0 ? bb_err_wrap(err, "cannot start from image '%s'", c->image) : 0;
}

static int put_kept(struct cli_control *control, const struct cli_config *c, const char *name,
		    const char *guest_path, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_state_dir(c->resumed->identity, err);
	BB_AUTO_FREE char *path = dir == NULL ? NULL : bb_text_printf("%s/%s", dir, name);
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	/* The home has what else we put there; the workspace is as it was kept and nothing more. */
	r = cli_transfer_put_kept(control, fd, guest_path,
				  strcmp(guest_path, PROVIDER_WORKSPACE) == 0, err);
	return r < 0 ? bb_err_wrap(err, "cannot give back '%s'", path) : 0;
}

static int put_workspace(struct cli_control *control, const struct cli_config *c,
			 const char *identity, struct bb_err *err)
{
	int r;

	if (!c->has_workspace)
		return 0;
	r = c->cwd != NULL ? cli_copyin(control, c, identity, err)
			   : put_kept(control, c, "workspace.frames", PROVIDER_WORKSPACE, err);
	return r < 0 ? r : cli_control_workspace(control, PROVIDER_WORKSPACE, err);
}

/* Everything that the agent finds when it runs; what is later in here wins. */
static int furnish(struct cli_control *control, const struct cli_config *c, const char *identity,
		   struct bb_err *err)
{
	int r = put_changes(control, c, err);

	if (r < 0)
		return r;
	if (c->plan->file_count > 0)
		r = cli_transfer_put_files(control, c->plan->files, c->plan->file_count,
					   PROVIDER_HOME, err);
	if (r < 0)
		return bb_err_wrap(err, "cannot set the agent up");
	if (c->resumed != NULL && c->resumed->agent_kept && c->plan->state != NULL)
		r = put_kept(control, c, "agent.frames", PROVIDER_HOME, err);
	if (r == 0)
		r = cli_skills_put(control, c->agent, err);
	if (r == 0)
		r = cli_identity_put(control, c, err);
	return r < 0 ? r : put_workspace(control, c, identity, err);
}

static int begin(struct cli_control *control, const struct cli_config *c, const char *identity,
		 struct bb_err *err)
{
	int r = c->is_headless ? 0 : cli_control_tell(control, IPC_CONTROL_HOLD, err);

	if (r == 0)
		r = cli_control_tell(control, IPC_CONTROL_WATCH, err);
	return r < 0 ? r : furnish(control, c, identity, err);
}

static int run_session(struct cli_control *control, const struct cli_config *c,
		       struct cli_session_result *result, struct bb_err *err)
{
	struct cli_session_plan plan = {
		.argv = c->argv,
		.cwd = c->has_workspace ? c->guest_cwd : NULL, /* NULL: its home */
		.has_terminal = !c->is_headless && (c->is_detached || cli_session_wants_terminal()),
		.has_input = !c->is_headless && !c->is_detached,
		.is_main = true,
		.is_left_running = c->is_detached,
		.input = bb_view_str(c->input),
	};

	return cli_session_run(control, &plan, result, err);
}

static void print_started(const struct cli_config *c, const struct cli_bottle *b)
{
	struct cli_json j = { 0 };

	cli_json_begin(&j, '{');
	cli_json_str(&j, "id", b->identity);
	cli_json_str(&j, "backend", c->backend);
	cli_json_str(&j, "accelerator", b->accelerator);
	cli_json_end(&j, '}');
}

int cli_agent_run(const struct cli_config *c, const struct cli_bottle *b)
{
	BB_AUTO(cli_control) struct cli_control *control = NULL;
	struct cli_session_result result = { 0 };
	struct bb_err err = { 0 };
	int r;

	r = cli_control_connect(b->identity, &control, &err);
	if (r < 0)
		return cli_out_fail(&err); /* its monitor ends by itself: nobody holds it */
	r = begin(control, c, b->identity, &err);
	if (r == 0)
		r = run_session(control, c, &result, &err);
	if (r < 0) {
		int code = cli_out_fail(&err);

		(void)cli_control_stop(control, STOP_MS, NULL); /* the first failure was told */
		return code;
	}
	if (result.end == CLI_SESSION_DETACHED && c->is_json)
		print_started(c, b);
	return cli_outcome(control, b->identity, &result);
}
