/*
 * See launch.h. The monitor outlives this process: it runs in a session of its own with a scrubbed
 * environment, and is reached through its report socket until READY and through control.sock
 * afterwards. Closing the report socket before READY makes it undo everything.
 */
#include "cli/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/secret.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "role/monitor/plan.h"
#include "store/store.h"
#include "sys/spawn.h"

#define UNDO_MS 15000 /* the monitor's END_PARTS_MS and END_KEEPER_MS, and some */

/* What the monitor and its parts may know of the operator's environment. */
static const char *const kept_variables[] = {
	"PATH",           "HOME",
	"USER",           "LANG",
	"TMPDIR",         "XDG_RUNTIME_DIR",
	"XDG_CACHE_HOME", "BOT_BOTTLE_HOME",
	"BOT_BOTTLE_LOG", "ASAN_OPTIONS",
	"UBSAN_OPTIONS",  "XDG_DATA_HOME",
	"LOGNAME",        "XDG_CONFIG_HOME",
	"XDG_STATE_HOME", "BOT_BOTTLE_SMOLVM_AS_ROOT",
};

struct launching {
	const struct cli_config *config;
	int report; /* ours; -1 once closed */
	struct spawn_child monitor;
	uint8_t buffer[LIMIT_IPC_BODY + 64];
};

void cli_bottle_done(struct cli_bottle *b)
{
	free(b->identity);
	free(b->accelerator);
	memset(b, 0, sizeof(*b));
}

static char **scrubbed_environment(void)
{
	char **env = calloc(1, sizeof(*env));

	for (size_t i = 0; env != NULL && i < BB_ARRAY_LEN(kept_variables); i++) {
		const char *value = getenv(kept_variables[i]);

		if (value != NULL)
			(void)bb_strv_push(&env, bb_text_printf("%s=%s", kept_variables[i], value));
	}
	return env;
}

static int start_monitor(struct launching *l, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_path_sibling("bot-bottle-monitor", err);
	BB_AUTO_STRV char **env = scrubbed_environment();
	BB_AUTO_CLOSE int theirs = -1;
	char *argv[] = { path, NULL };
	struct spawn_fd fd = { .to = IPC_ROLE_FD };
	struct spawn_plan plan = { .path = path,
				   .argv = argv,
				   .envp = env,
				   .fds = &fd,
				   .fd_count = 1,
				   .new_session = true };
	int pair[2], r;

	if (path == NULL)
		return err->code;
	r = ipc_pair(pair);
	if (r < 0)
		return bb_err_set(err, r, "cannot make a socket: %s", bb_err_name(r));
	l->report = pair[0];
	theirs = pair[1];
	fd.from = theirs;
	return spawn_start(&plan, &l->monitor, err);
}

