/* The isolated guest: started by its backend, told who it is. */
#include "role/monitor/monitor_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "mux/proto.h"

#define ENTROPY_BYTES 64

static void on_guest_exit(void *arg, int events)
{
	struct monitor *m = arg;

	(void)events;
	loop_fd_free(m->guest_watch);
	m->guest_watch = NULL;
	m->is_guest_dead = true;
	if (m->phase == MONITOR_ENDING && m->ending.is_torn_down)
		end_part_gone(m); /* a keeper that was waited for */
	else if (m->phase == MONITOR_ENDING)
		end_tear_down(m);
	else
		monitor_lost_something(m);
}

static bool is_forced(const struct monitor *m, const char *accelerator)
{
	return m->plan->accelerator != NULL && strcmp(m->plan->accelerator, accelerator) == 0;
}

int guest_begin(struct monitor *m, int stream_fd, int console_fd, struct bb_err *err)
{
	const struct backend_plan plan = {
		.identity = m->plan->identity,
		.image = m->image,
		.resources = m->plan->resources,
		.state_dir = m->state_dir,
		.run_dir = m->run_dir,
		.console_fd = console_fd,
		.force_tcg = is_forced(m, "tcg"),
		.force_kvm = is_forced(m, "kvm"),
	};
	int r;

	r = backend_start(m->backend, &plan, stream_fd, &m->guest, err);
	if (r < 0)
		return r;
	m->guest_watch =
		loop_fd_new(m->loop, backend_guest_pidfd(m->guest), LOOP_READ, on_guest_exit, m);
	return m->guest_watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

void guest_kill(struct monitor *m)
{
	struct spawn_child guest = { .pidfd = -1 };

	/* A keeper is no guest: it has a machine to remove, and its end is waited for. */
	if (m->guest != NULL && backend_is_kept(m->backend)) {
		kept_done(m); /* it watches the keeper's link */
		backend_guest_end(m->guest);
		return;
	}
	loop_fd_free(m->guest_watch);
	m->guest_watch = NULL;
	if (m->guest != NULL)
		guest.pidfd = backend_guest_pidfd(m->guest);
	spawn_kill(&guest, SIGKILL);
}

bool guest_is_gone(const struct monitor *m)
{
	return m->guest == NULL || !backend_is_kept(m->backend) || m->guest_watch == NULL;
}

void guest_destroy(struct monitor *m)
{
	loop_fd_free(m->guest_watch);
	m->guest_watch = NULL;
	kept_done(m); /* it watches the guest's descriptor */
	backend_guest_destroy(m->guest);
	m->guest = NULL;
}

static int send_blob(struct monitor *m, const struct bb_buf *blob, bool is_last, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body;
	int r;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (bb_tlv_put_view(&body, 1, bb_buf_peek(blob)) < 0 ||
	    bb_tlv_put_u32(&body, 2, is_last) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_PROVISION, 0, bb_buf_peek(&body),
		      NULL, 0);
	return r < 0 ? bb_err_set(err, r, "cannot provision the guest: %s", bb_err_name(r)) : 0;
}

/* What only a machine of its own needs: a clock and randomness. */
static int put_machine(struct bb_buf *blob)
{
	uint8_t entropy[ENTROPY_BYTES];
	struct timespec now;
	int r;

	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy) ||
	    clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -errno;
	r = bb_tlv_put_u64(blob, LIFECYCLE_TAG_CLOCK,
			   (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	return r < 0 ? r : bb_tlv_put(blob, LIFECYCLE_TAG_ENTROPY, entropy, sizeof(entropy));
}

static int put_fixed(const struct monitor *m, struct bb_buf *blob)
{
	int r;

	r = bb_tlv_put(blob, LIFECYCLE_TAG_CA_PEM, m->launch.ca_pem, m->launch.ca_pem_size);
	if (r == 0)
		r = bb_tlv_put_str(blob, LIFECYCLE_TAG_HOSTNAME, m->plan->identity);
	if (r == 0)
		r = bb_tlv_put_u32(blob, LIFECYCLE_TAG_PIDS, m->plan->resources.pids);
	for (size_t i = 0; r == 0 && i < m->plan->port_count; i++)
		r = bb_tlv_put_u32(blob, LIFECYCLE_TAG_PORT, m->plan->ports[i]);
	if (r == 0 && strcmp(m->plan->backend, "microvm") == 0)
		r = put_machine(blob);
	return r;
}

/* An entry that names the proxy of bottle-init names the one that this guest dials itself. */
static int put_env(const struct monitor *m, struct bb_buf *blob, const char *entry)
{
	const char *url = m->launch.kept.proxy_url, *value = strchr(entry, '=');
	BB_AUTO_FREE char *other = NULL;
	int r;

	if (url[0] == '\0' || value == NULL || strcmp(value + 1, PROTO_PROXY_URL) != 0)
		return bb_tlv_put_str(blob, LIFECYCLE_TAG_ENV, entry);
	other = bb_text_printf("%.*s=%s", (int)(value - entry), entry, url);
	if (other == NULL)
		return -ENOMEM;
	r = bb_tlv_put_str(blob, LIFECYCLE_TAG_ENV, other);
	explicit_bzero(other, strlen(other));
	return r;
}

int guest_provision(struct monitor *m, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf blob;
	int r;

	/* A blob must fit one message and one frame. */
	bb_buf_init(&blob, LIMIT_PROTO_FRAME - 64);
	r = put_fixed(m, &blob);
	if (r < 0)
		return bb_err_set(err, r, "cannot provision the guest: %s", bb_err_name(r));
	for (size_t i = 0; m->plan->env != NULL && m->plan->env[i] != NULL; i++) {
		if (put_env(m, &blob, m->plan->env[i]) == 0)
			continue;
		r = send_blob(m, &blob, false, err);
		if (r < 0)
			return r;
		bb_buf_reset(&blob);
		if (put_env(m, &blob, m->plan->env[i]) < 0)
			return bb_err_set(err, -EMSGSIZE, "environment entry %zu is too long",
					  i + 1);
	}
	return send_blob(m, &blob, true, err);
}
