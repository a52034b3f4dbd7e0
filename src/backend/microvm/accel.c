/*
 * A device node that opens proves nothing, nor does one instruction that runs: hosts were seen
 * where KVM makes a virtual machine and then fails on Linux. So the proof is a guest: our kernel
 * and our init, which says hello on its console within five seconds. The outcome is kept in one
 * small file, for this boot of the host, this CPU, this kernel and this QEMU; whatever changes asks
 * again.
 */
#include "backend/microvm/accel.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/microvm/initramfs.h"
#include "backend/microvm/vmm.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/path.h"
#include "base/text.h"
#include "store/store.h"

#define ACCEL_FILE_MAX    2048
#define ACCEL_MODEL_MAX   128
#define ACCEL_MEMORY      (256ULL * 1024 * 1024)
#define ACCEL_HELLO       "bot-bottle: hello" /* guest/boot.c, bb.probe=1 */
#define ACCEL_CONSOLE     16384
#define PROVED_WORD       "proved " /* and how long it took, ms */
#define ACCEL_SECONDS_MAX 120ULL
#define CPUINFO_MAX       (4 * 1024 * 1024)

/* What a verdict holds for: one line. */
static char *verdict_key(const struct image *img)
{
	BB_AUTO_BUF struct bb_buf boot = { .cap = 128 };
	BB_AUTO_BUF struct bb_buf cpu = { .cap = CPUINFO_MAX };
	char model[ACCEL_MODEL_MAX];

	if (bb_path_read("/proc/sys/kernel/random/boot_id", 0, &boot, NULL) < 0 ||
	    bb_buf_size(&boot) < 36)
		return NULL;
	(void)bb_path_read("/proc/cpuinfo", 0, &cpu, NULL); /* without it the model is empty */
	kvm_cpu_model(bb_buf_peek(&cpu), model, sizeof(model));
	return bb_text_printf("%.36s %s / %s\n", (const char *)bb_buf_peek(&boot).p, model,
			      img->kernel_version == NULL ? "" : img->kernel_version);
}

static char *verdict_path(void)
{
	BB_AUTO_FREE char *cache = store_cache_dir(NULL);

	return cache == NULL ? NULL : bb_text_printf("%s/kvm-verdict", cache);
}

/* "proved 1234": 0 and the time, or -EINVAL. */
static int parse_proved(struct bb_view v, uint64_t *ret_ms)
{
	size_t n = strlen(PROVED_WORD);

	if (v.n <= n || memcmp(v.p, PROVED_WORD, n) != 0)
		return -EINVAL;
	return bb_num_parse_u64(bb_view_from(v, n), ACCEL_SECONDS_MAX * 1000, ret_ms);
}

enum accel_memory accel_recall(const struct image *img, uint64_t *ret_ms, char *ret_why, size_t cap)
{
	BB_AUTO_FREE char *path = verdict_path();
	BB_AUTO_FREE char *key = verdict_key(img);
	BB_AUTO_BUF struct bb_buf text = { .cap = ACCEL_FILE_MAX };
	struct bb_view rest;

	if (path == NULL || key == NULL || bb_path_read(path, 1, &text, NULL) < 0)
		return ACCEL_UNKNOWN;
	rest = bb_buf_peek(&text);
	if (rest.n <= strlen(key) || memcmp(rest.p, key, strlen(key)) != 0)
		return ACCEL_UNKNOWN;
	rest = bb_view_from(rest, strlen(key));
	if (rest.n > 0 && rest.p[rest.n - 1] == '\n')
		rest.n--;
	if (parse_proved(rest, ret_ms) == 0)
		return ACCEL_PROVED;
	(void)bb_text_escape(ret_why, cap, rest, cap);
	return ACCEL_FAILED;
}

/* How long a guest may take for the proof: five seconds, or what the operator of a slow host says.
 */
static uint64_t proof_ms(void)
{
	const char *text = getenv("BOT_BOTTLE_KVM_SECONDS");
	uint64_t seconds = 0;

	if (text == NULL || bb_num_parse_u64(bb_view_str(text), ACCEL_SECONDS_MAX, &seconds) < 0 ||
	    seconds == 0)
		return ACCEL_PROOF_MS;
	return seconds * 1000;
}

static void accel_remember(const struct image *img, const char *text)
{
	BB_AUTO_FREE char *cache = store_cache_dir(NULL);
	BB_AUTO_FREE char *path = verdict_path();
	BB_AUTO_FREE char *key = verdict_key(img);
	BB_AUTO_FREE char *all = key == NULL ? NULL : bb_text_printf("%s%s", key, text);

	if (cache == NULL || path == NULL || all == NULL || bb_path_mkdirs(cache, 0755, NULL) < 0)
		return; /* not remembered: proved again next time */
	(void)bb_path_write_atomic(path, all, strlen(all), 0600, NULL);
}

/* The last line of a console that says something, for the reason. */
static void last_line(const struct bb_buf *console, char *dst, size_t cap)
{
	struct bb_view v = bb_buf_peek(console);
	size_t start;

	while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r'))
		v.n--;
	for (start = v.n; start > 0 && v.p[start - 1] != '\n'; start--)
		;
	(void)bb_text_escape(dst, cap, bb_view_from(v, start), 80);
}

enum hello {
	HELLO_SAID,
	HELLO_ENDED, /* QEMU is gone */
	HELLO_LATE,
};

/* Reads the console until it says hello, ends, or time is up. */
static enum hello wait_hello(int console, const struct jail *jail, struct bb_buf *text)
{
	uint64_t deadline_ms = bb_clock_ms() + proof_ms();

