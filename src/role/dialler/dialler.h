/*
 * The only process of a bottle that has the network, and it has nothing else: no secret, no byte of
 * a request. Told (host, port) by egress, it asks its own copy of the policy first, so that an
 * egress that was taken over reaches no more than the policy's hosts; then it resolves, checks
 * every address, connects to one it has checked, and hands back the descriptor. A name that is not
 * allowed causes no query.
 */
#ifndef BB_ROLE_DIALLER_DIALLER_H
#define BB_ROLE_DIALLER_DIALLER_H

int dialler_main(void);

#endif
