/*
 * The base image: a minimal Debian of the host's own release, and that release's cloud kernel with
 * the few modules a bottle needs. mmdebstrap makes the root, as root or in a user namespace, and
 * writes it as tar; unpacked here it belongs to the operator, so that one directory serves the
 * namespace backend of any user and an erofs with every file owned by root serves the microVM. No
 * set-uid bits, no devices, no hostname or resolver of the build host, no download location of its
 * apt: those may hold credentials.
 */
#include "image/job.h"

#include <fcntl.h>
#include <fts.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "image/erofs.h"
#include "image/kernel.h"
#include "image/sources.h"

#define BASE_SOURCES_MAX (64 * 1024)
#define BASE_CONFIG_MAX  (256 * 1024)

/* What a coding agent expects of a system, beside what is essential anyway. */
#define BASE_PACKAGES "ca-certificates,curl,git,less,make,patch,procps,python3"

/* What mmdebstrap says when a phase begins, and how far the build is then (thousandths of the
 * step). */
static const struct {
	const char *said, *shown;
	int done;
} base_phases[] = {
	{ "running apt-get update", "reading the package lists", 20 },
	{ "downloading packages", "downloading packages", 100 },
	{ "extracting archives", "unpacking the essential packages", 300 },
	{ "installing essential", "installing the essential packages", 400 },
	{ "installing remaining", "installing the other packages", 600 },
	{ "running --customize-hook", "downloading the kernel", 900 },
	{ "cleaning package lists", "cleaning up", 950 },
};

/* Small files whose content is ours. */
static const struct {
	const char *path, *text;
} base_files[] = {
	{ "etc/hostname", "bottle\n" },
	{ "etc/hosts", "127.0.0.1 localhost bottle\n::1 localhost bottle\n" },
	{ "etc/resolv.conf", "nameserver 127.0.0.1\n" },
	{ "etc/machine-id", "" },
};

/* Lines added to files that Debian wrote: the user every agent runs as. */
static const struct {
	const char *path, *text;
} base_lines[] = {
	{ "etc/passwd", "node:x:1000:1000::/home/node:/bin/bash\n" },
	{ "etc/group", "node:x:1000:\n" },
	{ "etc/shadow", "node:*:19000:0:99999:7:::\n" },
	{ "etc/gshadow", "node:!::\n" },
};

/* Trees whose content a build leaves behind and an image does not need, or must not have. */
static const char *const base_unwanted[] = {
	KERNEL_DROP,
	"dev",
	"proc",
	"sys",
	"tmp",
	"run",
	"var/log",
	"var/cache",
	"var/lib/apt",
	"var/tmp",
	"etc/apt/apt.conf.d",
	"etc/apt/sources.list.d",
	"etc/apt/auth.conf.d",
	"boot",
};

static void base_line(struct image_job *job, const char *line)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(base_phases); i++)
		if (strstr(line, base_phases[i].said) != NULL)
			job_move(job, base_phases[i].done, base_phases[i].shown);
}

static bool has_subuid(const char *user, uid_t uid)
{
	BB_AUTO_FCLOSE FILE *f = fopen("/etc/subuid", "re");
	char number[16];
	char line[256];

	(void)snprintf(number, sizeof(number), "%u:", uid);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		size_t n = strlen(user);

		if ((strncmp(line, user, n) == 0 && line[n] == ':') ||
		    strncmp(line, number, strlen(number)) == 0)
			return true;
	}
	return false;
}

int base_check(struct bb_err *err)
{
	static const char *const programs[][2] = {
		{ "mmdebstrap", "mmdebstrap" },
		{ "mkfs.erofs", "erofs-utils" },
		{ "dpkg-deb", "dpkg" },
		{ "apt-get", "apt" },
		{ "tar", "tar" },
	};
	const struct passwd *pw;

	for (size_t i = 0; i < BB_ARRAY_LEN(programs); i++) {
		int r = job_need_program(programs[i][0], programs[i][1], err);

		if (r < 0)
			return r;
	}
	if (geteuid() == 0)
		return 0;
	pw = getpwuid(geteuid());
	if (pw == NULL || !has_subuid(pw->pw_name, pw->pw_uid))
		return bb_err_set(
			err, BB_E_MISSING,
			"building without root needs a range of user ids of your own; run as root: "
			"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
			pw == NULL ? "USER" : pw->pw_name);
	return job_need_program("newuidmap", "uidmap", err);
}

