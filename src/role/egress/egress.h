/*
 * The way out: an HTTP proxy for one bottle that terminates TLS, judges every request and writes
 * anew what passes. It has no network: connections come from channel, upstream sockets from the
 * dialler, and every verdict goes to the recorder before anything follows from it.
 */
#ifndef BB_ROLE_EGRESS_EGRESS_H
#define BB_ROLE_EGRESS_EGRESS_H

int egress_main(void);

#endif
