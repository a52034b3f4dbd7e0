/*
 * mkfs.erofs with fixed choices. lz4hc level 9: level 12 takes longer and gains nothing (measured).
 * Times are kept because Python compares them with those in its compiled files: one time for all
 * would make every start compile its library again. A fixed file system id keeps equal roots equal.
 */
#include "image/erofs.h"

#include "base/cleanup.h"
#include "base/text.h"

int erofs_make(struct image_job *job, struct bb_err *err)
{
	const char *const argv[] = { "mkfs.erofs",
				     "--quiet",
				     "-zlz4hc,9",
				     "-x-1",
				     "--all-root",
				     "--preserve-mtime",
				     "-U00000000-0000-4000-8000-000000000000",
				     "root.erofs",
				     "root",
				     NULL };
	const struct job_tool tool = { .package = "erofs-utils", .argv = argv, .cwd = job->dir };

	return job_run(job, &tool, err);
}
