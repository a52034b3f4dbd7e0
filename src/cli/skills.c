/* See skills.h. Names of skills are checked where the manifest is read: they cannot leave their
 * directory. */
#include "cli/skills.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/transfer.h"
#include "store/store.h"

#define GUEST_SKILLS PROVIDER_HOME "/.claude/skills"
/* Git reads it beside ~/.gitconfig, which an image or the agent may have: that one is left alone.
 */
#define GIT_CONFIG ".config/git/config"

static bool is_directory(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Where the skill lies, on the heap; NULL: nowhere. */
static char *find(const char *name)
{
	BB_AUTO_FREE char *root = store_root(NULL);
	const char *home = getenv("HOME");
	BB_AUTO_FREE char *own = root == NULL ? NULL : bb_text_printf("%s/skills/%s", root, name);
	BB_AUTO_FREE char *shared =
		home == NULL ? NULL : bb_text_printf("%s/.claude/skills/%s", home, name);

	if (is_directory(own))
		return bb_take_ptr(&own);
	return is_directory(shared) ? bb_take_ptr(&shared) : NULL;
}

int cli_skills_check(const struct manifest_agent *a, struct bb_err *err)
{
	for (size_t i = 0; a->skills != NULL && a->skills[i] != NULL; i++) {
		BB_AUTO_FREE char *path = find(a->skills[i]);

		if (path == NULL)
			return bb_err_set(
				err, BB_E_USAGE,
				"manifest '%s':%u: there is no skill '%s': it is a "
				"directory ~/.bot-bottle/skills/%s or ~/.claude/skills/%s",
				a->file, a->skills_line, a->skills[i], a->skills[i], a->skills[i]);
	}
	return 0;
}

static int put_skill(struct cli_control *control, const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *path = find(name);
	BB_AUTO_FREE char *guest = bb_text_printf(GUEST_SKILLS "/%s", name);
	BB_AUTO_CLOSE int dir = -1;
	int r;

	if (path == NULL || guest == NULL)
		return bb_err_set(err, -ENOENT, "skill '%s' is not there any more", name);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	r = cli_transfer_put_tree(control, dir, guest, err);
	return r < 0 ? bb_err_wrap(err, "cannot copy skill '%s' into the bottle", name) : 0;
}

int cli_skills_put(struct cli_control *control, const struct manifest_agent *a, struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && a->skills != NULL && a->skills[i] != NULL; i++)
		r = put_skill(control, a->skills[i], err);
	return r;
}

/* One line of git's own format; NULL value: none. */
static int put_value(struct bb_buf *out, const char *key, const char *value)
{
	int r = value == NULL ? 0 : bb_buf_printf(out, "\t%s = \"", key);

	for (; r == 0 && value != NULL && *value != '\0'; value++)
		r = *value == '"' || *value == '\\' ? bb_buf_printf(out, "\\%c", *value)
						    : bb_buf_append_byte(out, (uint8_t)*value);
	return r == 0 && value != NULL ? bb_buf_append_str(out, "\"\n") : r;
}

int cli_identity_put(struct cli_control *control, const struct cli_config *c, struct bb_err *err)
{
	const struct manifest_git_user user = manifest_git_user_of(c->agent, c->bottle);
	BB_AUTO_BUF struct bb_buf text = { 0 };
	BB_AUTO_FREE char *content = NULL;
	struct provider_file file = { 0 };
	char path[] = GIT_CONFIG;
	int r;

	if (user.name == NULL && user.email == NULL)
		return 0;
	bb_buf_init(&text, 65536);
	r = bb_buf_append_str(&text, "[user]\n");
	if (r == 0)
		r = put_value(&text, "name", user.name);
	if (r == 0)
		r = put_value(&text, "email", user.email);
	content = r == 0 ? bb_buf_dup_str(&text) : NULL;
	if (content == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	file.path = path;
	file.content = content;
	r = cli_transfer_put_files(control, &file, 1, PROVIDER_HOME, err);
	return r < 0 ? bb_err_wrap(err, "cannot set the git identity") : 0;
}
