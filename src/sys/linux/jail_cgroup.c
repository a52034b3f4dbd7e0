/*
 * Memory and process limits by cgroup, where this user may make one: version 2 below our own group
 * or the nearest parent that hands the controllers down, else version 1 hierarchies that are
 * writable. A host that offers neither gets rlimits (jail_child.c); nothing here fails a start.
 *
 * Directories are named bot-bottle-<name>; one that a killed monitor left behind is empty and is
 * removed by jail_reap(). The root of a hierarchy is read-only even to its owner: there root made
 * the group with a capability that the locked monitor no longer has when it comes to remove it.
 * Groups of the root directory therefore stand in one of ours, SHARED_NAME, that is shared and
 * stays.
 */
#include <fcntl.h>
#include <mntent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/jail_impl.h"

#define CGROUP_PATH_MAX 1024
#define SHARED_NAME     "bot-bottle"
/* A group is busy for a moment after its last process was reaped. */
#define REMOVE_TRIES   2000
#define REMOVE_WAIT_NS 200000

static int write_file(const char *dir, const char *name, const char *text)
{
	char path[CGROUP_PATH_MAX + 64];
	BB_AUTO_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int write_number(const char *dir, const char *name, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_file(dir, name, text);
}

static bool has_file(const char *dir, const char *name)
{
	char path[CGROUP_PATH_MAX + 64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* Where a hierarchy is mounted: version 2, or the version 1 hierarchy of one controller. */
static bool find_mount(const char *type, const char *controller, char dst[CGROUP_PATH_MAX])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool is_found = false;

	while (f != NULL && !is_found && (m = getmntent(f)) != NULL) {
		if (strcmp(m->mnt_type, type) != 0 ||
		    (controller != NULL && hasmntopt(m, controller) == NULL))
			continue;
		is_found = snprintf(dst, CGROUP_PATH_MAX, "%s", m->mnt_dir) < CGROUP_PATH_MAX;
	}
	if (f != NULL)
		(void)endmntent(f);
	return is_found;
}

/* Our own group: the line of /proc/self/cgroup for a controller, "" for version 2. */
static bool find_own(const char *controller, char dst[CGROUP_PATH_MAX])
{
	BB_AUTO_FCLOSE FILE *f = fopen("/proc/self/cgroup", "re");
	char line[CGROUP_PATH_MAX];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *names = strchr(line, ':');
		char *path = names != NULL ? strchr(names + 1, ':') : NULL;

		if (path == NULL)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (strcmp(names + 1, controller) != 0)
			continue;
		(void)snprintf(dst, CGROUP_PATH_MAX, "%s", strcmp(path, "/") == 0 ? "" : path);
		return true;
	}
	return false;
}

/* Makes the group; an empty one of that name was left by a monitor that was killed. */
static bool make_group(const char *dir)
{
	if (mkdir(dir, 0755) == 0)
		return true;
	return errno == EEXIST && rmdir(dir) == 0 && mkdir(dir, 0755) == 0;
}

/* Appends SHARED_NAME to a directory that is not writable by its mode; false when it has no room.
 */
static bool enter_shared(char dir[CGROUP_PATH_MAX], bool makes)
{
	size_t n = strlen(dir);
	struct stat st;

	if (stat(dir, &st) < 0 || (st.st_mode & S_IWUSR) != 0)
		return true;
	if (snprintf(dir + n, CGROUP_PATH_MAX - n, "/" SHARED_NAME) >= (int)(CGROUP_PATH_MAX - n))
		return false;
	if (makes && mkdir(dir, 0755) == 0) /* the limits of its children: for version 2 */
		(void)write_file(dir, "cgroup.subtree_control", "+memory +pids");
	return true;
}

static void add_dir(struct jail_cgroup *g, const char *dir)
{
	if (g->count < JAIL_CGROUPS_MAX && (g->dirs[g->count] = strdup(dir)) != NULL)
		g->count++;
	else
		(void)rmdir(dir);
}

static bool set_v2(const char *dir, const struct jail_limits *limits)
{
	if (!has_file(dir, "memory.max") || !has_file(dir, "pids.max"))
		return false;
	if (limits->memory > 0 && write_number(dir, "memory.max", limits->memory) < 0)
		return false;
	(void)write_file(dir, "memory.swap.max", "0"); /* a kernel without swap accounting */
	return limits->pids == 0 || write_number(dir, "pids.max", limits->pids) == 0;
}

/* Does the group hand down both controllers we use? Hybrid hosts have an empty version 2. */
static bool has_controllers(const char *dir)
{
	char path[CGROUP_PATH_MAX + 64], words[512];
	BB_AUTO_FCLOSE FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
	f = fopen(path, "re");
	return f != NULL && fgets(words, sizeof(words), f) != NULL &&
	       strstr(words, "memory") != NULL && strstr(words, "pids") != NULL;
}

/* From our own group upwards: the first that lets us make a child with both controllers. */
static void make_v2(const char *name, const struct jail_limits *limits, struct jail_cgroup *ret)
{
	char mnt[CGROUP_PATH_MAX], own[CGROUP_PATH_MAX];

	if (!find_mount("cgroup2", NULL, mnt) || !find_own("", own))
		return;
	for (;;) {
		char parent[CGROUP_PATH_MAX], dir[CGROUP_PATH_MAX];
		char *slash;

		if (snprintf(parent, sizeof(parent), "%s%s", mnt, own) < (int)sizeof(parent) &&
		    has_controllers(parent) && enter_shared(parent, true) &&
		    snprintf(dir, sizeof(dir), "%s/bot-bottle-%s", parent, name) <
			    (int)sizeof(dir) &&
		    make_group(dir)) {
			if (!has_file(dir, "memory.max") || !has_file(dir, "pids.max"))
				(void)write_file(parent, "cgroup.subtree_control", "+memory +pids");
			if (set_v2(dir, limits)) {
				add_dir(ret, dir);
				ret->has_memory = limits->memory > 0;
				ret->has_pids = limits->pids > 0;
				return;
			}
			(void)rmdir(dir);
		}
		slash = strrchr(own, '/');
		if (slash == NULL)
			return;
		*slash = '\0';
	}
}

/* The directory of our own group in the version 1 hierarchy of a controller. */
static bool find_v1(const char *controller, char dst[CGROUP_PATH_MAX])
{
	char own[CGROUP_PATH_MAX];
	size_t n;

	if (!find_mount("cgroup", controller, dst) || !find_own(controller, own))
		return false;
	n = strlen(dst);
	return snprintf(dst + n, CGROUP_PATH_MAX - n, "%s", own) < (int)(CGROUP_PATH_MAX - n);
}

static bool make_v1(const char *controller, const char *name, const char *file, uint64_t value,
		    struct jail_cgroup *ret)
{
	char parent[CGROUP_PATH_MAX], dir[CGROUP_PATH_MAX];

	if (value == 0 || !find_v1(controller, parent) || !enter_shared(parent, true) ||
	    snprintf(dir, sizeof(dir), "%s/bot-bottle-%s", parent, name) >= (int)sizeof(dir) ||
	    !make_group(dir))
		return false;
	if (write_number(dir, file, value) < 0) {
		(void)rmdir(dir);
		return false;
	}
	if (strcmp(controller, "memory") == 0) /* no swap beside it; not on every kernel */
		(void)write_number(dir, "memory.memsw.limit_in_bytes", value);
	add_dir(ret, dir);
	return true;
}

void jail_cgroup_make(const char *name, const struct jail_limits *limits, struct jail_cgroup *ret)
{
	*ret = (struct jail_cgroup){ 0 };
	if (limits->memory == 0 && limits->pids == 0)
		return;
	make_v2(name, limits, ret);
	if (ret->count > 0)
		return;
	ret->enters_itself = true;
	ret->has_memory = make_v1("memory", name, "memory.limit_in_bytes", limits->memory, ret);
	ret->has_pids = make_v1("pids", name, "pids.max", limits->pids, ret);
}

void jail_cgroup_enter(struct jail_cgroup *g)
{
	bool is_in = true;

	for (size_t i = 0; g->enters_itself && i < g->count; i++)
		is_in = write_file(g->dirs[i], "tasks", "0") == 0 && is_in;
	g->has_memory = g->has_memory && is_in;
	g->has_pids = g->has_pids && is_in;
}

void jail_cgroup_move(struct jail_cgroup *g, pid_t pid)
{
	for (size_t i = 0; !g->enters_itself && i < g->count; i++) {
		if (write_number(g->dirs[i], "cgroup.procs", (uint64_t)pid) == 0)
			continue;
		/* Seen where the common parent is not ours: rlimits take over. */
		jail_cgroup_remove(g);
		return;
	}
}

static void remove_dir(const char *dir)
{
	const struct timespec wait = { .tv_nsec = REMOVE_WAIT_NS };

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (rmdir(dir) == 0 || errno != EBUSY)
			return;
		(void)nanosleep(&wait, NULL);
	}
}

