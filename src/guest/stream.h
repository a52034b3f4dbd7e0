/* How bottle-init comes by its stream where it runs inside a machine that somebody else booted. */
#ifndef BB_GUEST_STREAM_H
#define BB_GUEST_STREAM_H

#include <stdint.h>

#include "base/err.h"
#include "base/view.h"

#define STREAM_CREDENTIAL_SIZE 32
/* "255.255.255.255 65535 ", the credential in hexadecimal, a line feed. */
#define STREAM_LINE_MAX 128

struct stream_target {
	uint8_t address[4];
	uint16_t port;
	uint8_t credential[STREAM_CREDENTIAL_SIZE];
};

/* "ADDRESS PORT CREDENTIAL", without the line feed. Messages never show the line: it holds a
 * secret. */
int stream_parse_line(struct bb_view line, struct stream_target *ret, struct bb_err *err);

/* Connects to the Unix socket that the machine has mounted, which may appear a little later. */
int stream_open_socket(const char *path, int *ret_fd, struct bb_err *err);
/* Reads the line from in_fd, connects by TCP and sends the credential. */
int stream_open_tcp(int in_fd, int *ret_fd, struct bb_err *err);

#endif
