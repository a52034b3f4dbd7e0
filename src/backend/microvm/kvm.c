/*
 * The four ways in which KVM is not there, told apart: the firmware keeps it off, its module is not
 * loaded, the device is somebody else's, or it opens and fails. Nothing on the host is changed.
 */
#include "backend/microvm/kvm.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/distro.h"
#include "base/path.h"

#define KVM_CPUINFO_MAX (4 * 1024 * 1024)
#define KVM_API         12 /* unchanged since 2007 */
#define KVM_GROUPS_MAX  256

const struct kvm_paths kvm_host_paths = { .device = "/dev/kvm",
					  .cpuinfo = "/proc/cpuinfo",
					  .os_release = "/etc/os-release" };

/* The value of the first line "key<tab>: value". */
static struct bb_view cpuinfo_value(struct bb_view text, const char *key)
{
	size_t n = strlen(key);

	while (text.n > n) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		struct bb_view line =
			bb_view_of(text.p, end == NULL ? text.n : (size_t)(end - text.p));
		const uint8_t *colon = memchr(line.p, ':', line.n);

		if (line.n > n && memcmp(line.p, key, n) == 0 && colon != NULL &&
		    (line.p[n] == '\t' || line.p[n] == ' ' || line.p[n] == ':')) {
			struct bb_view v = bb_view_from(line, (size_t)(colon - line.p) + 1);

			return v.n > 0 && v.p[0] == ' ' ? bb_view_from(v, 1) : v;
		}
		text = bb_view_from(text, line.n + 1);
	}
	return bb_view_of(NULL, 0);
}

static bool has_flag(struct bb_view flags, const char *flag)
{
	while (flags.n > 0) {
		const uint8_t *end = memchr(flags.p, ' ', flags.n);
		struct bb_view word =
			bb_view_of(flags.p, end == NULL ? flags.n : (size_t)(end - flags.p));

		if (bb_view_eq_str(word, flag))
			return true;
		flags = bb_view_from(flags, word.n + 1);
	}
	return false;
}

const char *kvm_module(struct bb_view cpuinfo)
{
	static const struct {
		const char *vendor, *module;
	} vendors[] = {
		{ "GenuineIntel", "kvm-intel" }, { "AuthenticAMD", "kvm-amd" },
		{ "HygonGenuine", "kvm-amd" },   { "CentaurHauls", "kvm-intel" },
		{ "  Shanghai  ", "kvm-intel" },
	};
	struct bb_view vendor = cpuinfo_value(cpuinfo, "vendor_id");

	for (size_t i = 0; i < BB_ARRAY_LEN(vendors); i++)
		if (bb_view_eq_str(vendor, vendors[i].vendor))
			return vendors[i].module;
	return NULL;
}

bool kvm_cpu_can(struct bb_view cpuinfo)
{
	struct bb_view flags = cpuinfo_value(cpuinfo, "flags");

	return has_flag(flags, "vmx") || has_flag(flags, "svm");
}

void kvm_cpu_model(struct bb_view cpuinfo, char *dst, size_t cap)
{
	struct bb_view v = cpuinfo_value(cpuinfo, "model name");

	(void)snprintf(dst, cap, "%.*s", BB_VIEW_ARG(v)); /* cut when long: still names this CPU */
}

static void say(struct kvm_look *look, enum kvm_finding finding, const char *brief)
{
	look->finding = finding;
	(void)snprintf(look->brief, sizeof(look->brief), "%s", brief);
}

static bool is_nixos(const struct kvm_paths *paths)
{
	return bb_distro_read(paths->os_release) == BB_DISTRO_NIXOS;
}

static void look_missing(const struct kvm_paths *paths, struct kvm_look *look)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = KVM_CPUINFO_MAX };
	const char *module;

	(void)bb_path_read(paths->cpuinfo, 0, &text,
			   NULL); /* unreadable: as if it showed nothing */
	module = kvm_module(bb_buf_peek(&text));
	if (!kvm_cpu_can(bb_buf_peek(&text)) || module == NULL) {
		say(look, KVM_NOT_ENABLED, "no /dev/kvm");
		(void)snprintf(look->text, sizeof(look->text),
			       "there is no '%s', and this CPU shows no virtualisation (neither "
			       "vmx nor svm)",
			       paths->device);
		(void)snprintf(look->mend, sizeof(look->mend),
			       "switch on Intel VT-x or AMD-V (SVM) in the firmware, or nested "
			       "virtualisation for this "
			       "machine where it is itself a virtual one");
		return;
	}
	say(look, KVM_NOT_LOADED, "no /dev/kvm");
	(void)snprintf(
		look->text, sizeof(look->text),
		"there is no '%s', although this CPU can virtualise: its module is not loaded",
		paths->device);
	if (is_nixos(paths)) {
		(void)snprintf(look->mend, sizeof(look->mend),
			       "put boot.kernelModules = [ \"%s\" ]; " BB_DISTRO_NIXOS_SWITCH,
			       module);
		return;
	}
	(void)snprintf(
		look->mend, sizeof(look->mend),
		"run: sudo modprobe %s && echo %s | sudo tee /etc/modules-load.d/kvm.conf; should "
		"that fail, run: sudo dmesg | grep -i kvm (the firmware may keep "
		"virtualisation off)",
		module, module);
}

