/* Progress that a person can read: one line that fills on a terminal, one line a step elsewhere.
 * The text is the builder's own. */
#include "image/build.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define BAR_CELLS 24

void image_bar_init(struct image_bar *bar, int fd)
{
	const char *term = getenv("TERM");

	*bar = (struct image_bar){ .fd = fd };
	bar->is_terminal = isatty(fd) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static void bar_draw(struct image_bar *bar, const char *text, int percent)
{
	char cells[BAR_CELLS + 1];
	char line[256];
	int n;

	for (int i = 0; i < BAR_CELLS; i++)
		cells[i] = i * 100 < percent * BAR_CELLS ? '#' : '.';
	cells[BAR_CELLS] = '\0';
	n = snprintf(line, sizeof(line), "\r\033[K[%s] %3d%% %.60s", cells, percent, text);
	if (n > 0)
		(void)bb_fd_write_all(bar->fd, line,
				      (size_t)n); /* progress that cannot be shown is no failure */
	bar->is_drawn = true;
}

void image_bar_report(void *arg, const char *text, int percent)
{
	struct image_bar *bar = arg;
	char line[256];
	int n;

	if (percent > 100)
		percent = 100;
	if (bar->is_terminal) {
		bar_draw(bar, text, percent);
		return;
	}
	if (strncmp(bar->last, text, sizeof(bar->last) - 1) == 0)
		return; /* a step that only moved */
	(void)snprintf(bar->last, sizeof(bar->last), "%s", text);
	n = snprintf(line, sizeof(line), "%s\n", text);
	if (n > 0)
		(void)bb_fd_write_all(bar->fd, line, (size_t)n);
}

void image_bar_end(struct image_bar *bar)
{
	if (bar->is_drawn)
		(void)bb_fd_write_all(bar->fd, "\n", 1);
	bar->is_drawn = false;
}
