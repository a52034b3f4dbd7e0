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
#include "cli/signals.h"
#include "mux/proto.h"
#include "store/store.h"
#include "term/term.h"

#define CHUNK     65536
#define FRAMES    (2 * (LIMIT_PROTO_FRAME + PROTO_FRAME_HEAD))
#define SHOW_CAP  (4 * LIMIT_PROTO_FRAME)
#define FOLLOW_MS 200 /* between two looks at a log that is followed */

static const struct cli_option options[] = {
	{ "follow", 'f', CLI_FLAG, NULL, CLI_WORD_ANY, "go on until the bottle has ended" },
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

/* What a log is read from: to its end, or on until the bottle has ended. */
struct source {
	int fd;
	const char *identity;
	bool is_followed;
};

/* Bytes read, 0 at the end, or negative. A log that is followed is looked at again and again: who
 * writes it knows nothing of its readers. */
static ssize_t read_more(const struct source *from, void *bytes, size_t n, struct bb_err *err)
{
	for (;;) {
		bool is_alive = from->is_followed && store_is_alive(from->identity);
		ssize_t got = read(from->fd, bytes, n);
		int r;

		if (got < 0)
			return bb_err_errno(err, "cannot read the log");
		if (got > 0 || !is_alive) /* asked first: the last bytes come before the end */
			return got;
		r = cli_signals_wait(-1, 0, FOLLOW_MS, err);
		if (r < 0)
			return r;
	}
}

static int show_plain(const struct source *from, struct shower *s, struct bb_err *err)
{
	static uint8_t bytes[CHUNK];
	ssize_t n;

	while ((n = read_more(from, bytes, sizeof(bytes), err)) > 0) {
		int r = show(s, bb_view_of(bytes, (size_t)n), err);

		if (r < 0)
			return r;
	}
	return (int)n;
}

static int show_whole_frames(struct bb_buf *frames, struct shower *out, struct shower *errors,
			     struct bb_err *err)
{
	struct proto_frame f;
	int used, r = 0;

	while ((used = proto_get_frame(bb_buf_peek(frames), &f, err)) > 0) {
		if (f.type == EXEC_STDOUT)
			r = show(out, f.body, err);
		else if (f.type == EXEC_STDERR)
			r = show(errors, f.body, err);
		if (r < 0)
			return r;
		bb_buf_consume(frames, (size_t)used);
	}
	return used;
}

/* The session's log is the frames that the guest sent; a cut last one is no error. */
static int show_frames(const struct source *from, struct shower *out, struct shower *errors,
		       struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf frames = { 0 };
	static uint8_t bytes[CHUNK];
	ssize_t n;

	bb_buf_init(&frames, FRAMES);
	while ((n = read_more(from, bytes, sizeof(bytes), err)) > 0) {
		int r = bb_buf_append(&frames, bytes, (size_t)n);

		r = r < 0 ? bb_err_set(err, r, "out of memory")
			  : show_whole_frames(&frames, out, errors, err);
		if (r < 0)
			return r;
	}
	return (int)n;
}

static void shower_init(struct shower *s, int fd, bool is_plain)
{
	s->fd = fd;
	s->is_filtered = isatty(fd);
	term_filter_init(&s->filter, is_plain);
}

static const char *log_name(const struct cli_args *args)
{
	return cli_args_has(args, "console")  ? "console.log"
	       : cli_args_has(args, "audit")  ? "audit.jsonl"
	       : cli_args_has(args, "bundle") ? "monitor.log"
					      : "session.log";
}

/* The descriptor. A log that is followed may not be there yet. */
static int open_log(const char *identity, const char *name, bool is_followed, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_state_dir(identity, err);
	BB_AUTO_FREE char *path = dir == NULL ? NULL : bb_text_printf("%s/%s", dir, name);
	int fd, r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	while ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0) {
		if (errno != ENOENT)
			return bb_err_errno(err, "cannot read '%s'", path);
		if (!is_followed || !store_is_alive(identity))
			return bb_err_set(err, BB_E_USAGE, "'%s' has no %s%s", identity, name,
					  is_followed ? "" : " yet");
		r = cli_signals_wait(-1, 0, FOLLOW_MS, err);
		if (r < 0)
			return r;
	}
	return fd;
}

static int show_log(const char *identity, const struct cli_args *args, struct bb_err *err)
{
	const char *name = log_name(args);
	bool is_session = strcmp(name, "session.log") == 0;
	struct source from = { .identity = identity, .is_followed = cli_args_has(args, "follow") };
	BB_AUTO_CLOSE int fd = open_log(identity, name, from.is_followed, err);
	struct shower out, errors;
	int r;

	if (fd < 0)
		return fd;
	from.fd = fd;
	shower_init(&out, STDOUT_FILENO, !is_session);
	shower_init(&errors, STDERR_FILENO, false);
	r = is_session ? show_frames(&from, &out, &errors, err) : show_plain(&from, &out, err);
	show_end(&out);
	if (is_session)
		show_end(&errors);
	return r;
}

static int run_logs(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *identity = cli_control_resolve(args->operands[0], &err);
	int r = identity == NULL ? err.code : 0;

	if (r == 0 && cli_args_has(args, "follow"))
		r = cli_signals_open(&err);
	if (r == 0)
		r = show_log(identity, args, &err);
	if (r == -EINTR)
		return CLI_EXIT_INTERRUPT; /* how a log that is followed is left */
	return r < 0 ? cli_out_fail(&err) : 0;
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
