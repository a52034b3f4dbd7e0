/* Which distribution this is, so that a message can say what to type here. Nothing is decided by
 * it. */
#ifndef BB_BASE_DISTRO_H
#define BB_BASE_DISTRO_H

#include <stddef.h>

#include "base/view.h"

enum bb_distro {
	BB_DISTRO_OTHER,
	BB_DISTRO_DEBIAN, /* and Ubuntu, and what is like them */
	BB_DISTRO_FEDORA, /* and RHEL's kin */
	BB_DISTRO_ARCH,
	BB_DISTRO_NIXOS, /* mended by its configuration: commands would be undone */
};
#define BB_NUM_DISTROS 5

/* From the text of os-release(5): its ID, else what ID_LIKE names. */
enum bb_distro bb_distro_parse(struct bb_view os_release);
/* From a file; one that cannot be read: BB_DISTRO_OTHER. */
enum bb_distro bb_distro_read(const char *os_release_path);
enum bb_distro bb_distro_here(void);

/* How a program is got there, by the name of its package on Debian: "run: sudo apt install skopeo".
 * Into dst, terminated; returns dst. */
#define BB_DISTRO_INSTALL_MAX 256
const char *bb_distro_install(enum bb_distro d, const char *debian_package, char *dst, size_t cap);

/* The same for this host, on the caller's stack. */
#define BB_INSTALL(debian_package)                                                              \
	bb_distro_install(bb_distro_here(), debian_package, (char[BB_DISTRO_INSTALL_MAX]){ 0 }, \
			  BB_DISTRO_INSTALL_MAX)

/* NixOS: behind a line that belongs into its configuration. */
#define BB_DISTRO_NIXOS_SWITCH "into configuration.nix and run: sudo nixos-rebuild switch"

#endif