	for (;;) {
		struct pollfd p[] = { { .fd = console, .events = POLLIN },
				      { .fd = jail_pidfd(jail), .events = POLLIN } };
		int left = bb_clock_left_ms(deadline_ms);
		ssize_t n;

		if (left == 0 || (poll(p, 2, left) < 0 && errno != EINTR))
			return HELLO_LATE;
		n = (p[0].revents & (POLLIN | POLLHUP)) != 0 ? bb_fd_read_some(console, text, 4096)
							     : -EAGAIN;
		if (memmem(bb_buf_peek(text).p, bb_buf_size(text), ACCEL_HELLO,
			   strlen(ACCEL_HELLO)) != NULL)
			return HELLO_SAID;
		if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR) ||
		    (n == -EAGAIN && p[1].revents != 0))
			return HELLO_ENDED;
	}
}

/* 0 and the time it took when the guest said hello; else negative, with the reason in why. */
static int accel_prove(const struct qemu *q, const struct image *img, uint64_t *ret_ms, char *why,
		       size_t cap)
{
	struct vmm_plan plan = { .name = "kvm-proof",
				 .qemu = q,
				 .stream_fd = -1,
				 .disk_fd = -1,
				 .shape = { .uses_kvm = true,
					    .is_probe = true,
					    .cpus = 1,
					    .memory_bytes = ACCEL_MEMORY } };
	BB_AUTO_BUF struct bb_buf console = { .cap = ACCEL_CONSOLE };
	BB_AUTO_CLOSE int kernel = open(img->kernel, O_RDONLY | O_CLOEXEC);
	BB_AUTO_CLOSE int initrd = -1;
	BB_AUTO_CLOSE int ours = -1;
	BB_AUTO_CLOSE int theirs = -1;
	struct jail *jail = NULL;
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *init = bb_path_sibling("bottle-init", &err);
	char words[256];
	uint64_t started_ms = bb_clock_ms();
	enum hello hello;
	int pair[2];

	initrd = init == NULL ? -ENOENT : initramfs_pack(init, NULL, &err);
	if (kernel < 0 || initrd < 0 || pipe2(pair, O_CLOEXEC) < 0) {
		(void)snprintf(why, cap, "the proof could not be prepared: %.120s", err.msg);
		return -EIO;
	}
	ours = pair[0];
	theirs = pair[1];
	plan.kernel_fd = kernel;
	plan.initrd_fd = initrd;
	plan.console_fd = theirs;
	if (vmm_begin(&plan, &jail, &err) < 0 || jail_finish(jail, &err) < 0) {
		(void)snprintf(why, cap, "%.150s", err.msg);
		jail_free(jail);
		return -EIO;
	}
	(void)close(bb_take_fd(&theirs)); /* so that the console ends with the guest */
	hello = bb_fd_set_nonblock(ours, 1) < 0 ? HELLO_LATE : wait_hello(ours, jail, &console);
	jail_free(jail);
	*ret_ms = bb_clock_ms() - started_ms;
	if (hello == HELLO_SAID)
		return 0;
	last_line(&console, words, sizeof(words));
	if (hello == HELLO_ENDED)
		(void)snprintf(why, cap, "under KVM a guest ended before its hello");
	else
		(void)snprintf(why, cap, "under KVM a guest said no hello within %u s",
			       (unsigned)(proof_ms() / 1000));
	if (words[0] != '\0')
		(void)snprintf(why + strlen(why), cap - strlen(why), "; last words: %.80s", words);
	return -ETIMEDOUT;
}

/* KVM is there to try: recall or prove. True: use it. */
static bool accel_settle(const struct qemu *q, const struct image *img, uint64_t *ret_ms, char *why,
			 size_t cap)
{
	BB_AUTO_FREE char *line = NULL;
	bool is_proved;

	switch (accel_recall(img, ret_ms, why, cap)) {
	case ACCEL_PROVED:
		return true;
	case ACCEL_FAILED:
		return false;
	case ACCEL_UNKNOWN:
		break;
	}
	is_proved = accel_prove(q, img, ret_ms, why, cap) == 0;
	line = is_proved ? bb_text_printf(PROVED_WORD "%llu\n", (unsigned long long)*ret_ms)
			 : bb_text_printf("%s\n", why);
	if (line != NULL)
		accel_remember(img, line);
	return is_proved;
}

int accel_choose(enum accel_wish wish, const struct qemu *q, const struct image *img,
		 struct accel *ret, struct bb_err *err)
{
	struct kvm_look look = { .finding = KVM_OPENS };
	char why[200] = "asked for with BOT_BOTTLE_ACCEL";

	*ret = (struct accel){ 0 };
	if (wish != ACCEL_TCG) {
		kvm_look(&kvm_host_paths, &look);
		if (look.finding == KVM_OPENS &&
		    accel_settle(q, img, &ret->proof_ms, why, sizeof(why))) {
			ret->uses_kvm = true;
			(void)snprintf(ret->note, sizeof(ret->note), "kvm");
			return 0;
		}
		if (look.finding != KVM_OPENS)
			(void)snprintf(why, sizeof(why), "%s", look.brief);
	}
	if (wish == ACCEL_KVM && look.finding != KVM_OPENS)
		return bb_err_set(err, BB_E_MISSING, "BOT_BOTTLE_ACCEL asks for KVM: %s; %s",
				  look.text, look.mend);
	if (wish == ACCEL_KVM)
		return bb_err_set(err, BB_E_MISSING,
				  "BOT_BOTTLE_ACCEL asks for KVM, which does not work here: %s",
				  why);
	/* The guest's last words are for doctor; a status line shows the reason. */
	why[strcspn(why, ";")] = '\0';
	(void)snprintf(ret->note, sizeof(ret->note), "tcg (%s)", why);
	return 0;
}
