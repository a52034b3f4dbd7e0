/*
 * The audit: one process that may do nothing but append to one file. A writer sends a record, the
 * recorder answers when its line is on the disk, and only then does the writer act on the verdict.
 * A record that cannot be written is answered with the error, and the writer denies.
 */
#ifndef BB_ROLE_RECORDER_RECORDER_H
#define BB_ROLE_RECORDER_RECORDER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

int recorder_main(void);

/*
 * One IPC_RECORD body as one JSON object and a line feed, appended to out. Everything in it came
 * from a guest: all but printable ASCII is escaped, each text is cut to its limit (and "truncated"
 * set), the line is at most LIMIT_AUDIT_RECORD bytes. 0, or -EPROTO for a body that is no record.
 */
int recorder_line(struct bb_view body, struct bb_buf *out, struct bb_err *err);

#endif
