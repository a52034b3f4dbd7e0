/*
 * Backend "smolmachines": the guest is a libkrun machine that the `smolvm` command makes. This file
 * is the monitor's side: it starts the keeper (keeper.h) and turns its messages into events. What
 * the keeper says is checked like everything between our own processes; what it passes on from
 * smolvm was escaped by it.
 */
#include <signal.h>
#include <string.h>

#include "backend/backend_impl.h"
#include "backend/smolmachines/keeper.h"
#include "backend/smolmachines/preflight.h"
#include "backend/smolmachines/record.h"
#include "backend/smolmachines/smolvm.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "sys/spawn.h"

/* From the door on: unpacking the image, smolvm's own 30 s, its first command, and the connection;
 * each has a shorter limit of its own in the keeper. */
#define HELLO_MS 480000
/* For a keeper that nobody told to end before. */
#define END_MS 10000

struct smol_handle {
	struct backend_guest base; /* first */
	int link_fd;
	struct spawn_child keeper;
	bool is_ending;
	int keeper_code; /* once it has ended; -EAGAIN: it has not */
	char note[128];
};

static struct smol_handle *handle_of(struct backend_guest *g)
{
	return (struct smol_handle *)(void *)g;
}

static const struct smol_handle *peek_of(const struct backend_guest *g)
{
	return (const struct smol_handle *)(const void *)g;
}

/* smolvm's environment, and what our own programs read. */
static char **keeper_environment(void)
{
	static const char *const own[] = { "BOT_BOTTLE_HOME", "BOT_BOTTLE_LOG", "ASAN_OPTIONS",
					   "UBSAN_OPTIONS", SMOLVM_AS_ROOT_VARIABLE };
	BB_AUTO_STRV char **env = smolvm_environment(smolvm_own_environment);

	for (size_t i = 0; env != NULL && i < BB_ARRAY_LEN(own); i++) {
		const char *value = getenv(own[i]);

		if (value != NULL && bb_strv_push(&env, bb_text_printf("%s=%s", own[i], value)) < 0)
			return NULL;
	}
	return bb_take_ptr(&env);
}

/* Not with PDEATHSIG: it outlives a killed monitor for as long as it takes to clean up. */
static int start_keeper(struct smol_handle *h, int console_fd, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_path_sibling("bot-bottle-keeper", err);
	BB_AUTO_STRV char **env = keeper_environment();
	BB_AUTO_CLOSE int theirs = -1;
	char name[] = "bot-bottle-keeper";
	char *const argv[] = { name, NULL };
	int pair[2], r;

	if (path == NULL)
		return err == NULL ? BB_E_MISSING : err->code;
	r = env == NULL ? -ENOMEM : ipc_pair(pair);
	if (r < 0)
		return bb_err_set(err, r, "cannot start the keeper: %s", bb_err_name(r));
	h->link_fd = pair[0];
	theirs = pair[1];
	r = spawn_start(
		&(struct spawn_plan){
			.path = path,
			.argv = argv,
			.envp = env,
			.fds = (const struct spawn_fd[]){ { STDERR_FILENO, STDERR_FILENO },
							  { theirs, IPC_ROLE_FD },
							  { console_fd, KEEPER_CONSOLE_FD } },
			.fd_count = 3,
			.new_session = true,
		},
		&h->keeper, err);
	return r < 0 ? r : bb_fd_set_nonblock(h->link_fd, 1);
}

static int send(const struct smol_handle *h, uint16_t type, struct bb_view body, struct bb_err *err)
{
	int r = ipc_send(h->link_fd, type, 0, body, NULL, 0);

	return r < 0 ? bb_err_set(err, BB_E_PART, "cannot reach the machine's keeper: %s",
				  bb_err_name(r))
		     : 0;
}

static int send_plan(const struct smol_handle *h, const struct backend_plan *plan,
		     struct bb_err *err)
{
	const struct keeper_plan p = { .identity = (char *)(uintptr_t)plan->identity,
				       .image = plan->image->name,
				       .run_dir = (char *)(uintptr_t)plan->run_dir,
				       .resources = plan->resources };
	BB_AUTO_BUF struct bb_buf body;
	int r;

	bb_buf_init(&body, KEEPER_PLAN_MAX);
	r = keeper_plan_encode(&p, &body);
	return r < 0 ? bb_err_set(err, r, "the machine's plan is too large")
		     : send(h, IPC_KEEPER_PLAN, bb_buf_peek(&body), err);
}

/* The link's end is the word to release everything. */
static void smol_end(struct backend_guest *g)
{
	struct smol_handle *h = handle_of(g);

	bb_cleanup_fd(&h->link_fd);
	h->link_fd = -1;
	h->is_ending = true;
}

