/* The names that one program has in four distributions; see distro.h. */
#include "base/distro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"

#define OS_RELEASE_MAX 65536

static const struct {
	const char *id;
	enum bb_distro distro;
} ids[] = {
	{ "debian", BB_DISTRO_DEBIAN }, { "ubuntu", BB_DISTRO_DEBIAN },
	{ "fedora", BB_DISTRO_FEDORA }, { "rhel", BB_DISTRO_FEDORA },
	{ "centos", BB_DISTRO_FEDORA }, { "arch", BB_DISTRO_ARCH },
	{ "nixos", BB_DISTRO_NIXOS },
};

/* Where the others call it otherwise; NULL: not known to be there. */
static const struct {
	const char *debian, *fedora, *arch, *nixos;
} packages[] = {
	{ "qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu" },
	{ "docker-registry", "docker-distribution", NULL, "docker-distribution" },
	{ "uidmap", "shadow-utils", "shadow", "shadow" },
};

/* The value of the line NAME=value, without its quotes. */
static struct bb_view value_of(struct bb_view text, const char *name)
{
	size_t n = strlen(name);

	while (text.n > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		struct bb_view line =
			bb_view_of(text.p, end == NULL ? text.n : (size_t)(end - text.p));

		if (line.n > n && memcmp(line.p, name, n) == 0 && line.p[n] == '=') {
			struct bb_view v = bb_view_from(line, n + 1);
			bool is_quoted = v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') &&
					 v.p[v.n - 1] == v.p[0];

			return is_quoted ? bb_view_of(v.p + 1, v.n - 2) : v;
		}
		text = bb_view_from(text, line.n + 1);
	}
	return bb_view_of(NULL, 0);
}

static enum bb_distro distro_of(struct bb_view id)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(ids); i++)
		if (bb_view_eq_str(id, ids[i].id))
			return ids[i].distro;
	return BB_DISTRO_OTHER;
}

enum bb_distro bb_distro_parse(struct bb_view os_release)
{
	enum bb_distro found = distro_of(value_of(os_release, "ID"));
	struct bb_view like = value_of(os_release, "ID_LIKE");

	while (found == BB_DISTRO_OTHER && like.n > 0) {
		const uint8_t *end = memchr(like.p, ' ', like.n);
		size_t n = end == NULL ? like.n : (size_t)(end - like.p);

		found = distro_of(bb_view_of(like.p, n));
		like = bb_view_from(like, n + 1);
	}
	return found;
}

enum bb_distro bb_distro_read(const char *os_release_path)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = OS_RELEASE_MAX };

	/* A symlink on most systems. */
	if (bb_path_read(os_release_path, 0, &text, NULL) < 0)
		return BB_DISTRO_OTHER;
	return bb_distro_parse(bb_buf_peek(&text));
}

enum bb_distro bb_distro_here(void)
{
	return bb_distro_read("/etc/os-release");
}

static const char *package_name(enum bb_distro d, const char *debian)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(packages); i++)
		if (strcmp(packages[i].debian, debian) == 0)
			return d == BB_DISTRO_FEDORA  ? packages[i].fedora
			       : d == BB_DISTRO_ARCH  ? packages[i].arch
			       : d == BB_DISTRO_NIXOS ? packages[i].nixos
						      : debian;
	return debian;
}

const char *bb_distro_install(enum bb_distro d, const char *debian_package, char *dst, size_t cap)
{
	const char *name = package_name(d, debian_package);

	if (name == NULL)
		d = BB_DISTRO_OTHER;
	switch (d) {
	case BB_DISTRO_DEBIAN:
		(void)snprintf(dst, cap, "run: sudo apt install %s", name);
		break;
	case BB_DISTRO_FEDORA:
		(void)snprintf(dst, cap, "run: sudo dnf install %s", name);
		break;
	case BB_DISTRO_ARCH:
		(void)snprintf(dst, cap, "run: sudo pacman -S %s", name);
		break;
	case BB_DISTRO_NIXOS:
		(void)snprintf(
			dst, cap,
			"put environment.systemPackages = [ pkgs.%s ]; " BB_DISTRO_NIXOS_SWITCH,
			name);
		break;
	case BB_DISTRO_OTHER:
		(void)snprintf(dst, cap, "install what Debian's package '%s' has", debian_package);
		break;
	}
	return dst;
}
