/* Loading a seccomp program; see filter.h. */
#include "sys/linux/filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

static long load(const struct filter_program *program, unsigned flags)
{
	struct sock_fprog prog = {
		.len = program->count,
		.filter = (struct sock_filter *)(uintptr_t)program->code, /* the kernel copies it */
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

int filter_load(const struct filter_program *program)
{
	return load(program, 0) < 0 ? -errno : 0;
}

int filter_load_listener(const struct filter_program *program)
{
	long fd = load(program, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	return fd < 0 ? -errno : (int)fd;
}
