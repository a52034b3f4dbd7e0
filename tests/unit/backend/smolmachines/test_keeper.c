/*
 * backend/smolmachines/keeper.c: the order. The steps themselves are replaced (--wrap) by ones that
 * note that they ran and do what a test says: what was taken is released in reverse order, however
 * a launch ends.
 */
#include "../../unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/smolmachines/files.h"
#include "backend/smolmachines/keeper.h"
#include "backend/smolmachines/steps.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"

enum step { PREPARE, ALLOCATE, MINT, BUNDLE, DISCOVER, LAUNCH, INIT, NONE };
static const char *const names[] = { "prepare",  "allocate", "mint", "bundle",
				     "discover", "launch",   "init" };

static char notes[512];
static int monitor;        /* the test's end of the link */
static enum step fails_at; /* returns an error */
static enum step hangs_at; /* the monitor is gone when it has run */
static bool stays;         /* the machine cannot be removed */
static bool was_gone;      /* what release_resources was told */

static void note(const char *sign, const char *name)
{
	size_t n = strlen(notes);

	(void)snprintf(notes + n, sizeof(notes) - n, "%s%s ", sign, name);
}

static int step(enum step which, struct bb_err *err)
{
	note("", names[which]);
	if (hangs_at == which && monitor >= 0) {
		(void)close(monitor);
		monitor = -1;
	}
	return fails_at == which ? bb_err_set(err, -EIO, "it broke") : 0;
}

int __wrap_smolvm_open(smolvm_getenv *get, struct smolvm *ret, struct bb_err *err);
int __wrap_smolvm_open(smolvm_getenv *get, struct smolvm *ret, struct bb_err *err)
{
	(void)get;
	(void)err;
	*ret = (struct smolvm){ .env = calloc(1, sizeof(*ret->env)),
				.mode = SMOLVM_SOCKET,
				.interrupt_fd = -1 };
	return 0;
}

int __wrap_files_find(const struct smolvm *vm, struct keeper_plan *plan, struct bb_err *err);
int __wrap_files_find(const struct smolvm *vm, struct keeper_plan *plan, struct bb_err *err)
{
	(void)vm;
	(void)plan;
	return step(PREPARE, err);
}

char *__wrap_smol_record_dir(struct bb_err *err);
char *__wrap_smol_record_dir(struct bb_err *err)
{
	(void)err;
	return strdup("/nowhere");
}

int __wrap_smol_step_allocate(const struct smolvm *vm, const struct keeper_plan *plan,
			      const struct smol_dirs *dirs, struct smol_resources *ret,
			      struct bb_err *err);
int __wrap_smol_step_allocate(const struct smolvm *vm, const struct keeper_plan *plan,
			      const struct smol_dirs *dirs, struct smol_resources *ret,
			      struct bb_err *err)
{
	(void)vm;
	(void)plan;
	(void)dirs;
	(void)ret;
	return step(ALLOCATE, err);
}

int __wrap_smol_step_mint(int link_fd, int timeout_ms, struct smol_certificate *ret,
			  struct bb_err *err);
int __wrap_smol_step_mint(int link_fd, int timeout_ms, struct smol_certificate *ret,
			  struct bb_err *err)
{
	(void)link_fd;
	(void)timeout_ms;
	(void)ret;
	return step(MINT, err);
}

int __wrap_smol_step_bundle(enum smolvm_mode mode, const struct smol_resources *resources,
			    int (*enter)(struct bb_err *err), struct smol_bundle *ret,
			    struct bb_err *err);
int __wrap_smol_step_bundle(enum smolvm_mode mode, const struct smol_resources *resources,
			    int (*enter)(struct bb_err *err), struct smol_bundle *ret,
			    struct bb_err *err)
{
	(void)mode;
	(void)resources;
	(void)enter;
	ret->stream_fd = eventfd(0, EFD_CLOEXEC); /* any descriptor: it is handed over */
	return step(BUNDLE, err);
}

int __wrap_smol_step_discover(enum smolvm_mode mode, const struct smol_bundle *bundle,
			      const struct smol_resources *resources, struct smol_urls *ret,
			      struct bb_err *err);
