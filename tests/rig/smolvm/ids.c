/*
 * The guest's ids. Uid 0 inside is the caller. The others exist where the caller has them to give:
 * root passes its own on, an ordinary user those of /etc/subuid through newuidmap. Where neither is
 * possible (a namespace made by somebody else, no range) the guest knows root only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest.h"
#include "sys/linux/jail_impl.h"

/* In two parts: a range of a map must lie within one of the outer map, and in the namespace that an
 * ordinary user's keeper makes 0 is one of its own. */
#define OWN_RANGE "0 0 1\n1 1 65535\n"

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	BB_AUTO_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

static int map_single(pid_t child, struct bb_err *err)
{
	char uid[32], gid[32];

	(void)snprintf(uid, sizeof(uid), "0 %u 1\n", geteuid());
	(void)snprintf(gid, sizeof(gid), "0 %u 1\n", getegid());
	if (write_proc(child, "uid_map", uid) < 0 || write_proc(child, "setgroups", "deny") < 0 ||
	    write_proc(child, "gid_map", gid) < 0)
		return bb_err_errno(err, "ids of the guest");
	return 0;
}

int ids_map(pid_t child, bool *ret_is_range, struct bb_err *err)
{
	const struct jail_plan wanted = { .name = "standin", .wants_uid_range = true };
	struct jail_ids ids;

	*ret_is_range = true;
	if (geteuid() == 0 && write_proc(child, "uid_map", OWN_RANGE) == 0) {
		if (write_proc(child, "gid_map", OWN_RANGE) < 0)
			return bb_err_errno(err, "group ids of the guest");
		return 0;
	}
	if (geteuid() != 0 && jail_ids_choose(&wanted, &ids, NULL) == 0 &&
	    ids.mode == JAIL_IDS_RANGE && jail_ids_map_range(&ids, child, NULL) == 0)
		return 0;
	*ret_is_range = false;
	return map_single(child, err);
}
