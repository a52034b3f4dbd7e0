/*
 * See harden.h. Left out on purpose: a list of filter drivers to switch off. No git of ours checks
 * out or adds in a repository whose configuration somebody else wrote: the ledger's configuration
 * and attributes are ours (workspace/ledger.c), the operator's repository is only listed, fetched
 * from and given objects and a reference.
 */
#include "role/git/harden.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Each with the way in that it closes. */
static const char *const config[] = {
	"core.hooksPath=/dev/null", /* .git/hooks */
	"core.fsmonitor=false",     /* a program asked at every look at the index */
	"core.attributesFile=/dev/null",
	"core.sshCommand=/bin/false", /* transports */
	"core.gitProxy=/bin/false",
	"core.askPass=/bin/false",
	"core.editor=/bin/false",
	"core.pager=cat",
	"core.alternateRefsCommand=/bin/false",
	"core.autocrlf=false", /* bytes stay what they are */
	"core.safecrlf=false",
	"core.symlinks=true",
	"core.fileMode=true",
	"core.ignoreCase=false",
	"core.precomposeUnicode=false",
	"core.protectHFS=true", /* names that are '.git' on another file system */
	"core.protectNTFS=true",
	"core.untrackedCache=false",
	"core.splitIndex=false",
	"core.sparseCheckout=false",
	"core.commitGraph=false", /* caches that a guest could have written */
	"core.multiPackIndex=false",
	"core.logAllRefUpdates=true",
	"credential.helper=",
	"diff.noprefix=false",
	"diff.mnemonicPrefix=false",
	"diff.ignoreSubmodules=all",
	"submodule.recurse=false",
	"fetch.recurseSubmodules=false",
	"fetch.writeCommitGraph=false",
	"fetch.fsckObjects=true",
	"receive.fsckObjects=true",
	"transfer.fsckObjects=true",
	"transfer.bundleURI=false",
	"protocol.allow=never", /* ext::, http, ssh; a partial clone's missing objects too */
	"protocol.file.allow=always",
	"protocol.ext.allow=never",
	"uploadpack.packObjectsHook=",
	"commit.gpgSign=false",
	"tag.gpgSign=false",
	"gpg.program=/bin/false",
	"log.showSignature=false",
	"gc.auto=0",
	"gc.autoDetach=false",
	"maintenance.auto=false",
	"trace2.normalTarget=0",
	"trace2.eventTarget=0",
	"trace2.perfTarget=0",
	"advice.detachedHead=false",
	"init.defaultBranch=main",
	"pack.threads=2",
};

static const char *const environment_fixed[] = {
	"PATH=/usr/bin:/bin:/usr/local/bin",
	"LC_ALL=C.UTF-8",
	"HOME=/nonexistent",
	"XDG_CONFIG_HOME=/nonexistent",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_SYSTEM=/dev/null",
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_ATTR_NOSYSTEM=1",
	"GIT_ALLOW_PROTOCOL=file",
	"GIT_PROTOCOL_FROM_USER=0",
	"GIT_TERMINAL_PROMPT=0",
	"GIT_ASKPASS=/bin/false",
	"SSH_ASKPASS=/bin/false",
	"GIT_SSH_COMMAND=/bin/false",
	"GIT_EDITOR=/bin/false",
	"GIT_PAGER=cat",
	"PAGER=cat",
	"GIT_OPTIONAL_LOCKS=0",
	"GIT_LITERAL_PATHSPECS=1",
	"GIT_NO_REPLACE_OBJECTS=1",
	"GIT_NO_LAZY_FETCH=1",
};

/* Where git works and who it says it is; all else of the caller's environment ends here. */
static const char *const passed[] = {
	"GIT_DIR=",
	"GIT_WORK_TREE=",
	"GIT_INDEX_FILE=",
	"GIT_CEILING_DIRECTORIES=",
	"GIT_AUTHOR_NAME=",
	"GIT_AUTHOR_EMAIL=",
	"GIT_AUTHOR_DATE=",
	"GIT_COMMITTER_NAME=",
	"GIT_COMMITTER_DATE=",
	"GIT_COMMITTER_EMAIL=",
};

bool harden_passes(const char *entry)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(passed); i++)
		if (strncmp(entry, passed[i], strlen(passed[i])) == 0)
			return true;
	return false;
}

char **harden_argv(char *const *args)
{
	BB_AUTO_STRV char **argv = NULL;
	int r = bb_strv_push(&argv, strdup("git"));

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(config); i++) {
		r = bb_strv_push(&argv, strdup("-c"));
		if (r == 0)
			r = bb_strv_push(&argv, strdup(config[i]));
	}
	for (size_t i = 0; r == 0 && args[i] != NULL; i++)
		r = bb_strv_push(&argv, strdup(args[i]));
	return r == 0 ? bb_take_ptr(&argv) : NULL;
}

char **harden_env(char *const *environment)
{
	BB_AUTO_STRV char **env = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(environment_fixed); i++)
		r = bb_strv_push(&env, strdup(environment_fixed[i]));
	for (size_t i = 0; r == 0 && environment[i] != NULL; i++)
		if (harden_passes(environment[i]))
			r = bb_strv_push(&env, strdup(environment[i]));
	return r == 0 ? bb_take_ptr(&env) : NULL;
}
