/* data/host-run-files.txt: what programs of a host run or obey. The file is part of the program and
 * installed beside it for readers. */
#ifndef BB_WORKSPACE_RISKY_H
#define BB_WORKSPACE_RISKY_H

#include "base/view.h"

/* Who runs a file of this name: a part of the data, not terminated; empty: nobody known. */
struct bb_view risky_find(const char *path);
/* The same for a special row: ":executable", ":symlink". */
struct bb_view risky_special(const char *row);

/* The data itself. */
extern const char risky_data[];

#endif