/* The host's certificate roots, for egress. SSL_CERT_FILE is what OpenSSL itself looks at. */
static const char *find_roots(void)
{
	static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt",
					      "/etc/pki/tls/certs/ca-bundle.crt",
					      "/etc/ssl/cert.pem" };
	const char *own = getenv("SSL_CERT_FILE");

	if (own != NULL && own[0] == '/')
		return own;
	for (size_t i = 0; i < BB_ARRAY_LEN(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

static int encode_plan(const struct cli_config *c, const char *identity, struct bb_buf *out,
		       struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf policy = { 0 };
	const char *accelerator = getenv("BOT_BOTTLE_ACCEL");
	BB_AUTO_FREE char *roots = NULL;
	struct monitor_plan plan = { 0 };
	int r;

	bb_buf_init(&policy, MONITOR_PLAN_MAX / 2);
	r = policy_encode(c->policy, &policy);
	if (r < 0)
		return bb_err_set(err, r, "the policy is too large");
	if (find_roots() != NULL)
		roots = strdup(find_roots());
	/* The struct owns its strings when decoded; here they are only read. */
	plan.identity = (char *)(uintptr_t)identity;
	plan.agent = c->agent->name;
	plan.bottle = c->bottle->name;
	plan.backend = (char *)(uintptr_t)c->backend;
	plan.image = (char *)(uintptr_t)c->image;
	plan.label = (char *)(uintptr_t)c->label;
	plan.color = (char *)(uintptr_t)c->color;
	plan.cwd = c->cwd;
	plan.resources = c->resources;
	plan.policy = bb_buf_peek(&policy);
	plan.env = c->env;
	plan.token_refs = c->token_refs;
	plan.ports = c->ports;
	plan.port_count = c->port_count;
	plan.is_headless = c->is_headless;
	plan.is_resumed = c->resumed != NULL;
	plan.agent_state = c->plan->state;
	plan.max_seconds = c->bottle->resources.max_seconds;
	plan.roots_path = roots;
	if (accelerator != NULL && accelerator[0] != '\0') {
		if (strcmp(accelerator, "kvm") != 0 && strcmp(accelerator, "tcg") != 0)
			return bb_err_set(err, BB_E_USAGE,
					  "BOT_BOTTLE_ACCEL is '%s'; it is kvm or tcg",
					  BB_ESCAPED(bb_view_str(accelerator)));
		plan.accelerator = (char *)(uintptr_t)accelerator;
	}
	bb_buf_init(out, MONITOR_PLAN_MAX);
	r = monitor_plan_encode(&plan, out);
	if (r < 0)
		return bb_err_set(err, BB_E_LIMIT, "the configuration is larger than %d KiB",
				  MONITOR_PLAN_MAX / 1024);
	return 0;
}

static int send_plan(struct launching *l, const char *identity, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf bytes = { 0 };
	BB_AUTO_CLOSE int fd = -1;
	int r = encode_plan(l->config, identity, &bytes, err);

	if (r < 0)
		return r;
	fd = bb_fd_sealed("launch-plan", bb_buf_peek(&bytes).p, bb_buf_size(&bytes));
	if (fd < 0)
		return bb_err_set(err, fd, "cannot make the launch plan: %s", bb_err_name(fd));
	r = ipc_send(l->report, IPC_LAUNCH_PLAN, 0, bb_view_of(NULL, 0), &fd, 1);
	return r < 0 ? bb_err_set(err, r, "the monitor ended at once") : 0;
}

/*
 * One token: environment -> pipe. The environment's own copy is wiped and the variable removed: the
 * value is nowhere in this process afterwards. (What /proc/PID/environ shows is that memory, too.)
 */
static int send_secret(struct launching *l, const char *name, struct bb_err *err)
{
	BB_AUTO_CLOSE int reader = -1, writer = -1;
	BB_AUTO_BUF struct bb_buf body = { 0 };
	char *value = getenv(name);
	int pipe_fds[2], r;
	size_t n;

	if (value == NULL || value[0] == '\0')
		return bb_err_set(err, BB_E_USAGE, "variable %s is not set", name);
	n = strlen(value);
	if (n > LIMIT_SECRET) /* a pipe holds it whole, so nobody has to read while this writes */
		return bb_err_set(err, BB_E_LIMIT, "variable %s is longer than %d KiB", name,
				  LIMIT_SECRET / 1024);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	reader = pipe_fds[0];
	writer = pipe_fds[1];
	r = bb_fd_write_all(writer, value, n);
	explicit_bzero(value, n);
	(void)unsetenv(name);
	if (r < 0)
		return bb_err_set(err, r, "cannot hand over %s: %s", name, bb_err_name(r));
	bb_buf_init(&body, 4096);
	if (bb_tlv_put_str(&body, 1, name) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = ipc_send(l->report, IPC_LAUNCH_SECRET, 0, bb_buf_peek(&body), &reader, 1);
	return r < 0 ? bb_err_set(err, r, "the monitor ended at once") : 0;
}

static int send_all(struct launching *l, const char *identity, struct bb_err *err)
{
	int r = send_plan(l, identity, err);

	for (size_t i = 0;
	     r == 0 && l->config->token_refs != NULL && l->config->token_refs[i] != NULL; i++)
		r = send_secret(l, l->config->token_refs[i], err);
	if (r == 0 && ipc_send(l->report, IPC_LAUNCH_GO, 0, bb_view_of(NULL, 0), NULL, 0) < 0)
		r = bb_err_set(err, BB_E_PART, "the monitor ended at once");
	return r;
}

static void get_text(struct bb_view body, uint16_t tag, char *dst, size_t cap)
{
	struct bb_view value;
	uint16_t got;

	dst[0] = '\0';
	while (bb_tlv_next(&body, &got, &value) > 0)
		if (got == tag && value.n < cap) {
			memcpy(dst, value.p, value.n);
			dst[value.n] = '\0';
		}
}

/* 1 when ready, 0 to go on, negative: failed. */
static int take_report(const struct ipc_message *m, struct cli_bottle *ret, struct bb_err *err)
{
	char text[8192], console[16384];

	get_text(m->body, 1, text, sizeof(text));
	switch (m->type) {
	case IPC_LAUNCH_STEP:
		if (isatty(STDERR_FILENO))
			cli_out_step(text);
		return 0;
	case IPC_LAUNCH_NOTE:
		cli_out_note("%s", text);
		return 0;
	case IPC_LAUNCH_READY:
		ret->accelerator = strdup(text);
		return ret->accelerator == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 1;
	case IPC_LAUNCH_FAILED:
		get_text(m->body, 2, console, sizeof(console));
		if (console[0] != '\0')
			cli_out_note("last lines of the guest's console:\n%s", console);
		return bb_err_set(err, BB_E_PART, "%s", text);
	default:
		return bb_err_set(err, -EPROTO, "the monitor sent message %u during the launch",
				  m->type);
	}
}

static int wait_ready(struct launching *l, struct cli_bottle *ret, struct bb_err *err)
{
	for (;;) {
		struct ipc_message m = { 0 };
		int r = cli_signals_wait(l->report, POLLIN, -1, err);

		if (r > 0)
			r = ipc_receive(l->report, l->buffer, &m, err);
		if (r == 0)
			return bb_err_set(err, BB_E_PART,
					  "the bottle's monitor ended without a word; see "
					  "'bot-bottle doctor'");
		if (r > 0)
			r = take_report(&m, ret, err);
		ipc_message_done(&m);
		if (r != 0 && r != -EAGAIN)
			return r < 0 ? r : 0;
	}
}

/* Undoes: the monitor notices that the report socket closed, and is killed when it does not go. */
static void undo(struct launching *l)
{
	int code = 0;

	if (isatty(STDERR_FILENO))
		cli_out_step("taking the launch back");
	if (l->report >= 0)
		(void)close(bb_take_fd(&l->report));
	if (l->monitor.pidfd >= 0)
		code = spawn_wait(&l->monitor, UNDO_MS);
	cli_out_step(NULL);
	if (code == MONITOR_EXIT_REMAINS)
		cli_out_note("%s", MONITOR_REMAINS);
}

int cli_launch(const struct cli_config *config, struct cli_bottle *ret, struct bb_err *err)
{
	BB_AUTO_FREE struct launching *l = calloc(1, sizeof(*l));
	struct cli_bottle b = { 0 };
	int r;

	if (l == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	l->config = config;
	l->report = -1;
	l->monitor.pidfd = -1;
	b.identity = config->resumed != NULL
			     ? strdup(config->resumed->identity)
			     : store_choose_identity(config->agent->name, config->label, err);
	if (b.identity == NULL)
		return err != NULL ? err->code : -ENOMEM;
	r = start_monitor(l, err);
	if (r == 0)
		r = send_all(l, b.identity, err);
	if (r == 0)
		r = wait_ready(l, &b, err);
	if (r < 0) {
		undo(l);
		cli_bottle_done(&b);
		return r;
	}
	cli_out_step(NULL);
	(void)close(l->report);
	(void)close(l->monitor.pidfd); /* it is on its own now */
	*ret = b;
	return 0;
}
