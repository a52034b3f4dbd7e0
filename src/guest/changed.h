/* Has anything below a directory changed since an instant? By change time of each entry: deleting
 * and renaming change the directory's. */
#ifndef BB_GUEST_CHANGED_H
#define BB_GUEST_CHANGED_H

#include <time.h>

/* An instant of the clock file systems stamp with. Waits for its next tick (at most some 10 ms), so
 * that every earlier change has a smaller stamp and every later one has not. */
void changed_mark(struct timespec *ret);
/* 0: unchanged. 1: changed, or the tree has more than LIMIT_TREE_ENTRIES entries. Negative: -errno.
 * Follows no symbolic link and stays on the file systems it meets. */
int changed_since(const char *path, const struct timespec *mark);

#endif
