/* seccomp programs out of tables, by libseccomp; see filter.h. */
#include "sys/linux/filter.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* The kernel's BPF_MAXINSNS. */
#define PROGRAM_MAX 4096

static void release_context(scmp_filter_ctx *ctx)
{
	if (*ctx != NULL)
		seccomp_release(*ctx);
}

static uint32_t verdict_action(enum filter_verdict verdict, int error)
{
	switch (verdict) {
	case FILTER_ALLOW:
		return SCMP_ACT_ALLOW;
	case FILTER_ERRNO:
		return SCMP_ACT_ERRNO((uint32_t)error);
	case FILTER_KILL:
		return SCMP_ACT_KILL_PROCESS;
	case FILTER_NOTIFY:
		return SCMP_ACT_NOTIFY;
	}
	return SCMP_ACT_KILL_PROCESS;
}

static struct scmp_arg_cmp compare_of(const struct filter_condition *when)
{
	struct scmp_arg_cmp cmp = { .arg = when->arg, .datum_a = when->value };

	switch (when->compare) {
	case FILTER_ANY:
	case FILTER_EQ:
		cmp.op = SCMP_CMP_EQ;
		break;
	case FILTER_NE:
		cmp.op = SCMP_CMP_NE;
		break;
	case FILTER_ABOVE:
		cmp.op = SCMP_CMP_GT;
		break;
	case FILTER_BITS:
		cmp.op = SCMP_CMP_MASKED_EQ;
		cmp.datum_a = when->mask;
		cmp.datum_b = when->value;
		break;
	}
	return cmp;
}

static int add_rule(scmp_filter_ctx ctx, const struct filter_rule *rule, uint32_t otherwise,
		    struct bb_err *err)
{
	uint32_t action = verdict_action(rule->verdict, rule->error);
	struct scmp_arg_cmp compares[2];
	unsigned count = 0;
	int call = seccomp_syscall_resolve_name(rule->call);
	int r;

	if (call == __NR_SCMP_ERROR || action == otherwise)
		return 0;
	for (size_t i = 0; i < BB_ARRAY_LEN(rule->when); i++) {
		if (rule->when[i].compare != FILTER_ANY)
			compares[count++] = compare_of(&rule->when[i]);
	}
	r = seccomp_rule_add_array(ctx, action, call, count, compares);
	if (r < 0)
		return bb_err_set(err, r, "seccomp rule for '%s': %s", rule->call, bb_err_name(r));
	return 0;
}

/* libseccomp before 2.6 exports to a descriptor only. */
static int export_program(scmp_filter_ctx ctx, struct filter_program *ret, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
	BB_AUTO_FREE struct sock_filter *code = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return bb_err_errno(err, "seccomp: memfd");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return bb_err_set(err, r, "seccomp: export: %s", bb_err_name(r));
	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return bb_err_errno(err, "seccomp: export");
	if (st.st_size <= 0 || st.st_size > (off_t)(PROGRAM_MAX * sizeof(*code)))
		return bb_err_set(err, -E2BIG, "seccomp: the program has %lld bytes",
				  (long long)st.st_size);
	code = malloc((size_t)st.st_size);
	if (code == NULL)
		return bb_err_set(err, -ENOMEM, "seccomp: no memory");
	r = bb_fd_read_full(fd, code, (size_t)st.st_size);
	if (r < 0)
		return bb_err_set(err, r, "seccomp: export");
	ret->count = (unsigned short)((size_t)st.st_size / sizeof(*code));
	ret->code = bb_take_ptr(&code);
	return 0;
}

int filter_build(const struct filter_rule *const *tables, enum filter_verdict otherwise, int error,
		 struct filter_program *ret, struct bb_err *err)
{
	__attribute__((cleanup(release_context))) scmp_filter_ctx ctx = NULL;
	uint32_t action = verdict_action(otherwise, error);
	int r;

	ctx = seccomp_init(action);
	if (ctx == NULL)
		return bb_err_set(err, -ENOMEM, "seccomp: no memory");
	/* A tree instead of a chain: a call costs a dozen comparisons, not three hundred. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* slower without, not weaker */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r < 0)
		return bb_err_set(err, r, "seccomp: bad-architecture action");
	for (; *tables != NULL; tables++) {
		for (const struct filter_rule *rule = *tables; rule->call != NULL; rule++) {
			r = add_rule(ctx, rule, action, err);
			if (r < 0)
				return r;
		}
	}
	return export_program(ctx, ret, err);
}

void filter_done(struct filter_program *program)
{
	free((void *)(uintptr_t)program->code);
	*program = (struct filter_program){ 0 };
}
