/* The list of mounts of a namespace bottle; see layout.h. Nothing is mounted here. */
#include "backend/namespace/layout.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

#define CA_FILE "/etc/ssl/certs/ca-certificates.crt"

/* The bottle's disk, shared out: the agent's home gets most. /run holds sockets and pid files. */
#define RUN_BYTES                (16ULL << 20)
#define SHARE(bytes, sixteenths) ((bytes) / 16 * (sixteenths))

static void add(struct layout *l, const struct jail_mount *m)
{
	assert(l->count < LAYOUT_MOUNTS_MAX); /* the lists below are constant */
	l->mounts[l->count++] = *m;
}

static void add_all(struct layout *l, const struct jail_mount *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(l, &list[i]);
}

/* A content of our own or read from path; NULL when there is no room (the lists are constant). */
static struct bb_buf *new_file(struct layout *l)
{
	struct bb_buf *b;

	assert(l->file_count < LAYOUT_FILES_MAX);
	b = &l->files[l->file_count++];
	bb_buf_init(b, LAYOUT_FILE_MAX);
	return b;
}

static void add_file(struct layout *l, const char *target, const struct bb_buf *b)
{
	struct bb_view v = bb_buf_peek(b);

	add(l, &(struct jail_mount){
		       .kind = JAIL_FILE, .target = target, .content = v.p, .content_size = v.n });
}

static int add_text(struct layout *l, const char *target, const char *text, struct bb_err *err)
{
	struct bb_buf *b = new_file(l);

	if (bb_buf_append_str(b, text) < 0)
		return bb_err_set(err, -ENOMEM, "no memory");
	add_file(l, target, b);
	return 0;
}

