/*
 * archive --skopeo--> registry on loopback --smolvm pack create--> pack.
 *
 * All of it happens in a child of its own network namespace: the registry asks nobody for a
 * password, and on the host's loopback another user could put an image of his in the way. The
 * manifest is named by its digest all the same, so that what is packed is what was copied even
 * where there are no namespaces.
 *
 * Packs are kept by content and by smolvm's version, below the cache directory, and renamed into
 * place whole. One lock: two bottles of the same image make one pack.
 */
#include "backend/smolmachines/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backend/smolmachines/registry.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "store/store.h"

#define PACK_TEMP        "tmp-pack"
#define PACK_COPY_MS     (10 * 60 * 1000) /* half a gigabyte is compressed and copied */
#define PACK_CREATE_MS   (15 * 60 * 1000) /* a helper machine boots, pulls and unpacks */
#define PACK_LOCK_MS     200              /* between two looks at somebody else's lock */
#define PACK_DIGITS      64
#define PACK_DIGEST_SIZE (7 + PACK_DIGITS) /* "sha256:" */

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

/* --- making one --------------------------------------------------------------------------------
 */

static char **words(const char *const *list)
{
	BB_AUTO_STRV char **argv = NULL;

	for (size_t i = 0; list[i] != NULL; i++)
		if (bb_strv_push(&argv, strdup(list[i])) < 0)
			return NULL;
	return bb_take_ptr(&argv);
}

/* Docker's format: the one that was seen to work with smolvm 0.8. */
static int copy_in(const struct smolvm *vm, const char *oci_path, const char *dir, uint16_t port,
		   struct bb_err *err)
{
	BB_AUTO_FREE char *program = smolvm_search(smolvm_variable(vm, "PATH"), "skopeo");
	BB_AUTO_FREE char *from = bb_text_printf("oci-archive:%s", oci_path);
	BB_AUTO_FREE char *to = bb_text_printf("docker://127.0.0.1:%u/bot-bottle/image:1", port);
	BB_AUTO_FREE char *digest = bb_text_printf("%s/digest", dir);
	const struct smolvm tool = { .path = program,
				     .env = vm->env,
				     .interrupt_fd = vm->interrupt_fd };
	struct smolvm_result result = { 0 };
	int r;

	if (program == NULL || from == NULL || to == NULL || digest == NULL)
		return no_memory(err);
	r = smolvm_run_checked(&tool,
			       words((const char *const[]){
				       "skopeo", "copy", "--quiet", "--insecure-policy", "--tmpdir",
				       dir, "--format", "v2s2", "--dest-tls-verify=false",
				       "--dest-no-creds", "--digestfile", digest, from, to, NULL }),
			       PACK_COPY_MS, &result, err);
	smolvm_result_done(&result);
	return r;
}

/* As skopeo computed it from what it sent: the registry is not asked. */
static int read_digest(const char *dir, char ret[PACK_DIGEST_SIZE + 1], struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/digest", dir);
	BB_AUTO_BUF struct bb_buf b = { .cap = 256 };
	struct bb_view v;
	int r = path == NULL ? no_memory(err) : bb_path_read(path, 1, &b, err);

	if (r < 0)
		return r;
	v = bb_buf_peek(&b);
	while (v.n > 0 && v.p[v.n - 1] == '\n')
		v.n--;
	if (v.n != PACK_DIGEST_SIZE || memcmp(v.p, "sha256:", 7) != 0)
		return bb_err_set(err, -EPROTO, "skopeo wrote no digest");
	memcpy(ret, v.p, v.n);
	ret[v.n] = '\0';
	if (strspn(ret + 7, "0123456789abcdef") != PACK_DIGITS)
		return bb_err_set(err, -EPROTO, "skopeo wrote no digest");
	return 0;
}

static int create(const struct smolvm *vm, const char *dir, uint16_t port, struct bb_err *err)
{
	BB_AUTO_FREE char *reference = NULL;
	BB_AUTO_FREE char *out = bb_text_printf("%s/pack", dir);
	char digest[PACK_DIGEST_SIZE + 1];
	struct smolvm_result result = { 0 };
	int r = read_digest(dir, digest, err);

	if (r < 0)
		return r;
	reference = bb_text_printf("127.0.0.1:%u/bot-bottle/image@%s", port, digest);
	if (reference == NULL || out == NULL)
		return no_memory(err);
	r = smolvm_run_checked(vm, smolvm_argv_pack(reference, out), PACK_CREATE_MS, &result, err);
	smolvm_result_done(&result);
	return r;
}

/* In the child. */
static int make(const struct smolvm *vm, const char *oci_path, const char *dir,
		int (*enter)(struct bb_err *err), struct bb_err *err)
{
	struct registry registry = REGISTRY_NONE;
	int r = enter == NULL ? 0 : enter(err);

	if (r == 0)
		r = registry_start(vm, dir, &registry, err);
	if (r == 0)
		r = copy_in(vm, oci_path, dir, registry.port, err);
	if (r == 0)
		r = create(vm, dir, registry.port, err);
	registry_stop(&registry);
	return r;
}

