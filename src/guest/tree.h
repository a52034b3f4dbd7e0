/* The processes below this one, for a bottle-init that is not PID 1. */
#ifndef BB_GUEST_TREE_H
#define BB_GUEST_TREE_H

/* Sends the signal to every living descendant, whatever session it has made itself. SIGKILL is
 * repeated until none is left or forking outruns us. */
void tree_signal(int number);

#endif
