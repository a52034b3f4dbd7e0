/*
 * The libraries are what the host's own loader says it would load (ld.so --list): some 150, a
 * question of 30 ms, so the answer is kept, keyed by the program's identity, and asked again when a
 * file of it is gone.
 */
#include "backend/microvm/qemu.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/distro.h"
#include "base/path.h"
#include "base/text.h"
#include "store/store.h"
#include "sys/spawn.h"

#define QEMU_LIST_MAX        (256 * 1024)
#define QEMU_FILES_MAX       1024
#define QEMU_LIST_TIMEOUT_MS 20000

static const char qemu_loader[] = "/lib64/ld-linux-x86-64.so.2";

static const char *const qemu_programs[] = { "/usr/bin/qemu-system-x86_64",
					     "/usr/local/bin/qemu-system-x86_64" };

/* Loaded by QEMU itself, so the loader does not list it; where TCG is built in there is none. */
static const char *const qemu_modules[] = { "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
					    "/usr/lib/qemu/accel-tcg-x86_64.so" };

static const char *const qemu_firmware[] = { "/usr/share/qemu", "/usr/share/seabios",
					     "/usr/local/share/qemu" };

BB_DEFINE_AUTO(qemu, qemu_free)

void qemu_free(struct qemu *q)
{
	if (q == NULL)
		return;
	free(q->path);
	bb_strv_free(q->files);
	bb_strv_free(q->trees);
	free(q);
}

static int push_copy(char ***strv, const char *text)
{
	char *copy = strdup(text);

	return copy == NULL ? -ENOMEM : bb_strv_push(strv, copy);
}

/* Takes the absolute path out of "\tlibz.so.1 => /lib/.../libz.so.1 (0x...)" and "\t/lib64/ld...
 * (0x...)". */
static int push_listed(char *line, char ***files)
{
	char *path = strchr(line, '/');
	char *end = path == NULL ? NULL : strstr(path, " (0x");

	if (end == NULL)
		return 0;
	*end = '\0';
	return push_copy(files, path);
}

static int parse_list(const struct bb_buf *out, char ***files)
{
	BB_AUTO_FREE char *text = bb_buf_dup_str(out);
	char *rest = text;
	int r = text == NULL ? -ENOMEM : 0;

	for (char *line = strsep(&rest, "\n"); line != NULL && r == 0; line = strsep(&rest, "\n"))
		r = push_listed(line, files);
	if (r == 0 && bb_strv_len(*files) > QEMU_FILES_MAX)
		return -E2BIG;
	return r;
}

static int ask_loader(const char *program, struct bb_buf *out, struct bb_err *err)
{
	BB_AUTO_FREE char *loader = strdup(qemu_loader);
	BB_AUTO_FREE char *target = strdup(program);
	char list[] = "--list";
	char *const argv[] = { loader, list, target, NULL };
	struct spawn_plan plan = { .path = qemu_loader, .argv = argv, .dies_with_parent = true };
	int r = spawn_run(&plan, QEMU_LIST_TIMEOUT_MS, out, err);

	if (r < 0)
		return r;
	return r == 0 ? 0
		      : bb_err_set(err, BB_E_MISSING,
				   "the loader cannot list the libraries of '%s'", program);
}

/* The cache's first line: what the answer is for. */
static char *list_key(const char *program)
{
	struct stat st;

	if (stat(program, &st) < 0)
		return NULL;
	return bb_text_printf("%s %llu %llu %lld.%09ld %lld\n", program,
			      (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			      (long long)st.st_size);
}

static bool all_there(char *const *files)
{
	for (size_t i = 0; files != NULL && files[i] != NULL; i++)
		if (access(files[i], R_OK) < 0)
			return false;
	return files != NULL;
}

static int list_from_cache(const char *cache, const char *key, char ***files)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = QEMU_LIST_MAX };

	if (bb_path_read(cache, 1, &text, NULL) < 0 || bb_buf_size(&text) <= strlen(key) ||
	    memcmp(bb_buf_peek(&text).p, key, strlen(key)) != 0)
		return -ENOENT;
	bb_buf_consume(&text, strlen(key));
	if (parse_list(&text, files) == 0 && all_there(*files))
		return 0;
	bb_strv_free(*files);
	*files = NULL;
	return -ENOENT;
}

static int list_libraries(const char *program, char ***files, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = QEMU_LIST_MAX };
	BB_AUTO_FREE char *dir = store_cache_dir(NULL);
	BB_AUTO_FREE char *cache = dir == NULL ? NULL : bb_text_printf("%s/qemu-libraries", dir);
	BB_AUTO_FREE char *key = list_key(program);
	int r;

	if (cache != NULL && key != NULL && list_from_cache(cache, key, files) == 0)
		return 0;
	if (key != NULL && bb_buf_append_str(&out, key) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = ask_loader(program, &out, err);
	if (r < 0)
		return r;
	if (cache != NULL && key != NULL && bb_path_mkdirs(dir, 0755, NULL) == 0)
		(void)bb_path_write_atomic(cache, bb_buf_peek(&out).p, bb_buf_size(&out), 0600,
					   NULL); /* not kept: asked again next time */
	if (key != NULL)
		bb_buf_consume(&out, strlen(key));
	r = parse_list(&out, files);
	return r < 0 ? bb_err_set(err, r, "the loader's list for '%s' is not understood", program)
		     : 0;
}

int qemu_find(struct qemu **ret, struct bb_err *err)
{
	BB_AUTO(qemu) struct qemu *q = calloc(1, sizeof(*q));
	const char *program = NULL;
	int r;

	for (size_t i = 0; i < BB_ARRAY_LEN(qemu_programs) && program == NULL; i++)
		if (access(qemu_programs[i], X_OK) == 0)
			program = qemu_programs[i];
	if (program == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "QEMU ('qemu-system-x86_64') is not installed; %s",
				  BB_INSTALL("qemu-system-x86"));
	if (q == NULL || (q->path = strdup(program)) == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = list_libraries(program, &q->files, err);
	if (r < 0)
		return r;

	r = push_copy(&q->files, program);
	for (size_t i = 0; i < BB_ARRAY_LEN(qemu_modules) && r == 0; i++)
		if (access(qemu_modules[i], R_OK) == 0)
			r = push_copy(&q->files, qemu_modules[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(qemu_firmware) && r == 0; i++)
		if (access(qemu_firmware[i], R_OK) == 0)
			r = push_copy(&q->trees, qemu_firmware[i]);
	if (r < 0)
		return bb_err_set(err, r, "out of memory");
	*ret = bb_take_ptr(&q);
	return 0;
}
