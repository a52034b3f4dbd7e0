/* An image's USER, looked up in the guest's own /etc/passwd (the program may be static: no NSS). */
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "guest.h"

static bool parse_id(const char *text, size_t n, unsigned int *ret)
{
	uint64_t id;

	if (bb_num_parse_u64(bb_view_of(text, n), 65535, &id) < 0)
		return false;
	*ret = (unsigned int)id;
	return true;
}

/* "name:x:UID:GID:..." */
static bool match_line(const char *line, const char *name, size_t n, unsigned int *uid,
		       unsigned int *gid)
{
	const char *p;

	if (strncmp(line, name, n) != 0 || line[n] != ':')
		return false;
	p = strchr(line + n + 1, ':');
	if (p == NULL || !parse_id(p + 1, strcspn(p + 1, ":"), uid))
		return false;
	p = strchr(p + 1, ':');
	return p != NULL && parse_id(p + 1, strcspn(p + 1, ":"), gid);
}

static bool look_up(const char *name, size_t n, unsigned int *uid, unsigned int *gid)
{
	BB_AUTO_FCLOSE FILE *f = fopen("/etc/passwd", "re");
	char line[1024];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (match_line(line, name, n, uid, gid))
			return true;
	}
	return false;
}

int user_become(const char *user, struct bb_err *err)
{
	size_t n = strcspn(user, ":");
	unsigned int uid = 0, gid = 0;

	if (*user == '\0')
		return 0;
	if (!parse_id(user, n, &uid) && !look_up(user, n, &uid, &gid))
		return bb_err_set(err, -ENOENT, "user '%s' is not in the image", user);
	if (user[n] == ':' && !parse_id(user + n + 1, strlen(user + n + 1), &gid))
		return bb_err_set(err, -ENOENT, "group of '%s' is not a number", user);
	if (setgroups(1, &gid) < 0 && errno != EPERM)
		return bb_err_errno(err, "groups of '%s'", user);
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return bb_err_errno(err, "user '%s': uid %u is not mapped into this guest", user,
				    uid);
	return 0;
}
