/*
 * Is the machine ready for commands? smolvm's channel answers before it works: the first commands
 * of 0.8.x die with 137 or answer garbage while the container is set up. So a command that prints a
 * fresh token is run until exactly that token comes back.
 */
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "backend/smolmachines/smolvm.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define FIRST_WAIT_MS 20
#define LAST_WAIT_MS  1000
#define ATTEMPT_S     10
#define TOKEN_BYTES   16

struct attempt {
	char token[TOKEN_BYTES * 2 + 1];
	char last[256]; /* why the last one was none */
};

static int make_token(char *dst, struct bb_err *err)
{
	uint8_t bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return bb_err_errno(err, "cannot get random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(dst + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* 1: ready, 0: not yet, negative: interrupted. */
static int try_once(const struct smolvm *vm, const char *name, int left_ms, struct attempt *a,
		    struct bb_err *err)
{
	char echo[] = "echo";
	char *const command[] = { echo, a->token, NULL };
	int limit_ms = left_ms < ATTEMPT_S * 1000 ? left_ms : ATTEMPT_S * 1000;
	struct smolvm_result result;
	BB_AUTO_FREE char *words = NULL;
	struct bb_err why = { 0 };
	struct bb_view out;
	int r = smolvm_run(vm, smolvm_argv_exec(name, false, ATTEMPT_S, command), NULL, limit_ms,
			   &result, &why);

	out = bb_buf_peek(&result.out);
	if (r == 0 && result.code == 0 && out.n == strlen(a->token) + 1 &&
	    memcmp(out.p, a->token, out.n - 1) == 0 && out.p[out.n - 1] == '\n') {
		smolvm_result_done(&result);
		return 1;
	}
	words = smolvm_words(&result);
	smolvm_result_done(&result);
	if (r == -ECANCELED)
		return bb_err_set(err, r, "%s", why.msg);
	if (r < 0)
		(void)snprintf(a->last, sizeof(a->last), "%.250s", why.msg);
	else
		(void)snprintf(a->last, sizeof(a->last), "code %d and '%.200s'", result.code,
			       words == NULL ? "?" : words);
	return 0;
}

/* The machine's state word; has_ended when no command will ever run again. */
static const char *look(const struct smolvm *vm, const char *name, bool *ret_ended)
{
	struct smolvm_status status = { .state = SMOLVM_OTHER };
	int r = smolvm_status(vm, name, &status, NULL);

	*ret_ended = r == -ENOENT ||
		     (r == 0 && (status.state == SMOLVM_STOPPED || status.state == SMOLVM_FAILED));
	return r == -ENOENT ? "gone" : r < 0 ? "not known" : smolvm_state_names[status.state];
}

static int give_up(const struct smolvm *vm, const char *name, const struct attempt *a,
		   const char *state, int code, const char *what, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = NULL;
	BB_AUTO_FREE char *console = NULL;

	(void)smolvm_data_dir(vm, name, &dir, NULL); /* without it there are no console lines */
	console = smolvm_console_tail(dir);
	return bb_err_set(err, code, "machine '%s' %s; last answer: %s; state: %s; console: %s",
			  name, what, a->last, state,
			  console == NULL || console[0] == '\0' ? "empty" : console);
}

/* Waits, or returns at once when the launch is interrupted. */
static void back_off(const struct smolvm *vm, int ms)
{
	struct pollfd p = { .fd = vm->interrupt_fd };

	(void)poll(&p, 1, ms); /* cut short: only tried sooner */
}

int wait_exec_ready(const struct smolvm *vm, const char *name, int timeout_ms, struct bb_err *err)
{
	uint64_t deadline_ms = bb_clock_ms() + (uint64_t)timeout_ms;
	struct attempt a = { .last = "none" };
	int wait_ms = FIRST_WAIT_MS;
	char what[64];
	int r;

	r = make_token(a.token, err);
	while (r == 0) {
		int left = bb_clock_left_ms(deadline_ms);
		const char *state;
		bool has_ended;

		if (left > 0)
			r = try_once(vm, name, left, &a, err);
		if (r != 0)
			break;
		state = look(vm, name, &has_ended);
		if (has_ended)
			return give_up(vm, name, &a, state, BB_E_GUEST,
				       "ended before it ran a command", err);
		left = bb_clock_left_ms(deadline_ms);
		if (left == 0) {
			(void)snprintf(what, sizeof(what), "ran no command within %d s",
				       timeout_ms / 1000);
			return give_up(vm, name, &a, state, BB_E_DEADLINE, what, err);
		}
		back_off(vm, wait_ms < left ? wait_ms : left);
		wait_ms = wait_ms * 2 < LAST_WAIT_MS ? wait_ms * 2 : LAST_WAIT_MS;
	}
	return r < 0 ? r : 0;
}
