/*
 * Debian's docker-registry, with a configuration of ours: loopback only, a port of the kernel's
 * choice, storage in a directory that is thrown away. Its log is a file there: a pipe that nobody
 * empties while skopeo runs would stop it. What it says is an outsider's: looked through for one
 * line, shown escaped.
 */
#include "backend/smolmachines/registry.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/path.h"
#include "base/text.h"

#define REGISTRY_LISTEN_MS 20000
#define REGISTRY_STEP_MS   20
#define REGISTRY_STOP_MS   5000
#define REGISTRY_LOG_MAX   (256 * 1024) /* bytes looked through */
#define REGISTRY_WORDS_MAX 300
#define REGISTRY_LISTENS   "listening on 127.0.0.1:"

static int write_configuration(const char *dir, char **ret_path, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/registry.yml", dir);
	BB_AUTO_FREE char *text = bb_text_printf("version: 0.1\n"
						 "log:\n  level: info\n"
						 "storage:\n  filesystem:\n"
						 "    rootdirectory: '%s/registry'\n"
						 "http:\n  addr: 127.0.0.1:0\n",
						 dir);
	int r;

	if (path == NULL || text == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (strchr(dir, '\'') != NULL)
		return bb_err_set(err, -EINVAL, "directory '%s' has a quote in its name", dir);
	r = bb_path_write_atomic(path, text, strlen(text), 0600, err);
	if (r == 0)
		*ret_path = bb_take_ptr(&path);
	return r;
}

/* Zero: it does not say so yet. */
static uint16_t find_port(const char *log)
{
	const char *at = strstr(log, REGISTRY_LISTENS);
	uint64_t port = 0;
	size_t digits;

	if (at == NULL)
		return 0;
	at += strlen(REGISTRY_LISTENS);
	digits = strspn(at, "0123456789");
	/* A number at the end of what is there may go on. */
	if (at[digits] == '\0' || bb_num_parse_u64(bb_view_of(at, digits), 65535, &port) < 0)
		return 0;
	return (uint16_t)port;
}

static char *read_log(int fd)
{
	BB_AUTO_BUF struct bb_buf b = { .cap = REGISTRY_LOG_MAX };
	uint8_t chunk[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0 &&
	       bb_buf_append(&b, chunk, (size_t)n) == 0)
		at += n;
	return bb_buf_dup_str(&b);
}

static int registry_failed(const char *log, struct bb_err *err)
{
	struct bb_view v = bb_view_str(log == NULL ? "" : log);
	char shown[REGISTRY_WORDS_MAX * 4 + 8];

	if (v.n > REGISTRY_WORDS_MAX)
		v = bb_view_from(v, v.n - REGISTRY_WORDS_MAX);
	return bb_err_set(err, -EIO, "the registry on loopback ended at once: %s",
			  v.n == 0 ? "it said nothing"
				   : bb_text_escape(shown, sizeof(shown), v, REGISTRY_WORDS_MAX));
}

/* It has no other way to tell its port than to say it. */
static int wait_listening(const struct smolvm *vm, const struct registry *r, int log_fd,
			  uint16_t *ret_port, struct bb_err *err)
{
	uint64_t deadline_ms = bb_clock_ms() + REGISTRY_LISTEN_MS;

	for (;;) {
		struct pollfd fds[] = { { .fd = r->child.pidfd, .events = POLLIN },
					{ .fd = vm->interrupt_fd } };
		BB_AUTO_FREE char *log = NULL;
		int n = poll(fds, BB_ARRAY_LEN(fds), REGISTRY_STEP_MS);

		log = read_log(log_fd);
		if (log == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
		if (n > 0 && fds[1].revents != 0)
			return bb_err_set(err, -ECANCELED,
					  "interrupted while the registry started");
		if (n > 0 && fds[0].revents != 0)
			return registry_failed(log, err);
		*ret_port = find_port(log);
		if (*ret_port != 0)
			return 0;
		if (bb_clock_left_ms(deadline_ms) == 0)
			return bb_err_set(err, BB_E_DEADLINE,
					  "the registry on loopback does not listen after %d s",
					  REGISTRY_LISTEN_MS / 1000);
	}
}

static char **registry_argv(const char *configuration)
{
	BB_AUTO_STRV char **argv = NULL;

	if (bb_strv_push(&argv, strdup("docker-registry")) < 0 ||
	    bb_strv_push(&argv, strdup("serve")) < 0 ||
	    bb_strv_push(&argv, strdup(configuration)) < 0)
		return NULL;
	return bb_take_ptr(&argv);
}

int registry_start(const struct smolvm *vm, const char *dir, struct registry *ret,
		   struct bb_err *err)
{
	struct registry made = REGISTRY_NONE;
	BB_AUTO_FREE char *program = registry_program(vm);
	BB_AUTO_FREE char *configuration = NULL;
	BB_AUTO_FREE char *log = bb_text_printf("%s/registry.log", dir);
	const struct smolvm tool = { .path = program, .env = vm->env, .interrupt_fd = -1 };
	BB_AUTO_CLOSE int log_fd = -1;
	BB_AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	if (program == NULL || log == NULL || null_fd < 0)
		return bb_err_set(err, BB_E_MISSING, "the registry cannot be started");
	r = write_configuration(dir, &configuration, err);
	if (r < 0)
		return r;
	log_fd = open(log, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		return bb_err_errno(err, "'%s'", log);
	r = smolvm_spawn(&tool, registry_argv(configuration),
			 (const int[]){ null_fd, null_fd, log_fd }, &made.child, err);
	if (r == 0)
		r = wait_listening(vm, &made, log_fd, &made.port, err);
	if (r < 0) {
		registry_stop(&made);
		return r;
	}
	*ret = made;
	return 0;
}

void registry_stop(struct registry *r)
{
	if (r->child.pidfd < 0)
		return;
	spawn_kill(&r->child, SIGKILL); /* what it keeps is thrown away */
	(void)spawn_wait(&r->child, REGISTRY_STOP_MS);
	*r = (struct registry)REGISTRY_NONE;
}
