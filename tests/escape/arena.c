/* See arena.h. */
#include "arena.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/namespace/namespace.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "sys/linux/process.h"

const char *arena_probe(void)
{
	static char path[4096];
	BB_AUTO_FREE char *dir = bb_path_self_dir();

	(void)snprintf(path, sizeof(path), "%s/escape/escape-probe", dir != NULL ? dir : "");
	return path;
}

struct jail *arena_start(const struct arena_run *run, int hold_fd, int *ret_fd)
{
	static char *const all[] = { (char *)(uintptr_t) "probe", (char *)(uintptr_t) "attack",
				     (char *)(uintptr_t) "bottle", NULL };
	struct image host = { .is_host = true };
	struct backend_plan plan = { .identity = "arena", .image = &host };
	__attribute__((cleanup(layout_done))) struct layout layout = { 0 };
	BB_AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct bb_err err = { 0 };
	struct jail_plan jail;
	struct jail *j = NULL;
	char name[64];
	int ends[2];

	(void)snprintf(name, sizeof(name), "arena-%d", getpid());
	plan.identity = name;
	plan.resources.disk_bytes = run->disk != 0 ? run->disk : 64ULL << 20;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	{
		BB_AUTO_CLOSE int write_end = ends[1];
		const struct spawn_fd fds[NAMESPACE_FDS] = {
			{ .from = write_end, .to = 1 },
			{ .from = write_end, .to = 2 },
			{ .from = hold_fd >= 0 ? hold_fd : null_fd, .to = 3 },
		};

		assert_int_equal(layout_build(&layout, &host, &plan.resources, arena_probe(), &err),
				 0);
		namespace_jail_plan(&plan, &layout, fds, &jail);
		jail.argv = run->argv != NULL ? run->argv : all;
		jail.envp = run->envp;
		jail.filter = run->filter;
		jail.limits = run->limits;
		jail.wants_uid_range = run->wants_uid_range;
		if (jail_start(&jail, &j, &err) < 0)
			fail_msg("%s", err.msg);
	}
	*ret_fd = ends[0];
	return j;
}

void arena_collect(int fd, struct bb_buf *out)
{
	uint64_t deadline = bb_clock_ms() + ARENA_TIMEOUT_MS;

	for (;;) {
		uint8_t block[4096];
		ssize_t n;

		if (process_poll(fd, bb_clock_left_ms(deadline)) < 0)
			fail_msg("no end of the output within %d ms", ARENA_TIMEOUT_MS);
		n = read(fd, block, sizeof(block));
		if (n <= 0)
			break;
		assert_int_equal(bb_buf_append(out, block, (size_t)n), 0);
	}
	assert_int_equal(bb_buf_append_byte(out, 0), 0);
}

int arena_finish(const struct arena_run *run, struct bb_buf *out)
{
	int fd, code;
	struct jail *j = arena_start(run, -1, &fd);

	arena_collect(fd, out);
	(void)close(fd);
	assert_int_equal(process_poll(jail_pidfd(j), ARENA_TIMEOUT_MS), 0);
	code = jail_exit_code(j);
	jail_free(j);
	return code;
}

long arena_number(const struct bb_buf *out, const char *word)
{
	const char *line = (const char *)bb_buf_peek(out).p;
	size_t n = strlen(word);

	while (line != NULL && *line != '\0') {
		if (strncmp(line, word, n) == 0 && line[n] == ' ')
			return strtol(line + n + 1, NULL, 10);
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return -1;
}

void arena_skip(const char *why)
{
	print_message("# skipped: %s\n", why);
	skip();
	abort(); /* skip() does not return */
}
