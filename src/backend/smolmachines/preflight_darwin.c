/* See preflight_darwin.h. */
#include "backend/smolmachines/preflight_darwin.h"

#include <string.h>

#include "backend/report.h"
#include "backend/smolmachines/alias.h"
#include "backend/smolmachines/pack.h"
#include "base/cleanup.h"

void smol_see_darwin(const struct darwin_runner *runner, struct smol_seen_darwin *s)
{
	char address[ALIAS_TEXT_MAX];

	s->hypervisor_result = darwin_check_hypervisor(runner, &s->hypervisor_why);
	if (s->common.version_result < 0 || s->common.vm.mode != SMOLVM_TSI)
		return;
	/* Who listens on the address of a bottle to be is nobody yet: what counts is who listens on
	 * all addresses, and that is the same for each. */
	(void)snprintf(address, sizeof(address), "127.0.0.%d", ALIAS_FIRST);
	s->listener_count = darwin_listeners(runner, address, s->listeners, &s->listeners_why);
	s->common.pack_result = smolpack_check(&s->common.vm, &s->common.pack_why);
}

static void judge_hypervisor(void *arg, struct backend_check *c)
{
	const struct smol_seen_darwin *s = arg;

	if (s->hypervisor_result == 0)
		report_found(c, BACKEND_CHECK_OK, "Hypervisor.framework is there");
	else
		report_found(c, BACKEND_CHECK_FAIL, "%.400s", s->hypervisor_why.msg);
}

static void judge_listeners(void *arg, struct backend_check *c)
{
	const struct smol_seen_darwin *s = arg;

	if (s->common.version_result < 0)
		report_found(c, BACKEND_CHECK_WARN, "not looked at: it is TSI mode that needs it");
	else if (s->common.vm.mode == SMOLVM_SOCKET)
		report_found(c, BACKEND_CHECK_OK, "not needed: the machine has no network");
	else if (s->listener_count == 0)
		report_found(c, BACKEND_CHECK_OK, "nothing listens where a machine could reach it");
	else if (s->listener_count > 0)
		report_found(
			c, BACKEND_CHECK_WARN,
			"a machine could reach what %d program(s) of this Mac listen on, since "
			"they listen on all addresses; a start shows them and asks",
			s->listener_count);
	else
		report_found(c, BACKEND_CHECK_FAIL,
			     "what a machine could reach on this Mac is not known: %.300s",
			     s->listeners_why.msg);
	if (c->state != BACKEND_CHECK_OK)
		report_mend(c, "install smolvm " SMOLVM_SOCKET_VERSION
			       " or later, whose machines have no network at all");
}

static const struct report_row rows[] = {
	{ "smolvm", smol_judge_smolvm },    { "version", smol_judge_version },
	{ "hypervisor", judge_hypervisor }, { "listeners", judge_listeners },
	{ "packing", smol_judge_packing },  { "verified", smol_judge_verified },
};

/* Everything that could be reached, or no question: then nobody can say yes to it. */
static int ask(const struct smol_seen_darwin *s, struct backend_report *ret, struct bb_err *err)
{
	size_t used = 0;

	for (int i = 0; i < s->listener_count; i++) {
		const struct darwin_listener *l = &s->listeners[i];
		int n = snprintf(ret->question + used, sizeof(ret->question) - used,
				 "  port %u: %s (pid %u), on %s\n", l->port, l->program, l->pid,
				 l->is_wildcard ? "all addresses" : "the machine's address");

		if (n < 0 || (size_t)n >= sizeof(ret->question) - used) {
			ret->question[0] = '\0';
			return bb_err_set(
				err, BB_E_LIMIT,
				"%d programs listen where a machine could reach them, more "
				"than can be shown and asked about",
				s->listener_count);
		}
		used += (size_t)n;
	}
	return 0;
}

int smol_judge_darwin(struct smol_seen_darwin *s, struct backend_report *ret, struct bb_err *err)
{
	int r = report_run(rows, BB_ARRAY_LEN(rows), s, ret, err);

	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), "Hypervisor.framework");
	return r == 0 && s->common.vm.mode == SMOLVM_TSI ? ask(s, ret, err) : r;
}
