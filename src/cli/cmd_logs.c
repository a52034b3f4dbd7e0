/* `bot-bottle logs`: what the agent's session, the guest's console and the bundle wrote. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/out.h"
#include "mux/proto.h"
#include "store/store.h"
#include "term/term.h"

#define CHUNK    65536
#define FRAMES   (2 * (LIMIT_PROTO_FRAME + PROTO_FRAME_HEAD))
#define SHOW_CAP (4 * LIMIT_PROTO_FRAME)

static const struct cli_option options[] = {
	{ "console", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "the guest's console instead" },
	{ "audit", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "one JSON record per egress verdict instead" },
	{ "bundle", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "what the host's processes of it wrote instead" },
};

struct shower {
	int fd;
	bool is_filtered;
	struct term_filter filter;
};

static int show(struct shower *s, struct bb_view v, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	int r;

	if (!s->is_filtered) {
		r = bb_fd_write_all(s->fd, v.p, v.n);
	} else {
		bb_buf_init(&out, SHOW_CAP);
		r = term_filter_feed(&s->filter, v, &out);
		if (r == 0)
			r = bb_fd_write_all(s->fd, bb_buf_peek(&out).p, bb_buf_size(&out));
	}
	return r < 0 ? bb_err_set(err, r, "cannot write: %s", bb_err_name(r)) : 0;
}

static void show_end(struct shower *s)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	if (!s->is_filtered)
		return;
	bb_buf_init(&out, SHOW_CAP);
	if (term_filter_finish(&s->filter, &out) == 0 && bb_buf_size(&out) > 0)
		(void)bb_fd_write_all(s->fd, bb_buf_peek(&out).p, bb_buf_size(&out));
}

static int show_plain(int fd, struct shower *s, struct bb_err *err)
{
	static uint8_t bytes[CHUNK];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		int r = show(s, bb_view_of(bytes, (size_t)n), err);

		if (r < 0)
			return r;
	}
	return n < 0 ? bb_err_errno(err, "cannot read the log") : 0;
}

/* The session's log is the frames that the guest sent; a cut last one is no error. */
static int show_frames(int fd, struct shower *out, struct shower *errors, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf frames = { 0 };
	ssize_t n = 1;

	bb_buf_init(&frames, FRAMES);
	while (n > 0) {
		struct proto_frame f;
		int used, r = 0;

		while ((used = proto_get_frame(bb_buf_peek(&frames), &f, err)) > 0) {
			if (f.type == EXEC_STDOUT)
				r = show(out, f.body, err);
			else if (f.type == EXEC_STDERR)
				r = show(errors, f.body, err);
			if (r < 0)
				return r;
			bb_buf_consume(&frames, (size_t)used);
		}
		if (used < 0)
			return used;
		n = bb_fd_read_some(fd, &frames, CHUNK);
	}
	return n < 0 ? bb_err_set(err, (int)n, "cannot read the log: %s", bb_err_name((int)n)) : 0;
}

static void shower_init(struct shower *s, int fd, bool is_plain)
{
	s->fd = fd;
	s->is_filtered = isatty(fd);
	term_filter_init(&s->filter, is_plain);
}

static int show_log(const char *identity, const struct cli_args *args, struct bb_err *err)
{
	const char *name = cli_args_has(args, "console")  ? "console.log"
			   : cli_args_has(args, "audit")  ? "audit.jsonl"
			   : cli_args_has(args, "bundle") ? "monitor.log"
							  : "session.log";
	bool is_session = strcmp(name, "session.log") == 0;
	BB_AUTO_FREE char *dir = store_state_dir(identity, err);
	BB_AUTO_FREE char *path = dir == NULL ? NULL : bb_text_printf("%s/%s", dir, name);
	BB_AUTO_CLOSE int fd = -1;
	struct shower out, errors;
	int r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return bb_err_set(err, BB_E_USAGE, "'%s' has no %s yet", identity, name);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	shower_init(&out, STDOUT_FILENO, !is_session);
	shower_init(&errors, STDERR_FILENO, false);
	r = is_session ? show_frames(fd, &out, &errors, err) : show_plain(fd, &out, err);
	show_end(&out);
	if (is_session)
		show_end(&errors);
	return r;
}

static int run_logs(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *identity = cli_control_resolve(args->operands[0], &err);

	if (identity == NULL || show_log(identity, args, &err) < 0)
		return cli_out_fail(&err);
	return 0;
}

const struct cli_command cli_logs = {
	.name = "logs",
	.operands = "ID",
	.summary = "Show what a bottle's session wrote",
	.about = "On a terminal only sequences that draw pass; a file or a pipe gets the bytes as "
		 "they "
		 "are.",
	CLI_OPTIONS(options),
	.operands_min = 1,
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.run = run_logs,
};
