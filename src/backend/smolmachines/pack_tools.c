/* The programs that packing an image needs: what the preflight asks for, and what then runs. */
#include "backend/smolmachines/pack.h"
#include "backend/smolmachines/registry.h"
#include "base/cleanup.h"
#include "base/distro.h"

/* Its name on Debian, and what others call it. */
static const char *const registry_names[] = { "docker-registry", "registry" };

char *registry_program(const struct smolvm *vm)
{
	char *path = NULL;

	for (size_t i = 0; path == NULL && i < BB_ARRAY_LEN(registry_names); i++)
		path = smolvm_search(smolvm_variable(vm, "PATH"), registry_names[i]);
	return path;
}

int smolpack_check(const struct smolvm *vm, struct bb_err *err)
{
	BB_AUTO_FREE char *skopeo = smolvm_search(smolvm_variable(vm, "PATH"), "skopeo");
	BB_AUTO_FREE char *registry = registry_program(vm);

	if (skopeo == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "'skopeo' is not installed, and smolvm %u.%u takes images from a "
				  "registry only; %s (or use smolvm " SMOLVM_SOCKET_VERSION
				  " or later)",
				  vm->version.major, vm->version.minor, BB_INSTALL("skopeo"));
	if (registry == NULL)
		return bb_err_set(
			err, BB_E_MISSING,
			"'docker-registry' is not installed, and smolvm %u.%u takes "
			"images from a registry only; %s (or use smolvm " SMOLVM_SOCKET_VERSION
			" or later)",
			vm->version.major, vm->version.minor, BB_INSTALL("docker-registry"));
	return 0;
}
