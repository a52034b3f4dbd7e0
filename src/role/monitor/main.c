/* bot-bottle-monitor: one process a bottle, started by `bot-bottle start` with the report socket as
 * descriptor 3. */
#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "ipc/messages.h"
#include "role/monitor/monitor.h"

int main(void)
{
	bb_log_init("bot-bottle-monitor");
	if (fcntl(IPC_ROLE_FD, F_SETFD, FD_CLOEXEC) < 0) {
		(void)fprintf(
			stderr,
			"bot-bottle-monitor: is started by 'bot-bottle start', not by hand\n");
		return 125;
	}
	return monitor_run(IPC_ROLE_FD);
}