/* The child's programs are killed with it, and it with us. */
static _Noreturn void run_child(const struct smolvm *vm, const char *oci_path, const char *dir,
				int (*enter)(struct bb_err *err), int report_fd)
{
	struct bb_err err = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	err.code = make(vm, oci_path, dir, enter, &err);
	(void)bb_fd_write_all(report_fd, &err, sizeof(err)); /* nobody hears: gone as well */
	_exit(err.code == 0 ? 0 : 1);
}

static int make_apart(const struct smolvm *vm, const char *oci_path, const char *dir,
		      int (*enter)(struct bb_err *err), struct bb_err *err)
{
	struct bb_err told = { 0 };
	BB_AUTO_CLOSE int report = -1;
	int ends[2], status = 0, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	report = ends[0];
	pid = fork();
	if (pid == 0)
		run_child(vm, oci_path, dir, enter, ends[1]);
	(void)close(ends[1]); /* the child's */
	if (pid < 0)
		return bb_err_errno(err, "fork");
	r = bb_fd_read_full(report, &told, sizeof(told));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return bb_err_set(err, -EIO, "the process that packs the image died");
	told.msg[sizeof(told.msg) - 1] = '\0';
	return told.code == 0 ? 0 : bb_err_set(err, told.code, "%s", told.msg);
}

/* --- keeping them ------------------------------------------------------------------------------
 */

static int lock(const struct smolvm *vm, const char *packs, int *ret_fd, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/lock", packs);
	BB_AUTO_CLOSE int fd =
		path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return bb_err_errno(err, "lock of '%s'", packs);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct pollfd p = { .fd = vm->interrupt_fd };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return bb_err_errno(err, "lock of '%s'", packs);
		/* Whoever holds it has time limits for all that it does. */
		if (poll(&p, 1, PACK_LOCK_MS) > 0)
			return bb_err_set(err, -ECANCELED,
					  "interrupted while another bottle packs an image");
	}
	*ret_fd = bb_take_fd(&fd);
	return 0;
}

static int publish(const char *dir, const char *pack, struct bb_err *err)
{
	BB_AUTO_FREE char *made = bb_text_printf("%s/pack.smolmachine", dir);
	BB_AUTO_CLOSE int fd = made == NULL ? -1 : open(made, O_RDONLY | O_CLOEXEC);

	if (made == NULL)
		return no_memory(err);
	if (fd < 0)
		return bb_err_errno(err, "smolvm said that it made a pack, but there is none");
	if (fsync(fd) < 0 || rename(made, pack) < 0)
		return bb_err_errno(err, "cannot keep the pack '%s'", pack);
	return 0;
}

static int make_locked(const struct smolvm *vm, const char *oci_path, const char *packs,
		       const char *pack, int (*enter)(struct bb_err *err), struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/" PACK_TEMP, packs);
	int r = dir == NULL ? no_memory(err) : bb_path_remove_tree(dir, err); /* a killed one's */

	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0)
		return bb_err_errno(err, "cannot make '%s'", dir);
	r = make_apart(vm, oci_path, dir, enter, err);
	if (r == 0)
		r = publish(dir, pack, err);
	(void)bb_path_remove_tree(dir, NULL); /* the next one tries again */
	return r;
}

int smolpack_find(const struct smolvm *vm, const char *oci_path, const char *content_id,
		  int (*enter)(struct bb_err *err), char **ret_pack, struct bb_err *err)
{
	BB_AUTO_FREE char *cache = store_cache_dir(err);
	BB_AUTO_FREE char *packs = bb_text_printf("%s/packs", cache == NULL ? "" : cache);
	BB_AUTO_FREE char *pack =
		bb_text_printf("%s/%s-%u.%u.%u.smolmachine", packs == NULL ? "" : packs, content_id,
			       vm->version.major, vm->version.minor, vm->version.patch);
	BB_AUTO_CLOSE int lock_fd = -1;
	int r = 0;

	if (cache == NULL || packs == NULL || pack == NULL)
		return no_memory(err);
	if (access(pack, R_OK) < 0) {
		r = smolpack_check(vm, err);
		if (r == 0)
			r = bb_path_mkdirs(packs, 0700, err);
		if (r == 0)
			r = lock(vm, packs, &lock_fd, err);
		if (r == 0 && access(pack, R_OK) < 0) /* else somebody made it meanwhile */
			r = make_locked(vm, oci_path, packs, pack, enter, err);
	}
	if (r < 0)
		return bb_err_wrap(err, "cannot pack the image");
	*ret_pack = bb_take_ptr(&pack);
	return 0;
}
