/*
 * The machine: QEMU's "microvm" with ACPI, no PIT and no PIC, one serial line, and of virtio the
 * disks, one serial port and a random number generator. No network card, no shared folder, no
 * monitor, no display.
 *
 * Emulation needs two cures (both measured, docs/architecture.md): tsc_early_khz, without which
 * about one boot in six hangs because the kernel cannot calibrate its only clock, and erms=off,
 * because "fast" string moves are emulated byte by byte. Under KVM the host's CPU is passed through
 * and neither is wanted.
 *
 * A write that the host's disk refuses is reported to the guest (werror=report): QEMU's default
 * would stop the machine without a word.
 */
#include "backend/microvm/shape.h"

#include "base/cleanup.h"
#include "base/text.h"

#define MIB (1024 * 1024)

char *shape_kernel_args(const struct shape *s)
{
	char tsc[48] = "";
	char root[64] = "bb.probe=1";

	if (!s->uses_kvm && s->tsc_khz != 0)
		(void)snprintf(tsc, sizeof(tsc), " tsc_early_khz=%u", s->tsc_khz);
	if (!s->is_probe && s->has_disk)
		(void)snprintf(root, sizeof(root), "bb.layers=%zu bb.rw=vd%c", s->layers,
			       (char)('a' + s->layers));
	else if (!s->is_probe)
		(void)snprintf(root, sizeof(root), "bb.layers=%zu bb.rw=tmpfs", s->layers);
	/* panic=-1 and reboot=t with -no-reboot: however the guest ends, QEMU ends. */
	return bb_text_printf(
		"console=ttyS0 quiet loglevel=3 reboot=t panic=-1 cryptomgr.notests %s%s", root,
		tsc);
}

/* Appends one argument; remembers a failure in *failed so that a list can be built without checks
 * between. */
static void add(char ***argv, bool *failed, char *text)
{
	if (text == NULL || bb_strv_push(argv, text) < 0)
		*failed = true;
}

static void add_all(char ***argv, bool *failed, const char *const *texts)
{
	for (size_t i = 0; texts[i] != NULL; i++)
		add(argv, failed, bb_text_printf("%s", texts[i]));
}

static void add_disk(char ***argv, bool *failed, const char *name, int fd, bool is_read_only)
{
	/* The bottle's own disk has no name and ends with its machine: nothing is won by making the
	 * host's disk wait until each of the guest's flushes is on the platter. */
	const char *access =
		is_read_only ? "read-only=on" : "read-only=off,discard=unmap,cache.no-flush=on";

	add(argv, failed, bb_text_printf("-add-fd"));
	add(argv, failed, bb_text_printf("fd=%d,set=%d", fd, fd));
	add(argv, failed, bb_text_printf("-blockdev"));
	add(argv, failed,
	    bb_text_printf("driver=file,node-name=%s,filename=/dev/fdset/%d,locking=off,%s", name,
			   fd, access));
	add(argv, failed, bb_text_printf("-device"));
	add(argv, failed,
	    bb_text_printf("virtio-blk-device,drive=%s,werror=report,rerror=report", name));
}

static void add_disks(char ***argv, bool *failed, const struct shape *s)
{
	for (size_t i = 0; i < s->layers; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "layer%zu", i);
		add_disk(argv, failed, name, SHAPE_FD_LAYER + (int)i, true);
	}
	if (s->has_disk)
		add_disk(argv, failed, "disk", SHAPE_FD_DISK, false);
}

static void add_stream(char ***argv, bool *failed)
{
	static const char *const port[] = { "-device", "virtio-serial-device,max_ports=2",
					    "-device",
					    "virtserialport,chardev=stream,name=bot-bottle.0",
					    NULL };

	add(argv, failed, bb_text_printf("-chardev"));
	add(argv, failed, bb_text_printf("socket,id=stream,fd=%d", SHAPE_FD_STREAM));
	add_all(argv, failed, port);
}

char **shape_argv(const struct shape *s, const char *qemu)
{
	static const char *const always[] = {
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-machine",
		"microvm,acpi=on,rtc=on,pit=off,pic=off,isa-serial=on",
		"-object",
		"rng-builtin,id=rng",
		"-device",
		"virtio-rng-device,rng=rng",
		NULL
	};
	static const char *const kvm[] = { "-accel", "kvm", "-cpu", "host", NULL };
	static const char *const tcg[] = { "-accel", "tcg,thread=multi,tb-size=512", "-cpu",
					   "max,erms=off", NULL };
	char **argv = NULL;
	bool failed = false;

	add(&argv, &failed, bb_text_printf("%s", qemu));
	add_all(&argv, &failed, always);
	add_all(&argv, &failed, s->uses_kvm ? kvm : tcg);
	add(&argv, &failed, bb_text_printf("-smp"));
	add(&argv, &failed, bb_text_printf("%u", s->cpus));
	add(&argv, &failed, bb_text_printf("-m"));
	add(&argv, &failed, bb_text_printf("%lluM", (unsigned long long)(s->memory_bytes / MIB)));
	add(&argv, &failed, bb_text_printf("-kernel"));
	add(&argv, &failed, bb_text_printf("/proc/self/fd/%d", SHAPE_FD_KERNEL));
	add(&argv, &failed, bb_text_printf("-initrd"));
	add(&argv, &failed, bb_text_printf("/proc/self/fd/%d", SHAPE_FD_INITRD));
	add(&argv, &failed, bb_text_printf("-append"));
	add(&argv, &failed, shape_kernel_args(s));
	add(&argv, &failed, bb_text_printf("-add-fd"));
	add(&argv, &failed, bb_text_printf("fd=%d,set=%d", SHAPE_FD_CONSOLE, SHAPE_FD_CONSOLE));
	add(&argv, &failed, bb_text_printf("-chardev"));
	add(&argv, &failed,
	    bb_text_printf("file,id=console,path=/dev/fdset/%d,append=on", SHAPE_FD_CONSOLE));
	add(&argv, &failed, bb_text_printf("-serial"));
	add(&argv, &failed, bb_text_printf("chardev:console"));
	add_disks(&argv, &failed, s);
	if (s->has_stream)
		add_stream(&argv, &failed);
	if (failed) {
		bb_strv_free(argv);
		return NULL;
	}
	return argv;
}
