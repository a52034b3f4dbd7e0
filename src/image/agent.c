/*
 * Agent layers: one program from one npm platform package, pinned by version and by the integrity
 * hash that npm publishes. The host's npm fetches it from wherever the host is configured to; the
 * hash is checked here, over the archive, before anything is unpacked, and no install script runs
 * (npm pack runs none of a fetched package; --ignore-scripts says so again).
 */
#include "image/job.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "image/erofs.h"
#include "image/integrity.h"

struct agent_pin {
	const char *image;   /* our name */
	const char *package; /* npm's name */
	const char *version;
	const char *integrity; /* of the archive, as npm writes it */
	const char *member;    /* the program in the archive */
	const char *target;    /* where it goes in the root */
};

static const struct agent_pin agent_pins[] = {
	{ "claude", "@anthropic-ai/claude-code-linux-x64", "2.1.331",
	  "sha512-IpvZ9c/NopO/sr8ThWLVAUDXVAFT3auLWrhbR6wq1dgkuJfZYdTtoXf6GajE5KL9R58iTt/"
	  "86OPXrJAsM4+l8g==",
	  "package/claude", "usr/local/bin/claude" },
};

int agent_check(struct bb_err *err)
{
	int r = job_need_program("npm", "npm", err);

	if (r == 0)
		r = job_need_program("tar", "tar", err);
	return r < 0 ? r : job_need_program("mkfs.erofs", "erofs-utils", err);
}

static const struct agent_pin *agent_find(const char *image)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(agent_pins); i++)
		if (strcmp(agent_pins[i].image, image) == 0)
			return &agent_pins[i];
	return NULL;
}

static int agent_fetch(struct image_job *job, const struct agent_pin *pin, char **ret_archive,
		       struct bb_err *err)
{
	BB_AUTO_FREE char *spec = bb_text_printf("%s@%s", pin->package, pin->version);
	BB_AUTO_BUF struct bb_buf name = { .cap = 4096 };
	const char *const argv[] = {
		"npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", job->scratch,
		spec,  NULL
	};
	const struct job_tool tool = {
		.package = "npm", .argv = argv, .cwd = job->scratch, .out = &name
	};
	int r;

	if (spec == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = job_run(job, &tool, err);
	if (r < 0)
		return bb_err_wrap(err, "fetching '%s' with npm", spec);
	*ret_archive = job_find_file(job->scratch, ".tgz");
	return *ret_archive == NULL ? bb_err_set(err, -EIO, "npm brought no archive of '%s'", spec)
				    : 0;
}

static int agent_unpack(struct image_job *job, const struct agent_pin *pin, const char *archive,
			struct bb_err *err)
{
	const char *const argv[] = { "tar",       "-x", "-z", "-f", archive, "--no-same-owner",
				     pin->member, NULL };
	const struct job_tool tool = { .package = "tar", .argv = argv, .cwd = job->scratch };
	BB_AUTO_FREE char *from = bb_text_printf("%s/%s", job->scratch, pin->member);
	BB_AUTO_FREE char *to = bb_text_printf("%s/root/%s", job->dir, pin->target);
	BB_AUTO_FREE char *folder = NULL;
	int r;

	if (from == NULL || to == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = job_run(job, &tool, err);
	if (r < 0)
		return r;
	folder = strndup(to, (size_t)(strrchr(to, '/') - to));
	if (folder == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_mkdirs(folder, 0755, err);
	if (r < 0)
		return r;
	if (rename(from, to) < 0 || chmod(to, 0755) < 0)
		return bb_err_errno(err, "cannot put '%s' in place", pin->target);
	return 0;
}

int agent_build(struct image_job *job, struct image_record *r, struct bb_err *err)
{
	const struct agent_pin *pin = agent_find(job->name);
	BB_AUTO_FREE char *archive = NULL;
	char *listed;
	int n;

	if (pin == NULL || r->parent_id == NULL)
		return bb_err_set(err, -EINVAL, "image '%s' has no base to stand on", job->name);
	job_step(job, 45, "downloading the agent with npm");
	n = agent_fetch(job, pin, &archive, err);
	if (n < 0)
		return n;
	assert(archive != NULL);
	job_step(job, 5, "checking what was downloaded");
	n = integrity_check_file(archive, pin->integrity, err);
	if (n < 0)
		return n;

	job_step(job, 10, "unpacking the agent");
	n = agent_unpack(job, pin, archive, err);
	if (n < 0)
		return n;
	listed = bb_text_printf("%s %s %s", pin->package, pin->version, pin->integrity);
	if (listed == NULL || bb_strv_push(&r->packages, listed) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	(void)unlink(archive); /* its room is wanted by the next step; the scratch directory goes
				  anyway */
	job_step(job, 38, "compressing the agent");
	return erofs_make(job, err);
}
