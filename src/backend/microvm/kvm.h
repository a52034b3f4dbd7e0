/*
 * Is there a KVM that this user may open? Looks only; whether it really runs a guest is proved by
 * booting one (probe.h). Each answer is a finding and what to do about it.
 */
#ifndef BB_BACKEND_MICROVM_KVM_H
#define BB_BACKEND_MICROVM_KVM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/view.h"

enum kvm_finding {
	KVM_OPENS,         /* the device opens and makes a virtual machine: a guest may be tried */
	KVM_NOT_ENABLED,   /* no device, and the CPU shows no virtualisation */
	KVM_NOT_LOADED,    /* no device, but the CPU could: a module is missing */
	KVM_NOT_PERMITTED, /* the device is not open to this user */
	KVM_NOT_USABLE,    /* the device is there and does not do its work */
};
#define KVM_NUM_FINDINGS 5

/* Where to look: the host's own files, or a test's. */
struct kvm_paths {
	const char *device;     /* /dev/kvm */
	const char *cpuinfo;    /* /proc/cpuinfo */
	const char *os_release; /* /etc/os-release: NixOS is mended by its configuration */
};
extern const struct kvm_paths kvm_host_paths;

#define KVM_TEXT_MAX 384
struct kvm_look {
	enum kvm_finding finding;
	char text[KVM_TEXT_MAX]; /* what was found */
	char mend[KVM_TEXT_MAX]; /* what to do; empty for KVM_OPENS */
	char brief[64];          /* for "tcg (...)": "no /dev/kvm" */
};

void kvm_look(const struct kvm_paths *paths, struct kvm_look *ret);

/* The vendor's module for a CPU, from the text of /proc/cpuinfo: "kvm-intel", "kvm-amd", or NULL:
 * neither. */
const char *kvm_module(struct bb_view cpuinfo);
/* Does the CPU offer virtualisation (flag vmx or svm)? */
bool kvm_cpu_can(struct bb_view cpuinfo);
/* "model name" of the first CPU, for remembering a verdict; dst is always terminated. */
void kvm_cpu_model(struct bb_view cpuinfo, char *dst, size_t cap);

#endif
