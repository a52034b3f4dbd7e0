/* What smolvm says about machines: ls, status, data-dir. */
#include <fcntl.h>
#include <string.h>

#include <jansson.h>

#include "backend/smolmachines/smolvm.h"
#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"

#define STATUS_MS    60000 /* ls looks at each dead machine for seconds */
#define DATA_DIR_MAX 4000
#define CONSOLE_TAIL 600 /* bytes */

static inline void status_unref(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(status_unref)))

const char *const smolvm_state_names[SMOLVM_NUM_STATES] = {
	[SMOLVM_CREATED] = "created",         [SMOLVM_RUNNING] = "running",
	[SMOLVM_STOPPED] = "stopped",         [SMOLVM_FAILED] = "failed",
	[SMOLVM_UNREACHABLE] = "unreachable", [SMOLVM_OTHER] = "other",
};

static int not_understood(struct bb_err *err, const char *what)
{
	return bb_err_set(err, -EPROTO, "smolvm's list of machines is not understood: %s", what);
}

static int parse_machine(const json_t *o, struct smolvm_status *ret, struct bb_err *err)
{
	const json_t *name = json_object_get(o, "name");
	const json_t *state = json_object_get(o, "state");
	const json_t *pid = json_object_get(o, "pid");
	int index;

	*ret = (struct smolvm_status){ .state = SMOLVM_OTHER };
	if (!json_is_string(name) || strlen(json_string_value(name)) > SMOLVM_NAME_MAX)
		return not_understood(err, "a machine without a name");
	(void)snprintf(ret->name, sizeof(ret->name), "%s", json_string_value(name));
	if (!json_is_string(state))
		return not_understood(err, "a machine without a state");
	index = bb_table_index(smolvm_state_names, SMOLVM_OTHER,
			       bb_view_str(json_string_value(state)));
	if (index >= 0)
		ret->state = (enum smolvm_state)index;
	if (json_is_integer(pid) && json_integer_value(pid) > 0 &&
	    json_integer_value(pid) <= INT32_MAX)
		ret->pid = (pid_t)json_integer_value(pid);
	else if (pid != NULL && !json_is_null(pid))
		return not_understood(err, "a machine's pid is no process");
	ret->network = json_is_true(json_object_get(o, "network"));
	return 0;
}

static json_t *parse(struct bb_view text, struct bb_err *err)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);

	if (root == NULL)
		(void)not_understood(err, BB_ESCAPED(bb_view_str(why.text)));
	return root;
}

int smolvm_parse_status(struct bb_view text, struct smolvm_status *ret, struct bb_err *err)
{
	AUTO_JSON json_t *root = parse(text, err);
	struct smolvm_status found;
	int r;

	if (root == NULL)
		return -EPROTO;
	if (!json_is_object(root))
		return not_understood(err, "it is no object");
	r = parse_machine(root, &found, err);
	if (r == 0)
		*ret = found;
	return r;
}

int smolvm_parse_ls(struct bb_view text, struct smolvm_status **ret, size_t *ret_count,
		    struct bb_err *err)
{
	AUTO_JSON json_t *root = parse(text, err);
	BB_AUTO_FREE struct smolvm_status *all = NULL;
	size_t n = json_array_size(root);

	if (root == NULL)
		return -EPROTO;
	if (!json_is_array(root))
		return not_understood(err, "it is no array");
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		int r = parse_machine(json_array_get(root, i), &all[i], err);

		if (r < 0)
			return r;
	}
	*ret = bb_take_ptr(&all);
	*ret_count = n;
	return 0;
}

int smolvm_ls(const struct smolvm *vm, struct smolvm_status **ret, size_t *ret_count,
	      struct bb_err *err)
{
	struct smolvm_result result;
	int r = smolvm_run_checked(vm, smolvm_argv_ls(), STATUS_MS, &result, err);

	if (r == 0)
		r = smolvm_parse_ls(bb_buf_peek(&result.out), ret, ret_count, err);
	smolvm_result_done(&result);
	return r;
}

int smolvm_status(const struct smolvm *vm, const char *name, struct smolvm_status *ret,
		  struct bb_err *err)
{
	struct smolvm_result result;
	BB_AUTO_FREE char *words = NULL;
	int r = smolvm_run(vm, smolvm_argv_status(name), NULL, STATUS_MS, &result, err);

	words = smolvm_words(&result);
	if (r == 0 && result.code != 0 && words != NULL && strstr(words, "not found") != NULL)
		r = bb_err_set(err, -ENOENT, "there is no machine '%s'", name);
	else if (r == 0 && result.code != 0)
		r = bb_err_set(err, -EIO, "'smolvm status' failed with code %d: %s", result.code,
			       words == NULL ? "?" : words);
	else if (r == 0)
		r = smolvm_parse_status(bb_buf_peek(&result.out), ret, err);
	smolvm_result_done(&result);
	return r;
}

int smolvm_data_dir(const struct smolvm *vm, const char *name, char **ret, struct bb_err *err)
{
	struct smolvm_result result;
	BB_AUTO_FREE char *dir = NULL;
	int r = smolvm_run_checked(vm, smolvm_argv_data_dir(&vm->quirks, name), STATUS_MS, &result,
				   err);

	if (r == 0) {
		struct bb_view v = bb_buf_peek(&result.out);

		while (v.n > 0 && v.p[v.n - 1] == '\n')
			v.n--;
		if (v.n == 0 || v.n > DATA_DIR_MAX || v.p[0] != '/' ||
		    memchr(v.p, '\n', v.n) != NULL || memchr(v.p, '\0', v.n) != NULL)
			r = bb_err_set(err, -EPROTO,
				       "'smolvm data-dir' gives no directory but '%s'",
				       BB_ESCAPED(v));
		else
			dir = strndup((const char *)v.p, v.n);
	}
	smolvm_result_done(&result);
	if (r == 0 && dir == NULL)
		r = bb_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		*ret = bb_take_ptr(&dir);
	return r;
}

char *smolvm_console_tail(const char *data_dir)
{
	BB_AUTO_FREE char *path =
		data_dir == NULL ? NULL : bb_text_printf("%s/agent-console.log", data_dir);
	BB_AUTO_CLOSE int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t tail[CONSOLE_TAIL];
	char shown[CONSOLE_TAIL * 4 + 8];
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	ssize_t n = size <= 0 ? 0
			      : pread(fd, tail, sizeof(tail),
				      size > CONSOLE_TAIL ? size - CONSOLE_TAIL : 0);

	while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r'))
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (tail[i] == '\n' || tail[i] == '\r')
			tail[i] = ' ';
	return strdup(bb_text_escape(shown, sizeof(shown), bb_view_of(tail, n < 0 ? 0 : (size_t)n),
				     CONSOLE_TAIL));
}
