/* The agent's task: --prompt, --prompt-file or standard input. */
#include "cli/config_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define TASK_MAX (1024 * 1024)

int config_read_task(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const char *text = cli_args_get(args, "prompt");
	const char *file = cli_args_get(args, "prompt-file");
	BB_AUTO_BUF struct bb_buf content = { 0 };
	int r;

	if (text != NULL && file != NULL)
		return bb_err_set(err, BB_E_USAGE, "--prompt and --prompt-file exclude each other");
	if (text != NULL) {
		c->task = strdup(text);
		return c->task == NULL ? config_no_memory(err) : 0;
	}
	if (file == NULL)
		return 0;
	bb_buf_init(&content, TASK_MAX);
	if (strcmp(file, "-") == 0) {
		r = bb_fd_read_to_end(STDIN_FILENO, &content);
	} else {
		BB_AUTO_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? -errno : bb_fd_read_to_end(fd, &content);
	}
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT, "prompt file '%s' is larger than %d KiB", file,
				  TASK_MAX / 1024);
	if (r < 0)
		return bb_err_set(err, r, "cannot read prompt file '%s': %s", file, bb_err_name(r));
	c->task = bb_buf_dup_str(&content);
	if (c->task == NULL)
		return config_no_memory(err);
	if (strlen(c->task) != bb_buf_size(&content))
		return bb_err_set(err, BB_E_USAGE, "prompt file '%s' holds a NUL byte", file);
	return 0;
}

int config_check_task(const struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	if (args->rest != NULL && c->task != NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "a prompt and '-- COMMAND' exclude each other: the command runs "
				  "instead of the agent");
	if (!c->is_headless && c->task != NULL && strlen(c->task) > TASK_AS_ARGUMENT)
		return bb_err_set(
			err, BB_E_LIMIT,
			"a prompt of more than %d KiB needs --headless, or a file in --cwd",
			TASK_AS_ARGUMENT / 1024);
	if (c->is_headless && args->rest == NULL && (c->task == NULL || c->task[0] == '\0'))
		return bb_err_set(
			err, BB_E_USAGE,
			"--headless needs the agent's task: --prompt TEXT or --prompt-file "
			"FILE");
	return 0;
}
