/* All backends, in the order they are shown; the first is the default where it works. */
#include "backend/backend.h"

#include <string.h>

#include "backend/backend_impl.h"
#include "base/cleanup.h"

static const struct backend *const registry[] = {
	&backend_microvm,
	&backend_namespace,
	&backend_smolmachines,
};

const struct backend *backend_find(const char *name)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(registry); i++) {
		if (strcmp(registry[i]->name, name) == 0)
			return registry[i];
	}
	return NULL;
}

const char *const *backend_names(void)
{
	static const char *names[BB_ARRAY_LEN(registry) + 1];

	for (size_t i = 0; i < BB_ARRAY_LEN(registry); i++)
		names[i] = registry[i]->name;
	return names;
}

int backend_reap(backend_told *told, void *arg, struct bb_err *err)
{
	int total = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(registry); i++) {
		int r = registry[i]->reap == NULL ? 0 : registry[i]->reap(told, arg, err);

		if (r < 0)
			return r;
		total += r;
	}
	return total;
}

int backend_strays(void (*found)(void *arg, const struct backend *b, const char *machine),
		   void *arg, struct bb_err *err)
{
	int first = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(registry); i++) {
		int r = registry[i]->strays == NULL || first < 0
				? 0
				: registry[i]->strays(found, arg, err);

		first = first < 0 ? first : r;
	}
	return first;
}
