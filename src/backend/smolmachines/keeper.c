/*
 * The six steps as one table, run forwards and released backwards. The link to the monitor is the
 * hand on all of it: when it hangs up, whatever runs is ended and everything is released, in the
 * middle of a step as well as in the bottle's life.
 */
#include "backend/smolmachines/keeper.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "backend/smolmachines/files.h"
#include "backend/smolmachines/steps.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "sys/netns.h"

#define PLAN_MS   10000
#define MINT_MS   60000
#define BUNDLE_MS 60000

struct keeper {
	int link_fd, console_fd;
	struct keeper_plan plan;
	struct smolvm vm;
	char *records, *aliases;
	struct smol_resources resources;
	struct smol_certificate certificate;
	struct smol_bundle bundle;
	struct smol_urls urls;
	struct smol_machine machine;
	struct smol_guest guest;
	bool is_left;       /* the machine could not be removed: its record stays */
	struct bb_err left; /* why */
};

static uint8_t receive_buffer[LIMIT_IPC_BODY];

/* For the signal's handler: hanging up our own end is what an interruption is. */
static int interrupted_link = -1;

static void on_terminate(int signal)
{
	(void)signal;
	(void)shutdown(interrupted_link, SHUT_RDWR); /* async-signal-safe */
}

/* A monitor that is gone is noticed by the next look at the link. */
static void say(const struct keeper *k, uint16_t type, const char *text)
{
	BB_AUTO_BUF struct bb_buf body;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (bb_tlv_put_str(&body, 1, text) == 0)
		(void)ipc_send(k->link_fd, type, 0, bb_buf_peek(&body), NULL, 0);
}

static int refuse_message(const struct ipc_message *m, struct bb_err *err)
{
	return bb_err_set(err, -EPROTO, "the monitor sent message %u at the wrong time", m->type);
}

/* A message of this type and without descriptors; its body stays in the buffer. */
static int receive(const struct keeper *k, uint16_t type, int timeout_ms, struct bb_view *ret,
		   struct bb_err *err)
{
	struct ipc_message m = { 0 };
	int r = ipc_receive_wait(k->link_fd, receive_buffer, timeout_ms, &m, err);

	if (r == 0)
		return bb_err_set(err, -ECANCELED, "the launch was interrupted");
	if (r == -ETIMEDOUT)
		return bb_err_set(err, BB_E_DEADLINE, "the monitor did not answer in time");
	if (r < 0)
		return r;
	r = m.type == type && m.fd_count == 0 ? 0 : refuse_message(&m, err);
	*ret = m.body;
	ipc_message_done(&m);
	return r;
}

static int step_allocate(struct keeper *k, struct bb_err *err)
{
	const struct smol_dirs dirs = { k->records, k->aliases };

	return smol_step_allocate(&k->vm, &k->plan, &dirs, &k->resources, err);
}

static void release_resources(struct keeper *k)
{
	smol_release_resources(&k->resources, !k->is_left);
}

static int step_mint(struct keeper *k, struct bb_err *err)
{
	return smol_step_mint(k->link_fd, MINT_MS, &k->certificate, err);
}

static void release_certificate(struct keeper *k)
{
	smol_release_certificate(&k->certificate);
}

static int step_bundle(struct keeper *k, struct bb_err *err)
{
	return smol_step_bundle(k->vm.mode, &k->resources, netns_enter, &k->bundle, err);
}

static void release_bundle(struct keeper *k)
{
	smol_release_bundle(&k->bundle);
}

static int send_door(const struct keeper *k, struct bb_err *err)
{
	const bool is_tsi = k->vm.mode == SMOLVM_TSI;
	const int fds[] = { k->bundle.stream_fd, k->bundle.proxy_fd, k->bundle.canary_fd };
	struct bb_buf body;
	int r = 0;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (is_tsi)
		r = bb_tlv_put(&body, 1, k->resources.credential, sizeof(k->resources.credential));
	if (is_tsi && r == 0)
		r = bb_tlv_put_str(&body, 2, k->resources.password);
	if (is_tsi && r == 0)
		r = bb_tlv_put_str(&body, 3, k->urls.proxy_url);
	if (r == 0)
		r = ipc_send(k->link_fd, IPC_KEEPER_DOOR, 0, bb_buf_peek(&body), fds,
			     is_tsi ? 3 : 1);
	bb_buf_wipe(&body);
	return r < 0 ? bb_err_set(err, r, "cannot hand over the listeners: %s", bb_err_name(r)) : 0;
}

/* The door goes to the monitor; the launch goes on when channel and egress stand at it. Then our
 * copies of its sockets go, so that none is open here when they are closed there. */
static int step_discover(struct keeper *k, struct bb_err *err)
{
	struct bb_view none = { 0 };
	int r = smol_step_discover(k->vm.mode, &k->bundle, &k->resources, &k->urls, err);

	if (r == 0)
		r = send_door(k, err);
	if (r == 0)
		r = receive(k, IPC_KEEPER_LAUNCH, BUNDLE_MS, &none, err);
	bb_cleanup_fd(&k->bundle.stream_fd);
	bb_cleanup_fd(&k->bundle.proxy_fd);
	bb_cleanup_fd(&k->bundle.canary_fd);
	k->bundle.stream_fd = k->bundle.proxy_fd = k->bundle.canary_fd = -1;
	return r;
}

static void release_urls(struct keeper *k)
{
	smol_release_urls(&k->urls);
}