void jail_cgroup_remove(struct jail_cgroup *g)
{
	for (size_t i = 0; i < g->count; i++) {
		remove_dir(g->dirs[i]);
		free(g->dirs[i]);
	}
	*g = (struct jail_cgroup){ 0 };
}

/* rmdir() refuses a group that has processes: nothing that lives is touched. Those of a bottle
 * whose monitor was killed a moment ago are on their way out. */
static void reap_in(const char *where, const char *name)
{
	char parent[CGROUP_PATH_MAX], dir[CGROUP_PATH_MAX];

	if (snprintf(parent, sizeof(parent), "%s", where) >= (int)sizeof(parent) ||
	    !enter_shared(parent, false) ||
	    snprintf(dir, sizeof(dir), "%s/bot-bottle-%s", parent, name) >= (int)sizeof(dir))
		return;
	remove_dir(dir);
}

void jail_reap(const char *name)
{
	static const char *const controllers[] = { "memory", "pids" };
	char mnt[CGROUP_PATH_MAX], own[CGROUP_PATH_MAX], dir[2 * CGROUP_PATH_MAX];
	char *slash = NULL;

	for (size_t i = 0; i < BB_ARRAY_LEN(controllers); i++) {
		if (find_v1(controllers[i], dir))
			reap_in(dir, name);
	}
	if (!find_mount("cgroup2", NULL, mnt) || !find_own("", own))
		return;
	do {
		(void)snprintf(dir, sizeof(dir), "%s%s", mnt, own);
		reap_in(dir, name);
		slash = strrchr(own, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
}

bool jail_has_cgroup(void)
{
	const struct jail_limits limits = { .memory = 64ULL << 20, .pids = 16 };
	struct jail_cgroup g;
	bool has_both;
	char name[32];

	(void)snprintf(name, sizeof(name), "probe-%d", getpid());
	jail_cgroup_make(name, &limits, &g);
	has_both = g.has_memory && g.has_pids;
	jail_cgroup_remove(&g);
	return has_both;
}
