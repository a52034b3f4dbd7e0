/*
 * One function a command. Lists are built without checks between: a failed push is remembered and
 * the whole is NULL.
 */
#include "backend/smolmachines/argv.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define MIB (1024ULL * 1024)
#define GIB (1024 * MIB)
/* What smolvm's second disk holds beside what the guest writes: the image. The file is sparse. */
#define STORAGE_IMAGE_GIB 8
#define NAME_PREFIX       "bot-bottle-"

struct list {
	char **argv;
	bool failed;
};

static void add(struct list *l, char *text)
{
	if (text == NULL || bb_strv_push(&l->argv, text) < 0)
		l->failed = true;
}

static void add_words(struct list *l, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		add(l, strdup(words[i]));
}

static void add_pair(struct list *l, const char *option, const char *value)
{
	add(l, strdup(option));
	add(l, strdup(value));
}

static char **finish(struct list *l)
{
	if (!l->failed)
		return l->argv;
	bb_strv_free(l->argv);
	return NULL;
}

/* smolvm machine VERB */
static struct list begin(const char *verb)
{
	struct list l = { 0 };

	add_words(&l, (const char *const[]){ "smolvm", "machine", verb, NULL });
	return l;
}

static void add_name(struct list *l, bool named_flag, const char *name)
{
	if (named_flag)
		add(l, strdup("--name"));
	add(l, strdup(name));
}

char **smolvm_argv_version(void)
{
	struct list l = { 0 };

	add_words(&l, (const char *const[]){ "smolvm", "--version", NULL });
	return finish(&l);
}

static void add_resources(struct list *l, const struct smolvm_machine_plan *plan)
{
	unsigned long long disk_gib = (plan->disk_bytes + GIB - 1) / GIB;

	add(l, strdup("--cpus"));
	add(l, bb_text_printf("%u", plan->cpus));
	add(l, strdup("--mem"));
	add(l, bb_text_printf("%llu", (unsigned long long)(plan->memory_bytes / MIB)));
	add(l, strdup("--storage"));
	add(l, bb_text_printf("%llu", disk_gib + STORAGE_IMAGE_GIB));
	add(l, strdup("--overlay"));
	add(l, bb_text_printf("%llu", disk_gib));
}

char **smolvm_argv_create(const struct smolvm_quirks *q, const struct smolvm_machine_plan *plan)
{
	struct list l = begin("create");

	if (q->named_flag)
		add_name(&l, true, plan->name);
	if (plan->pack != NULL)
		add_pair(&l, "--from", plan->pack);
	if (plan->image != NULL)
		add_pair(&l, "--image", plan->image);
	if (plan->socket_host != NULL) {
		add(&l, strdup("--mount-socket"));
		add(&l, bb_text_printf("%s:%s", plan->socket_host, plan->socket_guest));
	}
	add_resources(&l, plan);
	if (q->labels)
		add_pair(&l, "--label", "owner=bot-bottle");
	if (!q->named_flag)
		add_name(&l, false, plan->name);
	if (plan->workload != NULL) {
		add(&l, strdup("--"));
		for (size_t i = 0; plan->workload[i] != NULL; i++)
			add(&l, strdup(plan->workload[i]));
	}
	return finish(&l);
}

char **smolvm_argv_start(const char *name)
{
	struct list l = begin("start");

	add_name(&l, true, name);
	return finish(&l);
}

char **smolvm_argv_stop(const char *name)
{
	struct list l = begin("stop");

	add_name(&l, true, name);
	return finish(&l);
}

/* -f: without it smolvm asks, and takes the end of its input for a no that is a success. */
char **smolvm_argv_delete(const struct smolvm_quirks *q, const char *name)
{
	struct list l = begin("delete");

	add(&l, strdup("-f"));
	add_name(&l, q->named_flag, name);
	return finish(&l);
}

char **smolvm_argv_status(const char *name)
{
	struct list l = begin("status");

	add_name(&l, true, name);
	add(&l, strdup("--json"));
	return finish(&l);
}

char **smolvm_argv_ls(void)
{
	struct list l = begin("ls");

	add(&l, strdup("--json"));
	return finish(&l);
}

char **smolvm_argv_data_dir(const struct smolvm_quirks *q, const char *name)
{
	struct list l = begin("data-dir");

	add_name(&l, q->named_flag, name);
	return finish(&l);
}

char **smolvm_argv_exec(const char *name, bool passes_stdin, unsigned timeout_s,
			char *const *command)
{
	struct list l = begin("exec");

	add_name(&l, true, name);
	if (timeout_s != 0) {
		add(&l, strdup("--timeout"));
		add(&l, bb_text_printf("%us", timeout_s));
	}
	if (passes_stdin)
		add(&l, strdup("-i"));
	add(&l, strdup("--"));
	for (size_t i = 0; command[i] != NULL; i++)
		add(&l, strdup(command[i]));
	return finish(&l);
}

char **smolvm_argv_pack(const char *reference, const char *out)
{
	struct list l = { 0 };

	add_words(&l, (const char *const[]){ "smolvm", "pack", "create", "--image", reference, "-o",
					     out, NULL });
	return finish(&l);
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool smolvm_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > SMOLVM_NAME_MAX || !is_alnum(s[0]) || s[n - 1] == '-' ||
	    strstr(s, "--") != NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

int smolvm_machine_name(const char *identity, char *dst, size_t cap, struct bb_err *err)
{
	int n = snprintf(dst, cap, NAME_PREFIX "%s", identity);

	for (char *p = dst + sizeof(NAME_PREFIX) - 1; n > 0 && (size_t)n < cap && *p != '\0'; p++)
		if (*p == '-')
			*p = '_'; /* identities may hold what smolvm's names may not: "--" */
	if (n < 0 || (size_t)n >= cap || identity[0] == '\0' || !smolvm_is_name(dst))
		return bb_err_set(err, -EINVAL, "'%s' gives no machine a name",
				  BB_ESCAPED(bb_view_str(identity)));
	return 0;
}

char *smolvm_machine_identity(const char *name)
{
	size_t n = sizeof(NAME_PREFIX) - 1;
	char *identity;

	if (strncmp(name, NAME_PREFIX, n) != 0 || name[n] == '\0' || !smolvm_is_name(name))
		return NULL;
	identity = strdup(name + n);
	for (char *p = identity; p != NULL && *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	return identity;
}