static int write_at(int dir_fd, const char *path, int flags, const void *p, size_t n,
		    struct bb_err *err)
{
	BB_AUTO_CLOSE int fd =
		openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
	int r;

	if (fd < 0)
		return bb_err_errno(err, "cannot write '%s'", path);
	r = bb_fd_write_all(fd, p, n);
	return r < 0 ? bb_err_set(err, r, "cannot write '%s': %s", path, bb_err_name(r)) : 0;
}

/* What mmdebstrap is to use: the filtered sources, and how the host's apt reaches them (proxies and
 * the like). */
static int base_configure(struct image_job *job, char **ret_codename, struct bb_err *err)
{
	static const char *const dump[] = { "apt-config", "dump", "Acquire", NULL };
	BB_AUTO_BUF struct bb_buf sources = { .cap = BASE_SOURCES_MAX };
	BB_AUTO_BUF struct bb_buf config = { .cap = BASE_CONFIG_MAX };
	const struct job_tool tool = { .package = "apt", .argv = dump, .out = &config };
	BB_AUTO_CLOSE int dir = open(job->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return bb_err_errno(err, "cannot open '%s'", job->scratch);
	r = sources_of_host(&sources, ret_codename, err);
	if (r == 0)
		r = job_run(job, &tool, err);
	if (r == 0)
		r = write_at(dir, "host.sources", O_CREAT | O_EXCL, bb_buf_peek(&sources).p,
			     bb_buf_size(&sources), err);
	if (r == 0)
		r = write_at(dir, "apt.conf", O_CREAT | O_EXCL, bb_buf_peek(&config).p,
			     bb_buf_size(&config), err);
	return r;
}

/* mmdebstrap | tar. As an ordinary user its working tree stays in TMPDIR as it is: the ids of the
 * range must be able to reach it, and a home directory usually shuts them out. */
static int base_bootstrap(struct image_job *job, const char *codename, const char *root,
			  struct bb_err *err)
{
	BB_AUTO_FREE char *sources = bb_text_printf("%s/host.sources", job->scratch);
	BB_AUTO_FREE char *config = bb_text_printf("--aptopt=%s/apt.conf", job->scratch);
	BB_AUTO_FREE char *hook = bb_text_printf("--customize-hook=%s", kernel_hook);
	BB_AUTO_FREE char *temp = bb_text_printf("TMPDIR=%s", job->scratch);
	const char *const make[] = {
		"mmdebstrap", geteuid() == 0 ? "--mode=root" : "--mode=unshare",
		"--variant=minbase", "--format=tar",
		/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): meant as one */
		"--include=" BASE_PACKAGES, "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", config, hook, codename, "-", sources,
		NULL
	};
	const char *const unpack[] = { "tar",
				       "-x",
				       "-f",
				       "-",
				       "--no-same-owner",
				       "--no-same-permissions",
				       "--exclude=./dev/*",
				       NULL };
	const char *const env[] = { geteuid() == 0 ? temp : NULL, NULL };
	const struct job_tool from = {
		.package = "mmdebstrap", .argv = make, .env = env, .line = base_line
	};
	const struct job_tool to = { .package = "tar", .argv = unpack, .cwd = root };

	if (sources == NULL || config == NULL || hook == NULL || temp == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (mkdir(root, 0755) < 0)
		return bb_err_errno(err, "cannot make '%s'", root);
	return job_pipe(job, &from, &to, err);
}

/* Package names and versions out of dpkg's own status file. */
static int base_list_packages(const char *root, struct image_record *r, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/var/lib/dpkg/status", root);
	BB_AUTO_FCLOSE FILE *f = path == NULL ? NULL : fopen(path, "re");
	BB_AUTO_FREE char *line = NULL;
	BB_AUTO_FREE char *name = NULL;
	size_t cap = 0;
	ssize_t n;

	if (f == NULL)
		return bb_err_errno(err, "cannot read the package list '%s'", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (strncmp(line, "Package: ", 9) == 0) {
			free(name);
			name = strdup(line + 9);
		} else if (strncmp(line, "Version: ", 9) == 0 && name != NULL) {
			char *text = bb_text_printf("%s %s", name, line + 9);

			if (text == NULL || bb_strv_push(&r->packages, text) < 0)
				return bb_err_set(err, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

static int base_settle(const char *root, struct bb_err *err)
{
	BB_AUTO_CLOSE int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? bb_err_errno(err, "cannot open '%s'", root) : 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(base_unwanted) && r == 0; i++) {
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", root, base_unwanted[i]);

		r = path == NULL ? -ENOMEM : bb_path_remove_tree(path, err);
		if (r == 0 && strcmp(base_unwanted[i], KERNEL_DROP) != 0 && mkdir(path, 0755) < 0)
			r = bb_err_errno(err, "cannot make '%s'", path);
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(base_files) && r == 0; i++) {
		(void)unlinkat(dir, base_files[i].path, 0); /* may be a link or missing */
		r = write_at(dir, base_files[i].path, O_CREAT | O_EXCL, base_files[i].text,
			     strlen(base_files[i].text), err);
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(base_lines) && r == 0; i++)
		r = write_at(dir, base_lines[i].path, O_APPEND, base_lines[i].text,
			     strlen(base_lines[i].text), err);
	(void)unlinkat(dir, "etc/apt/sources.list", 0); /* where this mmdebstrap writes one */
	if (r == 0 && mkdirat(dir, "home/node", 0755) < 0)
		r = bb_err_errno(err, "cannot make 'home/node'");
	if (r == 0 && (mkdirat(dir, "dev/pts", 0755) < 0 || mkdirat(dir, "dev/shm", 0755) < 0))
		r = bb_err_errno(err, "cannot make the device directories");
	if (r == 0 &&
	    (fchmodat(dir, "tmp", 01777, 0) < 0 || fchmodat(dir, "var/tmp", 01777, 0) < 0))
		r = bb_err_errno(err, "cannot open the temporary directories to all");
	return r;
}

/* Everything readable by everybody (the directory form is used under other ids), nothing set-uid.
 */
static int base_permissions(const char *root, struct bb_err *err)
{
	BB_AUTO_FREE char *path = strdup(root);
	char *const paths[] = { path, NULL };
	FTS *tree = path == NULL ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int r = tree == NULL ? bb_err_errno(err, "cannot read '%s'", root) : 0;

	for (FTSENT *e = r < 0 ? NULL : fts_read(tree); e != NULL && r == 0; e = fts_read(tree)) {
		mode_t mode = e->fts_statp->st_mode & 07777;
		mode_t wanted = mode;

		if (e->fts_info == FTS_D)
			wanted = (mode & 01777) | 0755;
		else if (e->fts_info == FTS_F)
			wanted = (mode & 0777) | 0444;
		else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			r = bb_err_set(err, -e->fts_errno, "cannot read '%s'", e->fts_path);
		if (wanted != mode && chmod(e->fts_path, wanted) < 0)
			r = bb_err_errno(err, "cannot open '%s' to all", e->fts_path);
	}
	if (tree != NULL)
		(void)fts_close(tree);
	return r;
}

int base_build(struct image_job *job, struct image_record *r, struct bb_err *err)
{
	BB_AUTO_FREE char *codename = NULL;
	BB_AUTO_FREE char *root = bb_text_printf("%s/root", job->dir);
	int n;

	if (root == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	job_step(job, 80, "reading the host's apt configuration");
	n = base_configure(job, &codename, err);
	if (n == 0)
		n = base_bootstrap(job, codename, root, err);
	if (n < 0)
		return n;

	job_step(job, 5, "taking the kernel and its modules");
	n = base_list_packages(root, r, err);
	if (n == 0)
		n = kernel_take(job, root, r, err);
	if (n == 0)
		n = base_settle(root, err);
	if (n == 0)
		n = base_permissions(root, err);
	if (n < 0)
		return n;

	job_step(job, 12, "compressing the root file system");
	return erofs_make(job, err);
}
