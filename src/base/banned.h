/*
 * Functions that this project does not use, turned into compile errors. Force-included everywhere.
 * What to use instead: bounded copies through struct bb_buf, snprintf with a checked result,
 * bb_num_parse_*, posix_spawn-like sys/spawn.h, localtime_r.
 */
#ifndef BB_BASE_BANNED_H
#define BB_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#pragma GCC poison alloca strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atof \
	gets system popen mktemp tempnam tmpnam localtime gmtime ctime asctime

#endif
