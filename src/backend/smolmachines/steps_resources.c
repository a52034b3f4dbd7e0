/* Steps 1 and 2: what a bottle takes before there is anything to run, and the word that its
 * certificate exists. */
#include <string.h>
#include <sys/random.h>

#include "backend/smolmachines/steps.h"
#include "base/cleanup.h"
#include "base/tlv.h"
#include "base/text.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"

#define PEM_MAX 32768

static int random_bytes(uint8_t *p, size_t n, struct bb_err *err)
{
	return getrandom(p, n, 0) == (ssize_t)n ? 0 : bb_err_errno(err, "cannot get random bytes");
}

/* 256 bits in the alphabet of base64url, which needs no escaping in a URL. */
static int make_password(char dst[SMOL_PASSWORD_CHARS + 1], struct bb_err *err)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t bytes[SMOL_PASSWORD_CHARS];
	int r = random_bytes(bytes, sizeof(bytes), err);

	for (size_t i = 0; r == 0 && i < sizeof(bytes); i++)
		dst[i] = alphabet[bytes[i] & 63];
	dst[r == 0 ? SMOL_PASSWORD_CHARS : 0] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}

static int allocate_tsi(const struct keeper_plan *plan, const struct smol_dirs *dirs,
			struct smol_resources *r, struct bb_err *err)
{
	int result = loopback_allocate(dirs->aliases, plan->identity, &r->alias, err);

	if (result == 0)
		result = random_bytes(r->credential, sizeof(r->credential), err);
	return result < 0 ? result : make_password(r->password, err);
}

static int allocate_socket(const struct keeper_plan *plan, struct smol_resources *r,
			   struct bb_err *err)
{
	r->socket_path = bb_text_printf("%s/stream.sock", plan->run_dir);
	if (r->socket_path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (strlen(r->socket_path) > SMOL_SOCKET_MAX)
		return bb_err_set(err, -ENAMETOOLONG,
				  "'%s' is longer than %d bytes, too long for a socket",
				  r->socket_path, SMOL_SOCKET_MAX);
	return 0;
}

int smol_step_allocate(const struct smolvm *vm, const struct keeper_plan *plan,
		       const struct smol_dirs *dirs, struct smol_resources *ret, struct bb_err *err)
{
	int r = smolvm_machine_name(plan->identity, ret->machine, sizeof(ret->machine), err);

	if (r == 0)
		r = smol_record_hold(dirs->records, ret->machine, vm, plan->run_dir, &ret->record,
				     err);
	if (r < 0)
		return r;
	return vm->mode == SMOLVM_TSI ? allocate_tsi(plan, dirs, ret, err)
				      : allocate_socket(plan, ret, err);
}

void smol_release_resources(struct smol_resources *r, bool is_gone)
{
	loopback_release(&r->alias);
	free(bb_take_ptr(&r->socket_path));
	explicit_bzero(r->credential, sizeof(r->credential));
	explicit_bzero(r->password, sizeof(r->password));
	if (is_gone)
		smol_record_drop(&r->record);
	else
		smol_record_abandon(&r->record);
}

static size_t count_words(struct bb_view v, const char *words)
{
	size_t n = 0;
	const uint8_t *at;

	while ((at = memmem(v.p, v.n, words, strlen(words))) != NULL) {
		n++;
		v = bb_view_from(v, (size_t)(at - v.p) + strlen(words));
	}
	return n;
}

static int check_pem(struct bb_view pem, struct bb_err *err)
{
	if (count_words(pem, "PRIVATE KEY") != 0)
		return bb_err_set(err, -EPROTO,
				  "a private key was sent where only the public "
				  "certificate may leave egress");
	if (count_words(pem, "-----BEGIN CERTIFICATE-----") != 1 ||
	    count_words(pem, "-----BEGIN ") != 1 || memchr(pem.p, '\0', pem.n) != NULL)
		return bb_err_set(err, -EPROTO, "what egress has minted is not one certificate");
	return 0;
}

int smol_step_mint(int link_fd, int timeout_ms, struct smol_certificate *ret, struct bb_err *err)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct ipc_message m = { 0 };
	struct bb_view pem = { 0 };
	int r = ipc_receive_wait(link_fd, buffer, timeout_ms, &m, err);

	if (r == 0)
		return bb_err_set(err, -ECANCELED, "the launch was interrupted");
	if (r == -ETIMEDOUT)
		return bb_err_set(err, BB_E_DEADLINE, "egress minted no certificate in time");
	if (r < 0)
		return r;
	if (m.type != IPC_KEEPER_MINTED || m.fd_count != 0)
		r = bb_err_set(err, -EPROTO, "message %u instead of the certificate", m.type);
	else
		r = bb_tlv_read(m.body,
				&(struct bb_tlv_field){ .tag = 1,
							.type = BB_TLV_BYTES,
							.max = PEM_MAX,
							.is_required = true,
							.out = &pem },
				1, err);
	if (r == 0)
		r = check_pem(pem, err);
	ipc_message_done(&m);
	if (r < 0)
		return r;
	ret->pem = strndup((const char *)pem.p, pem.n);
	return ret->pem == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

void smol_release_certificate(struct smol_certificate *c)
{
	free(bb_take_ptr(&c->pem));
}
