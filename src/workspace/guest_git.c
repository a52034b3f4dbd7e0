/* What of a ledger becomes a guest's .git; see ledger.h. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limit.h"
#include "base/text.h"
#include "workspace/credential.h"
#include "workspace/ledger.h"

#define REMOTES_CAP (256 * 1024)

/* Everything else of the ledger (its configuration, its attributes) stays. */
static const char *const parts[] = { "HEAD", "index", "packed-refs", "shallow", "refs", "objects" };

static const char guest_config[] = "[core]\n"
				   "\trepositoryformatversion = %d\n"
				   "\tfilemode = true\n"
				   "\tbare = false\n"
				   "\tlogallrefupdates = true\n";

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

static int add(const char *top, const char *path, unsigned depth, struct bb_buf *ret,
	       struct bb_err *err)
{
	BB_AUTO_FREE char *full = bb_text_printf("%s/%s", top, path);
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	struct dirent *e;
	struct stat st;
	int r;

	if (full == NULL)
		return no_memory(err);
	if (lstat(full, &st) < 0)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot read '%s'", full);
	r = bb_buf_append(ret, path, strlen(path) + 1);
	if (r < 0)
		return bb_err_set(err, BB_E_LIMIT, "the repository holds too many files");
	if (!S_ISDIR(st.st_mode) || depth > LIMIT_ARCHIVE_DEPTH)
		return 0;
	dir = opendir(full);
	if (dir == NULL)
		return bb_err_errno(err, "cannot read '%s'", full);
	while (r == 0 && (e = readdir(dir)) != NULL) {
		BB_AUTO_FREE char *below = bb_text_printf("%s/%s", path, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = below == NULL ? no_memory(err) : add(top, below, depth + 1, ret, err);
	}
	return r;
}

int ledger_guest_files(const struct ledger *l, struct bb_buf *ret, struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(parts); i++)
		r = add(l->dir, parts[i], 0, ret, err);
	return r;
}

/* Of another machine, so of any use in a guest: not a path of this one, and no ext:: that names a
 * program. */
static bool is_remote_url(const char *url)
{
	static const char *const schemes[] = { "https://", "http://", "ssh://", "git://" };
	size_t host = strcspn(url, ":/");

	for (size_t i = 0; i < BB_ARRAY_LEN(schemes); i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			return true;
	/* user@host:path */
	return host > 0 && url[0] != '-' && url[host] == ':' && url[host + 1] != ':' &&
	       url[host + 1] != '\0' && memchr(url, '@', host) != NULL;
}

static bool is_plain(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
	       '\0';
}

/* A value of git's configuration between double quotes. */
static int put_quoted(struct bb_buf *to, const char *s)
{
	int r = bb_buf_append_byte(to, '"');

	for (; r == 0 && *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			r = bb_buf_append_byte(to, '\\');
		if (r == 0)
			r = bb_buf_append_byte(to, (uint8_t)*s);
	}
	return r == 0 ? bb_buf_append_str(to, "\"\n") : r;
}

/* "remote.NAME.url\nVALUE" */
static int put_remote(struct bb_buf *to, const char *entry, char ***notes)
{
	const char *value = strchr(entry, '\n');
	BB_AUTO_FREE char *name = NULL, *url = NULL;
	size_t at = 0, n;
	int r;

	if (value == NULL || value - entry < 12)
		return 0;
	name = strndup(entry + 7, (size_t)(value - entry) - 11);
	url = strdup(value + 1);
	if (name == NULL || url == NULL)
		return -ENOMEM;
	if (!is_plain(name) || !is_remote_url(url) || strpbrk(url, "\n\r\t") != NULL)
		return 0;
	n = credential_in_url(url, &at);
	if (n > 0) {
		memmove(url + at, url + at + n, strlen(url + at + n) + 1);
		r = bb_strv_push(notes,
				 bb_text_printf("the credential in the address of remote '%s' "
						"is left out",
						name));
		if (r < 0)
			return r;
	}
	r = bb_buf_printf(to, "[remote \"%s\"]\n\turl = ", name);
	if (r == 0)
		r = put_quoted(to, url);
	return r == 0 ? bb_buf_printf(to, "\tfetch = +refs/heads/*:refs/remotes/%s/*\n", name) : r;
}

int ledger_guest_config(const struct ledger *l, const struct workspace_list *list, char **ret,
			char ***notes, struct bb_err *err)
{
	const char *const args[] = {
		"config", "-z", "--local", "--get-regexp", "^remote\\..*\\.url$", NULL
	};
	const char *const format[] = { "config", "--get", "extensions.objectFormat", NULL };
	BB_AUTO_BUF struct bb_buf out = { 0 }, text = { 0 };
	char access[GIT_DIRS_MAX + 1], object_format[LEDGER_ID_MAX];
	struct git_call call = { .wait = l->wait, .args = args, .out = &out, .may_fail = true };
	const char *entry;
	struct bb_view v;
	int r;

	bb_buf_init(&out, REMOTES_CAP);
	bb_buf_init(&text, 2 * REMOTES_CAP);
	repo_call(list->repo, list->dir, NULL, &call, access);
	r = git_run(&call, err);
	if (r >= 0)
		r = ledger_ask_id(l, &(struct ledger_git){ .may_fail = true }, format,
				  object_format, err);
	if (r < 0)
		return r;
	r = bb_buf_printf(&text, guest_config, object_format[0] != '\0' ? 1 : 0);
	if (r == 0 && object_format[0] != '\0')
		r = bb_buf_printf(&text, "[extensions]\n\tobjectFormat = %s\n", object_format);
	v = bb_buf_peek(&out);
	while (r == 0 && git_next(&v, &entry))
		r = put_remote(&text, entry, notes);
	*ret = r < 0 ? NULL : bb_buf_dup_str(&text);
	return *ret == NULL ? no_memory(err) : 0;
}
