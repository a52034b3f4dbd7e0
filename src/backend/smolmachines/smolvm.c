/*
 * One child at a time. A child is over when its process is: a machine's process that was started by
 * it may still hold its pipes, so their end is not waited for.
 */
#include "backend/smolmachines/smolvm.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

#define VERSION_MS 15000
#define INPUT_MAX  4096 /* a pipe takes it whole */
#define WORDS_MAX  400

#define DROP_VARIABLE "SMOLVM_VM_UID_DROP"
#define DROP_OFF      "off"

/* What smolvm may know of the operator's environment. Nothing that begins with SMOLVM_ is here, and
 * no LD_*: they reach the machine's process and can loosen its policy. */
static const char *const kept_variables[] = {
	"PATH",          "USER",           "LOGNAME",         "LANG",           "TMPDIR",
	"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
};

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

static int push_variable(char ***env, const char *name, const char *value)
{
	return bb_strv_push(env, bb_text_printf("%s=%s", name, value));
}

const char *smolvm_own_environment(const char *name)
{
	return getenv(name);
}

char **smolvm_environment(smolvm_getenv *get)
{
	const char *home = get("HOME");
	const struct passwd *pw;
	BB_AUTO_STRV char **env = calloc(1, sizeof(*env));

	if (env == NULL)
		return NULL;
	/* Always said, so that every child and statedb_path() agree. */
	if (home == NULL || home[0] == '\0') {
		pw = getpwuid(getuid());
		home = pw == NULL ? NULL : pw->pw_dir;
	}
	if (home != NULL && push_variable(&env, "HOME", home) < 0)
		return NULL;
	for (size_t i = 0; i < BB_ARRAY_LEN(kept_variables); i++) {
		const char *value = get(kept_variables[i]);

		if (value != NULL && push_variable(&env, kept_variables[i], value) < 0)
			return NULL;
	}
	return bb_take_ptr(&env);
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *smolvm_search(const char *path_variable, const char *program)
{
	const char *p = path_variable == NULL ? "" : path_variable;

	while (*p != '\0') {
		size_t n = strcspn(p, ":");
		char *path = p[0] == '/' ? bb_text_printf("%.*s/%s", (int)n, p, program) : NULL;

		if (path != NULL && is_program(path))
			return path;
		free(path);
		p += n + (p[n] == ':');
	}
	return NULL;
}

int smolvm_open_at(char *path, char **env, struct smolvm *ret, struct bb_err *err)
{
	struct smolvm_result result = { 0 };
	BB_AUTO_FREE char *text = NULL;
	int r;

	*ret = (struct smolvm){ .path = path, .env = env, .interrupt_fd = -1 };
	if (path == NULL || env == NULL)
		return no_memory(err);
	r = smolvm_run_checked(ret, smolvm_argv_version(), VERSION_MS, &result, err);
	if (r == 0) {
		text = bb_buf_dup_str(&result.out);
		r = text == NULL ? no_memory(err) : smolvm_version_parse(text, &ret->version, err);
	}
	smolvm_result_done(&result);
	if (r < 0)
		return r;
	ret->quirks = smolvm_version_quirks(&ret->version);
	return smolvm_version_gate(&ret->version, &ret->mode, err);
}

/* The operator's own SMOLVM_* never get here: this one is passed on for a word of ours only. */
static int keep_root(smolvm_getenv *get, struct smolvm *vm, struct bb_err *err)
{
	const char *word = get(SMOLVM_AS_ROOT_VARIABLE);

	if (word == NULL || strcmp(word, "1") != 0 || geteuid() != 0 || !vm->quirks.drops_uid)
		return 0;
	return push_variable(&vm->env, DROP_VARIABLE, DROP_OFF) < 0 ? no_memory(err) : 0;
}

int smolvm_check_user(const struct smolvm *vm, uid_t uid, struct bb_err *err)
{
	const char *drop = smolvm_variable(vm, DROP_VARIABLE);

	if (uid != 0 || !vm->quirks.drops_uid || (drop != NULL && strcmp(drop, DROP_OFF) == 0))
		return 0;
	return bb_err_set(err, BB_E_REFUSED,
			  "run by root, smolvm %u.%u.%u gives each machine's process a user of its "
			  "own, which cannot reach the bottle's socket; run bot-bottle as an "
			  "ordinary user of group kvm, or set " SMOLVM_AS_ROOT_VARIABLE
			  "=1: the process then stays root",
			  vm->version.major, vm->version.minor, vm->version.patch);
}

int smolvm_open(smolvm_getenv *get, struct smolvm *ret, struct bb_err *err)
{
	char *path = smolvm_search(get("PATH"), "smolvm");
	int r;

	*ret = (struct smolvm){ .interrupt_fd = -1 };
	if (path == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "'smolvm' is not on PATH; install smolvm " SMOLVM_SOCKET_VERSION
				  " or later (docs/linux.md says how, with a checksum)");
	r = smolvm_open_at(path, smolvm_environment(get), ret, err);
	return r < 0 ? r : keep_root(get, ret, err);
}

const char *smolvm_variable(const struct smolvm *vm, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; vm->env[i] != NULL; i++)
		if (strncmp(vm->env[i], name, n) == 0 && vm->env[i][n] == '=')
			return vm->env[i] + n + 1;
	return NULL;
}