/* Is this user entered in the group, though the running session does not have it yet? */
static bool user_is_listed(const char *user, gid_t group)
{
	gid_t groups[KVM_GROUPS_MAX];
	int n = KVM_GROUPS_MAX;

	if (getgrouplist(user, group + 1, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static void look_forbidden(const struct kvm_paths *paths, struct kvm_look *look)
{
	const struct passwd *pw = getpwuid(geteuid());
	const struct group *gr = NULL;
	const char *user = pw == NULL ? "$USER" : pw->pw_name;
	struct stat st = { 0 };

	say(look, KVM_NOT_PERMITTED, "no permission for /dev/kvm");
	if (stat(paths->device, &st) == 0)
		gr = getgrgid(st.st_gid);
	if (is_nixos(paths) && (pw == NULL || gr == NULL || !user_is_listed(user, st.st_gid))) {
		(void)snprintf(look->text, sizeof(look->text),
			       "'%s' is not open to you: you are not in the group that may use it",
			       paths->device);
		(void)snprintf(
			look->mend, sizeof(look->mend),
			"put users.users.%s.extraGroups = [ \"kvm\" ]; " BB_DISTRO_NIXOS_SWITCH
			", then log in again",
			user);
		return;
	}
	if (gr == NULL || st.st_gid == 0 || (st.st_mode & 060) != 060) {
		(void)snprintf(look->text, sizeof(look->text),
			       "'%s' is not open to you: its mode is %04o and no group but root's "
			       "may use it",
			       paths->device, st.st_mode & 07777);
		(void)snprintf(look->mend, sizeof(look->mend),
			       "run: sudo chgrp kvm %s && sudo chmod 660 %s && sudo usermod -aG "
			       "kvm %s, then log in again",
			       paths->device, paths->device, user);
		return;
	}
	if (pw != NULL && user_is_listed(user, st.st_gid)) {
		(void)snprintf(look->text, sizeof(look->text),
			       "'%s' is not open to this session: you were added to group '%s' "
			       "after it began",
			       paths->device, gr->gr_name);
		(void)snprintf(look->mend, sizeof(look->mend), "log in again");
		return;
	}
	(void)snprintf(look->text, sizeof(look->text),
		       "'%s' is open to group '%s' only, and you are not in it", paths->device,
		       gr->gr_name);
	(void)snprintf(look->mend, sizeof(look->mend),
		       "run: sudo usermod -aG %s %s, then log in again", gr->gr_name, user);
}

static void look_broken(const struct kvm_paths *paths, const char *step, int error,
			struct kvm_look *look)
{
	say(look, KVM_NOT_USABLE, "/dev/kvm is not usable");
	(void)snprintf(look->text, sizeof(look->text), "'%s' is there but not usable: %s%s%s",
		       paths->device, step, error == 0 ? "" : ": ",
		       error == 0 ? "" : strerror(error));
	(void)snprintf(look->mend, sizeof(look->mend),
		       "another hypervisor may hold the CPU, or this machine's own host does not "
		       "pass virtualisation on; run: sudo dmesg | grep -i kvm");
}

void kvm_look(const struct kvm_paths *paths, struct kvm_look *ret)
{
	BB_AUTO_CLOSE int device = -1;
	BB_AUTO_CLOSE int vm = -1;

	*ret = (struct kvm_look){ .finding = KVM_OPENS };
	device = open(paths->device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (device < 0 && errno == ENOENT) {
		look_missing(paths, ret);
		return;
	}
	if (device < 0 && (errno == EACCES || errno == EPERM)) {
		look_forbidden(paths, ret);
		return;
	}
	if (device < 0) {
		look_broken(paths, "it does not open", errno, ret);
		return;
	}
	if (ioctl(device, KVM_GET_API_VERSION, 0) != KVM_API) {
		look_broken(paths, "it does not speak KVM's interface", 0, ret);
		return;
	}
	vm = ioctl(device, KVM_CREATE_VM, 0);
	if (vm < 0) {
		look_broken(paths, "it makes no virtual machine", errno, ret);
		return;
	}
	(void)snprintf(ret->text, sizeof(ret->text), "'%s' opens and makes a virtual machine",
		       paths->device);
}