static bool smol_is_left(struct backend_guest *g)
{
	struct smol_handle *h = handle_of(g);

	if (h->keeper.pidfd >= 0)
		h->keeper_code = spawn_reap(&h->keeper);
	return h->keeper_code == -EAGAIN || h->keeper_code == KEEPER_EXIT_LEFT ||
	       h->keeper_code >= 128;
}

static void smol_destroy(struct backend_guest *g)
{
	struct smol_handle *h = handle_of(g);

	if (h == NULL)
		return;
	if (!h->is_ending) {
		smol_end(g);
		if (h->keeper.pidfd >= 0)
			(void)spawn_wait(&h->keeper, END_MS); /* late: its record stays */
	} else {
		(void)smol_is_left(g);
		bb_cleanup_fd(&h->keeper.pidfd); /* one that is still at it goes on without us */
	}
	free(h);
}

static int smol_start(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
		      struct bb_err *err)
{
	struct smol_handle *h = calloc(1, sizeof(*h));
	int r;

	(void)stream_fd; /* the guest comes in by the door */
	if (h == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	h->base.backend = &backend_smolmachines;
	h->link_fd = -1;
	h->keeper.pidfd = -1;
	(void)snprintf(h->note, sizeof(h->note), "smolvm");
	if (plan->image->is_host)
		r = bb_err_set(err, BB_E_USAGE,
			       "image '%s' has no files of its own: it works with the namespace "
			       "backend only",
			       plan->image->name);
	else
		r = start_keeper(h, plan->console_fd, err);
	if (r == 0)
		r = send_plan(h, plan, err);
	if (r < 0) {
		smol_destroy(&h->base);
		return r;
	}
	*ret = &h->base;
	return 0;
}

static int smol_pidfd(const struct backend_guest *g)
{
	return peek_of(g)->keeper.pidfd;
}

static const char *smol_note(const struct backend_guest *g)
{
	return peek_of(g)->note;
}

static uint64_t smol_hello_ms(const struct backend_guest *g)
{
	(void)g;
	return HELLO_MS;
}

static int smol_event_fd(const struct backend_guest *g)
{
	return peek_of(g)->link_fd;
}

static int take_text(const struct ipc_message *m, struct backend_event *e, struct bb_err *err)
{
	struct bb_view text = { 0 };
	int r = bb_tlv_read(m->body,
			    &(struct bb_tlv_field){ .tag = 1,
						    .type = BB_TLV_STR,
						    .max = sizeof(e->text) - 1,
						    .is_required = true,
						    .out = &text },
			    1, err);

	if (r == 0)
		(void)snprintf(e->text, sizeof(e->text), "%.*s", BB_VIEW_ARG(text));
	return r;
}

static int take_door(struct ipc_message *m, struct backend_event *e, struct bb_err *err)
{
	struct bb_view credential = { 0 }, password = { 0 }, url = { 0 };
	struct backend_door *d = &e->door;
	const struct bb_tlv_field fields[] = {
		{ 1, BB_TLV_BYTES, sizeof(d->credential), false, &credential, NULL, 0 },
		{ 2, BB_TLV_STR, sizeof(d->proxy_password) - 1, false, &password, NULL, 0 },
		{ 3, BB_TLV_STR, sizeof(d->proxy_url) - 1, false, &url, NULL, 0 },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	d->wants_credential = credential.n != 0;
	if (d->wants_credential ? m->fd_count != 3 || credential.n != sizeof(d->credential) ||
					  password.n == 0 || url.n == 0
				: m->fd_count != 1 || password.n != 0 || url.n != 0)
		return bb_err_set(err, -EPROTO, "the keeper's door is of no kind");
	if (d->wants_credential)
		memcpy(d->credential, credential.p, credential.n);
	(void)snprintf(d->proxy_password, sizeof(d->proxy_password), "%.*s", BB_VIEW_ARG(password));
	(void)snprintf(d->proxy_url, sizeof(d->proxy_url), "%.*s", BB_VIEW_ARG(url));
	d->stream_fd = ipc_message_take_fd(m, 0);
	d->proxy_fd = ipc_message_take_fd(m, 1);
	d->canary_fd = ipc_message_take_fd(m, 2);
	return 0;
}

static int take_event(struct smol_handle *h, struct ipc_message *m, struct backend_event *e,
		      struct bb_err *err)
{
	static const struct {
		uint16_t type;
		enum backend_event_kind kind;
		int fds;
	} kinds[] = {
		{ IPC_KEEPER_STEP, BACKEND_EVENT_STEP, 0 },
		{ IPC_KEEPER_DOOR, BACKEND_EVENT_DOOR, -1 },
		{ IPC_KEEPER_STARTED, BACKEND_EVENT_STARTED, 0 },
		{ IPC_KEEPER_FAILED, BACKEND_EVENT_FAILED, 0 },
	};
	size_t i = 0;
	int r;

	while (i < BB_ARRAY_LEN(kinds) && kinds[i].type != m->type)
		i++;
	if (i == BB_ARRAY_LEN(kinds) || (kinds[i].fds >= 0 && m->fd_count != kinds[i].fds))
		return bb_err_set(err, -EPROTO, "the keeper sent message %u", m->type);
	r = kinds[i].kind == BACKEND_EVENT_DOOR ? take_door(m, e, err) : take_text(m, e, err);
	if (r < 0)
		return r;
	e->kind = kinds[i].kind;
	if (e->kind == BACKEND_EVENT_STARTED)
		(void)snprintf(h->note, sizeof(h->note), "%.100s", e->text);
	return 0;
}

static int smol_next_event(struct backend_guest *g, struct backend_event *ret, struct bb_err *err)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct smol_handle *h = handle_of(g);
	struct ipc_message m = { 0 };
	int r = ipc_receive(h->link_fd, buffer, &m, err);

	if (r == -EAGAIN)
		return 0; /* BACKEND_EVENT_NONE */
	if (r == 0 || r == -ECONNRESET) {
		ret->kind = BACKEND_EVENT_GONE;
		return 0;
	}
	if (r < 0)
		return r;
	r = take_event(h, &m, ret, err);
	ipc_message_done(&m);
	explicit_bzero(buffer, sizeof(buffer)); /* a door has secrets */
	return r;
}

static int smol_minted(struct backend_guest *g, struct bb_view ca_pem, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (bb_tlv_put_view(&body, 1, ca_pem) < 0)
		return bb_err_set(err, -EMSGSIZE, "the certificate is too large");
	return send(handle_of(g), IPC_KEEPER_MINTED, bb_buf_peek(&body), err);
}

static int smol_launch(struct backend_guest *g, struct bb_err *err)
{
	return send(handle_of(g), IPC_KEEPER_LAUNCH, bb_view_of(NULL, 0), err);
}

static int smol_reap(backend_told *told, void *arg, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = smol_record_dir(err);

	return dir == NULL ? -ENOMEM : smol_record_reap(dir, told, arg, err);
}

struct stray_call {
	void (*found)(void *arg, const struct backend *b, const char *machine);
	void *arg;
};

static void on_stray(void *arg, const char *machine)
{
	const struct stray_call *call = arg;

	call->found(call->arg, &backend_smolmachines, machine);
}

/* A version that starts nothing still lists and removes. */
static int open_any(struct smolvm *vm, struct bb_err *err)
{
	int r = smolvm_open(smolvm_own_environment, vm, err);

	return r == BB_E_REFUSED ? 0 : r;
}

static int smol_strays(void (*found)(void *arg, const struct backend *b, const char *machine),
		       void *arg, struct bb_err *err)
{
	struct stray_call call = { found, arg };
	BB_AUTO_FREE char *dir = smol_record_dir(err);
	struct smolvm vm;
	int r = open_any(&vm, err);

	if (r == 0 && dir != NULL)
		r = smol_record_strays(dir, &vm, on_stray, &call, err);
	smolvm_done(&vm);
	return r == BB_E_MISSING ? 0 : r; /* no smolvm, no machines */
}

static int smol_stray_remove(const char *machine, struct bb_err *err)
{
	struct smolvm vm;
	int r = open_any(&vm, err);

	if (r == 0)
		r = smolvm_remove(&vm, machine, err);
	smolvm_done(&vm);
	return r;
}

static const struct backend_kept smol_kept = {
	.event_fd = smol_event_fd,
	.next_event = smol_next_event,
	.minted = smol_minted,
	.launch = smol_launch,
	.end = smol_end,
	.is_left = smol_is_left,
};

const struct backend backend_smolmachines = {
	.name = "smolmachines",
	.warning = "not yet verified on a real smolvm",
	.is_optional = true,
	.preflight = smolmachines_preflight,
	.start = smol_start,
	.pidfd = smol_pidfd,
	.note = smol_note,
	.hello_ms = smol_hello_ms,
	.destroy = smol_destroy,
	.kept = &smol_kept,
	.strays = smol_strays,
	.stray_remove = smol_stray_remove,
	.reap = smol_reap,
};