struct statepath_env smolvm_paths(const struct smolvm *vm)
{
	/* HOME is always in it where there is any; see smolvm_environment(). */
	return (struct statepath_env){ .os = STATEPATH_HERE,
				       .home = smolvm_variable(vm, "HOME"),
				       .xdg_data_home = smolvm_variable(vm, "XDG_DATA_HOME"),
				       .xdg_cache_home = smolvm_variable(vm, "XDG_CACHE_HOME") };
}

void smolvm_done(struct smolvm *vm)
{
	free(vm->path);
	bb_strv_free(vm->env);
	*vm = (struct smolvm){ .interrupt_fd = -1 };
}

void smolvm_result_done(struct smolvm_result *r)
{
	bb_buf_done(&r->out);
	bb_buf_done(&r->err);
}

/* Both ends of the three pipes of a child; [0] is read, [1] is written. */
struct pipes {
	int in[2], out[2], err[2];
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		(void)close(bb_take_fd(fd));
}

static void pipes_done(struct pipes *p)
{
	close_end(&p->in[0]);
	close_end(&p->in[1]);
	close_end(&p->out[0]);
	close_end(&p->out[1]);
	close_end(&p->err[0]);
	close_end(&p->err[1]);
}
#define AUTO_PIPES __attribute__((cleanup(pipes_done))) struct pipes

static int pipes_open(struct pipes *p, const struct bb_view *input, struct bb_err *err)
{
	if (input != NULL && input->n > INPUT_MAX)
		return bb_err_set(err, -E2BIG, "too much input for one smolvm command");
	if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ||
	    (input != NULL && pipe2(p->in, O_CLOEXEC) < 0))
		return bb_err_errno(err, "cannot make a pipe");
	if (bb_fd_set_nonblock(p->out[0], 1) < 0 || bb_fd_set_nonblock(p->err[0], 1) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	return 0;
}

/* Drops the first half of a full buffer: the end of what is said counts. */
static void make_room(struct bb_buf *b)
{
	if (bb_buf_room(b) == 0)
		bb_buf_consume(b, bb_buf_size(b) / 2);
}

/* Reads what is there. Output beyond the cap is read and dropped, so that the child goes on;
 * is_over says so. */
static void drain(int *fd, struct bb_buf *b, bool keeps_end, bool *is_over)
{
	uint8_t rest[4096];
	ssize_t n;

	do {
		if (keeps_end)
			make_room(b);
		n = bb_fd_read_some(*fd, b, sizeof(rest));
		if (n == -ENOBUFS) {
			*is_over = true;
			n = read(*fd, rest, sizeof(rest));
		}
	} while (n > 0);
	if (n == 0)
		close_end(fd);
}