int __wrap_smol_step_discover(enum smolvm_mode mode, const struct smol_bundle *bundle,
			      const struct smol_resources *resources, struct smol_urls *ret,
			      struct bb_err *err)
{
	(void)mode;
	(void)bundle;
	(void)resources;
	(void)ret;
	return step(DISCOVER, err);
}

int __wrap_smol_step_launch(const struct smolvm *vm, const struct keeper_plan *plan,
			    const struct smol_resources *resources, struct smol_machine *ret,
			    struct bb_err *err);
int __wrap_smol_step_launch(const struct smolvm *vm, const struct keeper_plan *plan,
			    const struct smol_resources *resources, struct smol_machine *ret,
			    struct bb_err *err)
{
	(void)vm;
	(void)plan;
	(void)resources;
	ret->pidfd = eventfd(1, EFD_CLOEXEC); /* readable: a machine that ends at once */
	return step(LAUNCH, err);
}

int __wrap_smol_step_init(const struct smolvm *vm, const struct smol_resources *resources,
			  const struct smol_urls *urls, int console_fd, struct smol_guest *ret,
			  struct bb_err *err);
int __wrap_smol_step_init(const struct smolvm *vm, const struct smol_resources *resources,
			  const struct smol_urls *urls, int console_fd, struct smol_guest *ret,
			  struct bb_err *err)
{
	(void)vm;
	(void)resources;
	(void)urls;
	(void)console_fd;
	(void)ret;
	return step(INIT, err);
}

void __wrap_smol_release_resources(struct smol_resources *r, bool is_gone);
void __wrap_smol_release_resources(struct smol_resources *r, bool is_gone)
{
	(void)r;
	was_gone = is_gone;
	note("-", names[ALLOCATE]);
}

void __wrap_smol_release_certificate(struct smol_certificate *c);
void __wrap_smol_release_certificate(struct smol_certificate *c)
{
	(void)c;
	note("-", names[MINT]);
}

void __wrap_smol_release_bundle(struct smol_bundle *b);
void __wrap_smol_release_bundle(struct smol_bundle *b)
{
	if (b->stream_fd >= 0)
		(void)close(b->stream_fd);
	note("-", names[BUNDLE]);
}

void __wrap_smol_release_urls(struct smol_urls *u);
void __wrap_smol_release_urls(struct smol_urls *u)
{
	(void)u;
	note("-", names[DISCOVER]);
}

int __wrap_smol_release_machine(const struct smolvm *vm, const struct smol_resources *resources,
				struct smol_machine *m, struct bb_err *err);
int __wrap_smol_release_machine(const struct smolvm *vm, const struct smol_resources *resources,
				struct smol_machine *m, struct bb_err *err)
{
	(void)vm;
	(void)resources;
	if (m->pidfd >= 0)
		(void)close(m->pidfd);
	note("-", names[LAUNCH]);
	return stays ? bb_err_set(err, -EIO, "the machine stays") : 0;
}

void __wrap_smol_release_guest(struct smol_guest *g);
void __wrap_smol_release_guest(struct smol_guest *g)
{
	(void)g;
	note("-", names[INIT]);
}

static void send_plan(void)
{
	char identity[] = "dev-ab12c", image[] = "base", run_dir[] = "/run/dev-ab12c";
	const struct keeper_plan plan = { .identity = identity,
					  .image = image,
					  .run_dir = run_dir,
					  .resources = {
						  .cpus = 1, .memory_bytes = 1, .pids = 1 } };
	struct bb_buf body;

	bb_buf_init(&body, KEEPER_PLAN_MAX);
	assert_int_equal(keeper_plan_encode(&plan, &body), 0);
	assert_int_equal(ipc_send(monitor, IPC_KEEPER_PLAN, 0, bb_buf_peek(&body), NULL, 0), 0);
	bb_buf_done(&body);
}

/* What the monitor has to say is in the link before: the keeper finds it when it asks. */
static int run(void)
{
	int pair[2], code;

	notes[0] = '\0';
	assert_int_equal(ipc_pair(pair), 0);
	monitor = pair[0];
	send_plan();
	assert_int_equal(ipc_send(monitor, IPC_KEEPER_LAUNCH, 0, bb_view_of(NULL, 0), NULL, 0), 0);
	code = keeper_run(pair[1], -1);
	(void)close(pair[1]);
	return code;
}

