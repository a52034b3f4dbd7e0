/*
 * A host end for tests of bottle-init: starts it in namespaces of its own, speaks the mux and the
 * guest protocol with it, and fails the cmocka test when something does not come in time.
 */
#ifndef BB_TESTS_GUEST_HOST_H
#define BB_TESTS_GUEST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mux/mux.h"
#include "mux/proto.h"

#define HOST_WAIT_MS  60000
#define HOST_TEXT_MAX 600

/* How bottle-init is started. */
enum host_way {
	HOST_NAMESPACE, /* PID 1, one uid, the stream is a descriptor */
	HOST_SOCKET,    /* PID 1 and root of a machine without a network, the stream is a mounted
			 * socket */
	HOST_CONNECT,   /* root beside the workload 'bottle-init --idle', the stream is TCP */
};

struct host_stream {
	struct host *host;
	struct mux_stream *s;
	struct bb_buf in;
	bool is_reset;
	struct host_stream *next;
};

struct host {
	enum host_way way;
	pid_t pid;  /* the parent of PID 1 */
	int fd;     /* -1: closed by host_wait() */
	int out_fd; /* HOST_CONNECT: standard output of bottle-init */
	struct mux *mux;
	bool has_output, is_dead;
	struct host_stream *streams;  /* ours and accepted */
	struct host_stream *accepted; /* opened by the guest, not yet taken by host_accept() */
	struct host_stream *lifecycle;
};

struct host_options {
	const char *const *env; /* NULL-terminated, or NULL */
	const uint16_t *ports;  /* 0-terminated, or NULL */
	uint32_t pids;
	enum host_way way;
	bool has_one_id;    /* not HOST_NAMESPACE: only root is mapped */
	bool listen_late;   /* HOST_SOCKET: connections are refused at first */
	const char *before; /* shell command run inside before bottle-init, or NULL */
	char *not_ready; /* takes what READY says is wrong (HOST_TEXT_MAX); NULL: the test fails */
};

/* Can this user make a machine that knows more than one id? */
bool host_can_map(void);

/* Started, provisioned and ready. */
struct host *host_start(const struct host_options *options);
/* Asks for the shutdown, waits for BYE and the end; the exit code of bottle-init. */
int host_shutdown(struct host *h);
/* The same without asking: the stream has ended or is about to. */
int host_wait(struct host *h);
/* How many children a process has, and the first of them. */
int host_children(pid_t pid, pid_t *ret_first);
/* Kills what is left and frees. */
void host_free(struct host *h);

struct host_stream *host_open(struct host *h, enum proto_service service, struct bb_view fields);
void host_send(struct host_stream *s, uint8_t type, const void *p, size_t n);
/* The next frame; its body is copied to body. */
uint8_t host_recv(struct host_stream *s, struct bb_buf *body);
void host_close(struct host_stream *s); /* reset and free */
/* The next stream that the guest opened, its opening taken off. NULL after timeout_ms. */
struct host_stream *host_accept(struct host *h, int timeout_ms);
/* Raw bytes: waits until n are there (or the end, when fewer come). */
size_t host_read(struct host_stream *s, size_t n);
/* One turn of the loop: up to timeout_ms. */
void host_turn(struct host *h, int timeout_ms);
/* Turns until the condition of the caller's loop holds; fails the test past HOST_WAIT_MS. */
#define HOST_UNTIL(h, condition)                                          \
	do {                                                              \
		uint64_t host_deadline = bb_clock_ms() + HOST_WAIT_MS;    \
		while (!(condition)) {                                    \
			assert_true(bb_clock_left_ms(host_deadline) > 0); \
			host_turn((h), 100);                              \
		}                                                         \
	} while (0)

struct host_exec {
	const char *const *argv;
	const char *const *env;
	const char *cwd, *user;
	int rows, columns; /* both 0: no terminal */
	uint32_t flags;
};
struct host_stream *host_exec_open(struct host *h, const struct host_exec *e);

struct host_result {
	int code;   /* of EXEC_EXIT */
	int failed; /* code of EXEC_FAILED, or 0 */
	uint32_t session;
	char text[512]; /* of EXEC_FAILED */
	struct bb_buf out, err;
};
/* Follows the stream to its end. */
void host_collect(struct host_stream *s, struct host_result *ret);
/* Runs a command to its end: code, output in out (NUL-terminated). */
int host_run(struct host *h, const char *const *argv, struct host_result *ret);
/* The same for sh -c. */
int host_sh(struct host *h, const char *script, struct host_result *ret);
void host_result_done(struct host_result *r);
/* host_sh() with its exit code and output as they must be. */
void host_expect_sh(struct host *h, const char *script, int code, const char *out);
const char *host_text(struct bb_buf *b); /* terminates it */

#endif