/* Waits for the child's end: 0, or why it is not waited for any longer. */
static int watch(const struct smolvm *vm, const struct spawn_child *child, struct pipes *p,
		 uint64_t deadline_ms, struct smolvm_result *ret)
{
	bool is_over = false, is_done = false;

	while (!is_done) {
		struct pollfd fds[] = { { .fd = child->pidfd, .events = POLLIN },
					{ .fd = p->out[0], .events = POLLIN },
					{ .fd = p->err[0], .events = POLLIN },
					{ .fd = vm->interrupt_fd } };
		int left = bb_clock_left_ms(deadline_ms);

		if (left == 0)
			return BB_E_DEADLINE;
		if (poll(fds, BB_ARRAY_LEN(fds), left) < 0 && errno != EINTR)
			return -errno;
		if ((fds[3].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			return -ECANCELED;
		is_done = (fds[0].revents & POLLIN) != 0;
		if (p->out[0] >= 0)
			drain(&p->out[0], &ret->out, false, &is_over);
		if (p->err[0] >= 0)
			drain(&p->err[0], &ret->err, true, &is_over);
	}
	return is_over ? -EMSGSIZE : 0;
}

/* "smolvm create" of "smolvm machine create ...", "skopeo copy"; NULL: out of memory. */
static char *command_name(char *const *argv)
{
	const char *verb = argv[0] == NULL || argv[1] == NULL ? "" : argv[1];

	if (verb[0] != '\0' && argv[2] != NULL && argv[2][0] != '-')
		verb = argv[2];
	return bb_text_printf("%s %s", argv[0] == NULL ? "" : argv[0], verb);
}

static int watch_error(int r, char *const *argv, int timeout_ms, struct bb_err *err)
{
	BB_AUTO_FREE char *what = command_name(argv);

	if (r == BB_E_DEADLINE)
		return bb_err_set(err, r, "'%s' did not end within %d s", what, timeout_ms / 1000);
	if (r == -ECANCELED)
		return bb_err_set(err, r, "interrupted while '%s' ran", what);
	if (r == -EMSGSIZE)
		return bb_err_set(err, r, "'%s' printed more than %d bytes", what,
				  SMOLVM_OUTPUT_MAX);
	return bb_err_set(err, r, "cannot wait for '%s': %s", what, bb_err_name(r));
}

static int limited_ms(const struct smolvm *vm, int timeout_ms)
{
	int left = vm->deadline_ms == 0 ? timeout_ms : bb_clock_left_ms(vm->deadline_ms);

	return left < timeout_ms ? left : timeout_ms;
}

static int start_child(const struct smolvm *vm, char *const *argv, const struct pipes *p,
		       struct spawn_child *ret, struct bb_err *err)
{
	struct spawn_fd fds[3] = { { p->out[1], 1 }, { p->err[1], 2 }, { p->in[0], 0 } };
	const struct spawn_plan plan = {
		.path = vm->path,
		.argv = argv,
		.envp = vm->env,
		.fds = fds,
		.fd_count = p->in[0] >= 0 ? 3 : 2,
		.dies_with_parent = true,
		.new_session = true,
	};

	return spawn_start(&plan, ret, err);
}

int smolvm_run(const struct smolvm *vm, char **argv, const struct bb_view *input, int timeout_ms,
	       struct smolvm_result *ret, struct bb_err *err)
{
	BB_AUTO_STRV char **owned = argv;
	AUTO_PIPES p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct spawn_child child = { .pid = -1, .pidfd = -1 };
	uint64_t deadline_ms;
	int r;

	*ret = (struct smolvm_result){ 0 };
	bb_buf_init(&ret->out, SMOLVM_OUTPUT_MAX);
	bb_buf_init(&ret->err, SMOLVM_ERROR_MAX);
	if (owned == NULL)
		return no_memory(err);
	timeout_ms = limited_ms(vm, timeout_ms);
	if (timeout_ms == 0)
		return watch_error(BB_E_DEADLINE, owned, timeout_ms, err);
	deadline_ms = bb_clock_ms() + (uint64_t)timeout_ms;
	r = pipes_open(&p, input, err);
	if (r == 0)
		r = start_child(vm, owned, &p, &child, err);
	if (r < 0)
		return r;
	close_end(&p.in[0]);
	close_end(&p.out[1]);
	close_end(&p.err[1]);
	if (input != NULL)
		(void)bb_fd_write_all(p.in[1], input->p, input->n); /* who does not read it fails */
	close_end(&p.in[1]);
	r = watch(vm, &child, &p, deadline_ms, ret);
	if (r < 0)
		spawn_kill(&child, SIGKILL);
	ret->code = spawn_wait(&child, VERSION_MS); /* ended, or was killed */
	return r < 0 ? watch_error(r, owned, timeout_ms, err) : 0;
}

/* The last of standard error, else of standard output, on one line. */
char *smolvm_words(const struct smolvm_result *r)
{
	const struct bb_buf *b = bb_buf_size(&r->err) > 0 ? &r->err : &r->out;
	struct bb_view v = bb_buf_peek(b);
	char shown[WORDS_MAX * 4 + 8];
	BB_AUTO_FREE char *text = NULL;

	while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == ' '))
		v.n--;
	if (v.n > WORDS_MAX)
		v = bb_view_from(v, v.n - WORDS_MAX);
	text = v.n == 0 ? strdup("no word") : strndup((const char *)v.p, v.n);
	for (char *c = text; c != NULL && *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	return text == NULL
		       ? NULL
		       : strdup(bb_text_escape(shown, sizeof(shown), bb_view_str(text), WORDS_MAX));
}

int smolvm_run_checked(const struct smolvm *vm, char **argv, int timeout_ms,
		       struct smolvm_result *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *what = argv == NULL ? NULL : command_name(argv);
	BB_AUTO_FREE char *words = NULL;
	int r;

	r = smolvm_run(vm, argv, NULL, timeout_ms, ret, err);
	if (r < 0 || ret->code == 0)
		return r;
	words = smolvm_words(ret);
	return bb_err_set(err, -EIO, "'%s' failed with code %d: %s", what == NULL ? "?" : what,
			  ret->code, words == NULL ? "?" : words);
}

int smolvm_spawn(const struct smolvm *vm, char **argv, const int fds[3], struct spawn_child *ret,
		 struct bb_err *err)
{
	BB_AUTO_STRV char **owned = argv;
	const struct spawn_fd placed[] = { { fds[0], 0 }, { fds[1], 1 }, { fds[2], 2 } };
	const struct spawn_plan plan = {
		.path = vm->path,
		.argv = owned,
		.envp = vm->env,
		.fds = placed,
		.fd_count = BB_ARRAY_LEN(placed),
		.dies_with_parent = true,
		.new_session = true,
	};

	return owned == NULL ? no_memory(err) : spawn_start(&plan, ret, err);
}