static const struct jail_mount dev_mounts[] = {
	{ .kind = JAIL_DIR, .target = "/dev" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/null", .target = "/dev/null" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/zero", .target = "/dev/zero" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/full", .target = "/dev/full" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/random", .target = "/dev/random" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/urandom", .target = "/dev/urandom" },
	{ .kind = JAIL_BIND_DEV, .source = "/dev/tty", .target = "/dev/tty" },
	{ .kind = JAIL_SYMLINK, .source = "pts/ptmx", .target = "/dev/ptmx" },
	{ .kind = JAIL_DEVPTS, .target = "/dev/pts" },
	{ .kind = JAIL_SYMLINK, .source = "/proc/self/fd", .target = "/dev/fd" },
	{ .kind = JAIL_SYMLINK, .source = "/proc/self/fd/0", .target = "/dev/stdin" },
	{ .kind = JAIL_SYMLINK, .source = "/proc/self/fd/1", .target = "/dev/stdout" },
	{ .kind = JAIL_SYMLINK, .source = "/proc/self/fd/2", .target = "/dev/stderr" },
};

static void add_file_systems(struct layout *l, uint64_t disk)
{
	const struct jail_mount list[] = {
		{ .kind = JAIL_PROC, .target = "/proc" },
		{ .kind = JAIL_TMPFS, .target = "/home/node", .size = SHARE(disk, 10) },
		{ .kind = JAIL_TMPFS, .target = "/tmp", .size = SHARE(disk, 4), .mode = 01777 },
		{ .kind = JAIL_TMPFS, .target = "/var/tmp", .size = SHARE(disk, 1), .mode = 01777 },
		{ .kind = JAIL_TMPFS, .target = "/dev/shm", .size = SHARE(disk, 1), .mode = 01777 },
		{ .kind = JAIL_TMPFS, .target = "/run", .size = RUN_BYTES },
	};

	add_all(l, list, BB_ARRAY_LEN(list));
}

/* Files that bottle-init rewrites in place once it knows the bottle's name and certificate. */
static int add_small_files(struct layout *l, struct bb_err *err)
{
	int r = add_text(l, "/etc/resolv.conf", "nameserver 127.0.0.1\n", err);

	if (r == 0)
		r = add_text(l, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", err);
	if (r == 0)
		r = add_text(l, "/etc/hostname", "bottle\n", err);
	return r;
}

/* Of the host's /etc what programs of /usr need to run; no configuration that an operator wrote. */
static const struct jail_mount host_etc[] = {
	{ .kind = JAIL_BIND_RO, .source = "/etc/alternatives", .target = "/etc/alternatives" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/ld.so.cache", .target = "/etc/ld.so.cache" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/ssl/certs", .target = "/etc/ssl/certs" },
	{ .kind = JAIL_BIND_RO,
	  .source = "/etc/ssl/openssl.cnf",
	  .target = "/etc/ssl/openssl.cnf" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/localtime", .target = "/etc/localtime" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/services", .target = "/etc/services" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/protocols", .target = "/etc/protocols" },
	{ .kind = JAIL_BIND_RO, .source = "/etc/mime.types", .target = "/etc/mime.types" },
};

/* /bin, /lib and the like: what they are on the host, a link into /usr or a directory. */
static int add_host_tops(struct layout *l, struct bb_err *err)
{
	static const char *const tops[] = {
		"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"
	};

	_Static_assert(BB_ARRAY_LEN(tops) <= BB_ARRAY_LEN(l->links), "room for each link");
	for (size_t i = 0; i < BB_ARRAY_LEN(tops); i++) {
		struct jail_mount m = { .kind = JAIL_BIND_RO,
					.source = tops[i],
					.target = tops[i] };
		struct stat st;
		ssize_t n;

		if (lstat(tops[i], &st) < 0)
			continue;
		if (S_ISLNK(st.st_mode)) {
			n = readlink(tops[i], l->links[i], sizeof(l->links[i]) - 1);
			if (n < 0)
				return bb_err_errno(err, "'%s'", tops[i]);
			l->links[i][n] = '\0';
			m.kind = JAIL_SYMLINK;
			m.source = l->links[i];
		}
		add(l, &m);
	}
	return 0;
}

static int add_host(struct layout *l, struct bb_err *err)
{
	const struct jail_mount usr = { .kind = JAIL_BIND_RO, .source = "/usr", .target = "/usr" };
	struct bb_buf *ca;
	int r;

	add(l, &usr);
	r = add_host_tops(l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < BB_ARRAY_LEN(host_etc); i++) {
		struct jail_mount m = host_etc[i];

		m.is_optional = true;
		add(l, &m);
	}
	r = add_text(l, "/etc/passwd",
		     "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
		     "node:x:1000:1000::/home/node:/bin/bash\n"
		     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		     err);
	if (r == 0)
		r = add_text(l, "/etc/group", "root:x:0:\nnode:x:1000:\nnogroup:x:65534:\n", err);
	if (r == 0)
		r = add_text(l, "/etc/nsswitch.conf",
			     "passwd: files\ngroup: files\nhosts: files dns\n", err);
	if (r < 0)
		return r;
	ca = new_file(l);
	(void)bb_path_read(CA_FILE, 0, ca, NULL); /* a host without certificates: ours only */
	add_file(l, CA_FILE, ca);
	return 0;
}

/* The certificate file of the topmost layer that has one. */
static void read_image_ca(const struct image *image, struct bb_buf *ca)
{
	for (size_t i = 0; i < image->layer_count; i++) {
		char path[4096];

		if (image->dirs[i] == NULL ||
		    snprintf(path, sizeof(path), "%s" CA_FILE, image->dirs[i]) >= (int)sizeof(path))
			continue;
		if (bb_path_read(path, 1, ca, NULL) == 0)
			return;
		bb_buf_reset(ca);
	}
}

static int add_image(struct layout *l, const struct image *image, struct bb_err *err)
{
	struct bb_buf *ca;

	bb_buf_init(&l->layers, LAYOUT_FILE_MAX);
	for (size_t i = 0; i < image->layer_count; i++) {
		if (image->dirs[i] == NULL)
			return bb_err_set(err, BB_E_MISSING,
					  "image '%s' has no directory form; build it again with "
					  "'bot-bottle image build %s'",
					  image->name, image->name);
		if (bb_buf_printf(&l->layers, "%s%s", i > 0 ? ":" : "", image->dirs[i]) < 0)
			return bb_err_set(err, -ENOMEM, "no memory");
	}
	if (bb_buf_append_byte(&l->layers, 0) < 0)
		return bb_err_set(err, -ENOMEM, "no memory");
	add(l, &(struct jail_mount){ .kind = JAIL_OVERLAY_RO,
				     .source = (const char *)bb_buf_peek(&l->layers).p,
				     .target = "/" });
	ca = new_file(l);
	read_image_ca(image, ca);
	add_file(l, CA_FILE, ca);
	return 0;
}

int layout_build(struct layout *l, const struct image *image,
		 const struct backend_resources *resources, const char *init_path,
		 struct bb_err *err)
{
	int r;

	*l = (struct layout){ 0 };
	r = image->is_host ? add_host(l, err) : add_image(l, image, err);
	if (r < 0)
		return r;
	add_all(l, dev_mounts, BB_ARRAY_LEN(dev_mounts));
	add_file_systems(l, resources->disk_bytes);
	r = add_small_files(l, err);
	if (r < 0)
		return r;
	add(l, &(struct jail_mount){
		       .kind = JAIL_BIND_RO, .source = init_path, .target = LAYOUT_INIT_PATH });
	return 0;
}

void layout_done(struct layout *l)
{
	for (size_t i = 0; i < l->file_count; i++)
		bb_buf_done(&l->files[i]);
	bb_buf_done(&l->layers);
}
