/* A monitor whose emulated machines have no virtualisation: the same program, but the CPU it asks
 * for lacks SVM. The outer machine of a test; never installed. */
#include <string.h>

#include "backend/microvm/shape.h"
#include "base/text.h"

#define WITH    "max,erms=off"
#define WITHOUT WITH ",-svm"

char **__real_shape_argv(const struct shape *s, const char *qemu);
char **__wrap_shape_argv(const struct shape *s, const char *qemu);

char **__wrap_shape_argv(const struct shape *s, const char *qemu)
{
	char **argv = __real_shape_argv(s, qemu);

	for (size_t i = 0; argv != NULL && argv[i] != NULL; i++) {
		if (strcmp(argv[i], WITH) != 0)
			continue;
		free(argv[i]);
		argv[i] = bb_text_printf(WITHOUT);
		if (argv[i] != NULL)
			return argv;
	}
	bb_strv_free(argv); /* the shape has changed: this monitor must change with it */
	return NULL;
}
