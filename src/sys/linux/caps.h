/* Capabilities by raw system calls: three calls do not need a library in every role. */
#ifndef BB_SYS_LINUX_CAPS_H
#define BB_SYS_LINUX_CAPS_H

#include <stdbool.h>

/* True when every capability of mask's bits is effective. */
bool caps_has(unsigned long long mask);
/* Ambient and inheritable sets empty; what the process itself holds stays. 0 or -errno. */
int caps_clear_inheritable(void);
/* Bounding set empty, no way back: securebits locked so that uid 0 means nothing. Needs CAP_SETPCAP
 * in the process's user namespace; without it -EPERM. */
int caps_drop_bounding(void);
/* Effective, permitted, inheritable and ambient sets empty. 0 or -errno. */
int caps_drop_all(void);

#endif
