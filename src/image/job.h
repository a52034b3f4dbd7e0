/* One build in progress: what its steps share. Private to the builder. */
#ifndef BB_IMAGE_JOB_H
#define BB_IMAGE_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "image/build.h"
#include "image/image_impl.h"

struct image_job {
	const char *name;    /* of the image being built */
	const char *images;  /* the image directory */
	const char *dir;     /* the temporary directory; becomes the image */
	const char *scratch; /* beside it: downloads and what is thrown away */
	int signal_fd;       /* SIGINT and SIGTERM; -1: not taken over */
	image_progress_cb *report;
	void *arg;
	int percent; /* of the whole, where the current step began */
	int span;    /* how much of the whole the current step is worth */
};

/* Begins a step that is worth span percent: "NAME: text" is reported. */
void job_step(struct image_job *job, int span, const char *text);
/* Moves within the step: done of its thousand parts. */
void job_move(struct image_job *job, int done, const char *text);

struct job_tool {
	const char *package; /* what to install when it is missing */
	const char *const
		*argv;   /* argv[0]: a bare name, searched in PATH and the sbin directories */
	const char *cwd; /* NULL: "/" */
	const char *const *env; /* added to our own environment, NULL-terminated; NULL: nothing */
	struct bb_buf *out;     /* takes standard output; NULL: it goes where standard error does */
	const int *out_file;    /* a descriptor that takes standard output; NULL: as out says */
	/* Each line of standard error, for progress; NULL: none. */
	void (*line)(struct image_job *job, const char *line);
};

/* Runs one program to its end. 0; BB_E_MISSING, -EINTR (interrupted: it and its children are gone),
 * -ENOSPC or -EIO with its last words. */
int job_run(struct image_job *job, const struct job_tool *tool, struct bb_err *err);
/* Runs two at once, the first's standard output being the second's standard input. */
int job_pipe(struct image_job *job, const struct job_tool *from, const struct job_tool *to,
	     struct bb_err *err);

/* BB_E_MISSING with the package's name when the program is not there. */
int job_need_program(const char *name, const char *package, struct bb_err *err);

/* The first file below dir whose name ends in suffix, as a path on the heap, or NULL. */
char *job_find_file(const char *dir, const char *suffix);

/* The builders, one a name: fill job->dir (root/, and what else the image has) and the record. */
int base_build(struct image_job *job, struct image_record *r, struct bb_err *err);
int base_check(struct bb_err *err);
int agent_build(struct image_job *job, struct image_record *r, struct bb_err *err);
int agent_check(struct bb_err *err);

#endif
