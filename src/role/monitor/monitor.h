/* The monitor of one bottle: starts, watches and ends its parts. No guest byte passes through it.
 */
#ifndef BB_ROLE_MONITOR_MONITOR_H
#define BB_ROLE_MONITOR_MONITOR_H

#define MONITOR_SECRETS_MAX 64

/* Runs one bottle from the launch on report_fd (taken) to its end. The exit status. */
int monitor_run(int report_fd);

#endif
