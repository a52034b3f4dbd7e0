/*
 * A backend and images for tests of the monitor alone: the "guest" is the program `fake-guest`
 * beside the monitor, with the stream as descriptor 3 and the console as descriptor 2. It isolates
 * nothing, so it is linked into a test's monitor only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/backend_impl.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "sys/spawn.h"

struct fake_guest {
	struct backend_guest base;
	struct spawn_child child;
};

static const struct backend fake = { .name = "namespace" };

const struct backend *backend_find(const char *name)
{
	return strcmp(name, fake.name) == 0 ? &fake : NULL;
}

int backend_start(const struct backend *b, const struct backend_plan *plan, int stream_fd,
		  struct backend_guest **ret, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = bb_text_printf("%s/fake-guest", dir);
	struct fake_guest *g = calloc(1, sizeof(*g));
	char name[] = "fake-guest";
	int r;

	if (g == NULL || path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	g->base.backend = b;
	r = spawn_start(&(struct spawn_plan){ .path = path,
					      .argv = (char *[]){ name, NULL },
					      .fds = (struct spawn_fd[]){ { stream_fd, 3 },
									  { plan->console_fd, 2 } },
					      .fd_count = 2,
					      .dies_with_parent = true },
			&g->child, err);
	if (r < 0) {
		free(g);
		return r;
	}
	(void)close(stream_fd);
	*ret = &g->base;
	return 0;
}

bool backend_is_kept(const struct backend *b)
{
	(void)b;
	return false;
}

/* Never called: this backend is not kept. */
int backend_guest_event_fd(const struct backend_guest *g)
{
	(void)g;
	return -1;
}

int backend_guest_next_event(struct backend_guest *g, struct backend_event *ret, struct bb_err *err)
{
	(void)g;
	(void)ret;
	return bb_err_set(err, -ENOTSUP, "not kept");
}

void backend_event_done(struct backend_event *e)
{
	(void)e;
}

int backend_guest_minted(struct backend_guest *g, struct bb_view ca_pem, struct bb_err *err)
{
	(void)g;
	(void)ca_pem;
	return bb_err_set(err, -ENOTSUP, "not kept");
}

void backend_guest_end(struct backend_guest *g)
{
	(void)g;
}

bool backend_guest_is_left(struct backend_guest *g)
{
	(void)g;
	return false;
}

int backend_guest_launch(struct backend_guest *g, struct bb_err *err)
{
	(void)g;
	return bb_err_set(err, -ENOTSUP, "not kept");
}

int backend_guest_started(struct backend_guest *g, struct bb_err *err)
{
	(void)g;
	(void)err;
	return 0;
}

int backend_guest_pidfd(const struct backend_guest *g)
{
	return ((const struct fake_guest *)(const void *)g)->child.pidfd;
}

const char *backend_guest_note(const struct backend_guest *g)
{
	(void)g;
	return "no isolation at all";
}

uint64_t backend_guest_hello_ms(const struct backend_guest *g)
{
	(void)g;
	return 5000;
}

void backend_guest_destroy(struct backend_guest *g)
{
	struct fake_guest *fake_guest = (struct fake_guest *)(void *)g;

	if (g == NULL)
		return;
	(void)spawn_wait(&fake_guest->child, 0);
	free(g);
}

int image_find(const char *name, struct image **ret, struct bb_err *err)
{
	struct image *img;

	if (strcmp(name, "host") != 0)
		return bb_err_set(err, BB_E_MISSING,
				  "image '%s' is not built; run: bot-bottle image build %s", name,
				  name);
	img = calloc(1, sizeof(*img));
	if (img == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	*ret = img;
	return 0;
}

void image_free(struct image *img)
{
	free(img);
}
