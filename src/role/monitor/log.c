/*
 * monitor.log: what the monitor and its parts write to standard error, in one bounded file. They
 * write into a pipe; its bytes are moved by splice(), so what a part that was taken over writes
 * never comes into the monitor's memory. The pipe does not block its writers: a flood is dropped.
 */
#include "role/monitor/monitor_impl.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define LOG_CHUNK 65536

/* 1: moved something; 0: nothing there. */
static int move_some(struct log_pipe *log)
{
	bool is_full = log->written >= LIMIT_BUNDLE_LOG;
	int to = is_full ? log->null_fd : log->file_fd;
	size_t most = is_full ? LOG_CHUNK : LIMIT_BUNDLE_LOG - log->written;
	ssize_t n = splice(log->read_fd, NULL, to, NULL, most, SPLICE_F_NONBLOCK);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && !is_full) {
		log->written = LIMIT_BUNDLE_LOG; /* the disk is full: drop from now on */
		return 1;
	}
	if (n <= 0)
		return 0;
	log->written += (uint64_t)n;
	return 1;
}

static void on_log(void *arg, int events)
{
	struct monitor *m = arg;

	(void)events;
	(void)move_some(&m->log); /* once a turn: a flood does not starve the others */
}

int log_open(struct monitor *m, struct bb_err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	m->log.read_fd = fds[0];
	m->log.write_fd = fds[1];
	return 0;
}

int log_start(struct monitor *m, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/monitor.log", m->state_dir);

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	m->log.file_fd = open(path,
			      O_WRONLY | O_CREAT | (m->plan->is_resumed ? O_TRUNC : O_EXCL) |
				      O_CLOEXEC | O_NOFOLLOW,
			      0600);
	if (m->log.file_fd < 0)
		return bb_err_errno(err, "cannot write '%s'", path);
	m->log.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (m->log.null_fd < 0)
		return bb_err_errno(err, "cannot open '/dev/null'");
	if (dup2(m->log.write_fd, 1) < 0 || dup2(m->log.write_fd, 2) < 0)
		return bb_err_errno(err, "cannot redirect standard error");
	m->log.watch = loop_fd_new(m->loop, m->log.read_fd, LOOP_READ, on_log, m);
	return m->log.watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

void log_drain(struct monitor *m)
{
	for (int i = 0; i < 16 && m->log.read_fd >= 0 && move_some(&m->log) > 0; i++)
		continue;
}

void log_free(struct monitor *m)
{
	loop_fd_free(m->log.watch);
	m->log.watch = NULL;
	for (size_t i = 0; i < 4; i++) {
		int *fds[] = { &m->log.read_fd, &m->log.write_fd, &m->log.file_fd,
			       &m->log.null_fd };

		if (*fds[i] >= 0)
			(void)close(bb_take_fd(fds[i]));
	}
}