static int step_launch(struct keeper *k, struct bb_err *err)
{
	return smol_step_launch(&k->vm, &k->plan, &k->resources, &k->machine, err);
}

static void release_machine(struct keeper *k)
{
	k->is_left = smol_release_machine(&k->vm, &k->resources, &k->machine, &k->left) < 0;
	if (k->is_left)
		bb_error("%s; the next command tries again", k->left.msg);
}

static int step_init(struct keeper *k, struct bb_err *err)
{
	return smol_step_init(&k->vm, &k->resources, &k->urls, k->console_fd, &k->guest, err);
}

static void release_guest(struct keeper *k)
{
	smol_release_guest(&k->guest);
}

static const struct {
	const char *name, *text;
	int (*run)(struct keeper *k, struct bb_err *err);
	void (*release)(struct keeper *k);
} steps[] = {
	{ "allocate", "taking an address for the machine", step_allocate, release_resources },
	{ "mint", "waiting for the bottle's certificate", step_mint, release_certificate },
	{ "bundle", "opening the machine's door", step_bundle, release_bundle },
	{ "discover", "waiting for the bundle", step_discover, release_urls },
	{ "launch", "starting the machine", step_launch, release_machine },
	{ "init", "setting up the machine", step_init, release_guest },
};

static bool is_hung_up(const struct keeper *k)
{
	struct pollfd p = { .fd = k->link_fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static int run_steps(struct keeper *k, struct bb_err *err)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(steps); i++) {
		int r;

		if (is_hung_up(k))
			return bb_err_set(err, -ECANCELED, "the launch was interrupted");
		say(k, IPC_KEEPER_STEP, steps[i].text);
		r = steps[i].run(k, err);
		if (r < 0)
			return bb_err_wrap(err, "%s", steps[i].name);
	}
	return 0;
}

static void release_all(struct keeper *k)
{
	for (size_t i = BB_ARRAY_LEN(steps); i > 0; i--)
		steps[i - 1].release(k);
}

static int take_plan(struct keeper *k, struct bb_err *err)
{
	struct bb_view body = { 0 };
	int r = receive(k, IPC_KEEPER_PLAN, PLAN_MS, &body, err);

	return r < 0 ? r : keeper_plan_decode(body, &k->plan, err);
}

/* Everything that the steps are given. */
static int prepare(struct keeper *k, struct bb_err *err)
{
	int r = take_plan(k, err);

	if (r < 0)
		return r;
	k->records = smol_record_dir(err);
	k->aliases = bb_text_printf("%s/../.aliases", k->plan.run_dir);
	if (k->records == NULL || k->aliases == NULL)
		return -ENOMEM;
	r = smolvm_open(smolvm_own_environment, &k->vm, err);
	k->vm.interrupt_fd = k->link_fd;
	if (r == 0)
		r = smolvm_check_user(&k->vm, geteuid(), err);
	if (r < 0)
		return r;
	say(k, IPC_KEEPER_STEP, "looking for the image's archive");
	return files_find(&k->vm, &k->plan, err);
}

static void say_started(const struct keeper *k)
{
	char note[96];

	(void)snprintf(note, sizeof(note), "smolvm %u.%u.%u, %s mode", k->vm.version.major,
		       k->vm.version.minor, k->vm.version.patch, smolvm_mode_names[k->vm.mode]);
	say(k, IPC_KEEPER_STARTED, note);
}

/* After the release, so that it can say what could not be undone. */
static void say_failed(const struct keeper *k, struct bb_err *err)
{
	BB_AUTO_FREE char *why = strdup(err->msg);

	if (k->is_left && why != NULL)
		(void)bb_err_set(err, err->code, "%s; moreover %s; the next command tries again",
				 why, k->left.msg);
	say(k, IPC_KEEPER_FAILED, err->msg);
}

/* The bottle's life: until the monitor hangs up (or says what it may not), or the machine ends. */
static void stay(const struct keeper *k)
{
	struct pollfd p[] = { { .fd = k->link_fd, .events = POLLIN },
			      { .fd = k->machine.pidfd, .events = POLLIN },
			      { .fd = k->guest.exec.pidfd, .events = POLLIN } };

	while (poll(p, BB_ARRAY_LEN(p), -1) < 0 && errno == EINTR)
		;
}

static void keeper_done(struct keeper *k)
{
	keeper_plan_done(&k->plan);
	smolvm_done(&k->vm);
	free(k->records);
	free(k->aliases);
}

int keeper_run(int link_fd, int console_fd)
{
	struct keeper k = { .link_fd = link_fd,
			    .console_fd = console_fd,
			    .vm = { .interrupt_fd = -1 },
			    .resources = SMOL_RESOURCES_NONE,
			    .bundle = SMOL_BUNDLE_NONE,
			    .machine = SMOL_MACHINE_NONE,
			    .guest = SMOL_GUEST_NONE };
	const struct sigaction terminate = { .sa_handler = on_terminate };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct bb_err err = { 0 };
	int r;

	interrupted_link = link_fd;
	(void)sigaction(SIGTERM, &terminate, NULL);
	(void)sigaction(SIGINT, &terminate, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	r = prepare(&k, &err);
	if (r == 0)
		r = run_steps(&k, &err);
	if (r == 0) {
		say_started(&k);
		stay(&k);
	}
	say(&k, IPC_KEEPER_STEP, "removing the machine");
	release_all(&k);
	if (r < 0)
		say_failed(&k, &err);
	keeper_done(&k);
	return k.is_left ? KEEPER_EXIT_LEFT : r == 0 ? 0 : 1;
}
