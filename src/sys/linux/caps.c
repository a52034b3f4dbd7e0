/* Capability sets; see caps.h. */
#include "sys/linux/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Beyond CAP_LAST_CAP of the headers: a newer kernel may have more; prctl says EINVAL at the end.
 */
#define CAP_NUM_MAX 64

static int get_sets(struct __user_cap_data_struct sets[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, sets) < 0 ? -errno : 0;
}

static int put_sets(const struct __user_cap_data_struct sets[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

bool caps_has(unsigned long long mask)
{
	struct __user_cap_data_struct sets[2] = { { 0 } };
	unsigned long long effective;

	if (get_sets(sets) < 0)
		return false;
	effective = (unsigned long long)sets[1].effective << 32 | sets[0].effective;
	return (effective & mask) == mask;
}

int caps_clear_inheritable(void)
{
	struct __user_cap_data_struct sets[2] = { { 0 } };
	int r = get_sets(sets);

	if (r < 0)
		return r;
	sets[0].inheritable = 0;
	sets[1].inheritable = 0;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return put_sets(sets);
}

int caps_drop_bounding(void)
{
	for (int cap = 0; cap < CAP_NUM_MAX; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL && cap > 0)
				break;
			return -errno;
		}
	}
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		  0, 0, 0) < 0)
		return -errno;
	return 0;
}

int caps_drop_all(void)
{
	struct __user_cap_data_struct sets[2] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return put_sets(sets);
}