/* The last text of this type that the keeper sent, or "". */
static void last_text(uint16_t type, char *dst, size_t cap)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct ipc_message m = { 0 };

	dst[0] = '\0';
	while (monitor >= 0 && ipc_receive_wait(monitor, buffer, 0, &m, NULL) > 0) {
		struct bb_view v;
		uint16_t tag;

		if (m.type == type && bb_tlv_next(&m.body, &tag, &v) > 0)
			(void)snprintf(dst, cap, "%.*s", BB_VIEW_ARG(v));
		ipc_message_done(&m);
	}
}

static int set_up(void **state)
{
	(void)state;
	fails_at = hangs_at = NONE;
	stays = false;
	was_gone = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (monitor >= 0)
		(void)close(monitor);
	monitor = -1;
	return 0;
}

#define ALL_RELEASED "-init -launch -discover -bundle -mint -allocate "

static void expect_notes(enum step last)
{
	char want[512] = "";

	for (int i = PREPARE; i <= (int)last; i++)
		(void)snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s ", names[i]);
	(void)snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s", ALL_RELEASED);
	assert_string_equal(notes, want);
}

static void six_steps_in_order_and_back_when_the_machine_ends(void **state)
{
	char text[128];

	(void)state;
	assert_int_equal(run(), 0);
	expect_notes(INIT);
	assert_true(was_gone);
	last_text(IPC_KEEPER_STARTED, text, sizeof(text));
	assert_non_null(strstr(text, "socket mode"));
}

static void a_step_that_fails_releases_what_was_taken_in_reverse(void **state)
{
	(void)state;
	for (int i = PREPARE; i <= INIT; i++) {
		char text[128], want[128];

		fails_at = (enum step)i;
		assert_int_equal(run(), 1);
		expect_notes((enum step)i);
		assert_true(was_gone);
		(void)snprintf(want, sizeof(want), "%s%sit broke", i == PREPARE ? "" : names[i],
			       i == PREPARE ? "" : ": ");
		last_text(IPC_KEEPER_FAILED, text, sizeof(text));
		assert_string_equal(text, want);
		(void)tear_down(NULL);
	}
}

static void an_interrupted_step_is_the_last_and_all_is_released_in_reverse(void **state)
{
	(void)state;
	for (int i = PREPARE; i <= INIT; i++) {
		hangs_at = (enum step)i;
		assert_int_equal(run(), i == INIT ? 0 : 1);
		expect_notes((enum step)i);
		(void)tear_down(NULL);
	}
}

static void a_machine_that_stays_keeps_its_record(void **state)
{
	(void)state;
	stays = true;
	assert_int_equal(run(), KEEPER_EXIT_LEFT);
	expect_notes(INIT);
	assert_false(was_gone);
	(void)tear_down(NULL);
	fails_at = LAUNCH;
	assert_int_equal(run(), KEEPER_EXIT_LEFT);
	assert_false(was_gone);
}

/* No plan, one that is cut, and a message out of turn. */
static void a_monitor_that_says_something_else_is_refused(void **state)
{
	static const uint16_t types[] = { IPC_KEEPER_LAUNCH, IPC_KEEPER_PLAN };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		int pair[2];

		notes[0] = '\0';
		assert_int_equal(ipc_pair(pair), 0);
		monitor = pair[0];
		assert_int_equal(ipc_send(monitor, types[i], 0, bb_view_of(NULL, 0), NULL, 0), 0);
		assert_int_equal(keeper_run(pair[1], -1), 1);
		assert_string_equal(notes, ALL_RELEASED);
		last_text(IPC_KEEPER_FAILED, text, sizeof(text));
		assert_string_not_equal(text, "");
		(void)close(pair[1]);
		(void)tear_down(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(six_steps_in_order_and_back_when_the_machine_ends,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_step_that_fails_releases_what_was_taken_in_reverse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interrupted_step_is_the_last_and_all_is_released_in_reverse, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_machine_that_stays_keeps_its_record, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_monitor_that_says_something_else_is_refused,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
