/* bot-bottle-channel: started by the monitor with descriptor 3; see ipc/messages.h. */
#include <signal.h>

#include "base/log.h"
#include "ipc/messages.h"
#include "role/channel/channel.h"
#include "sys/sandbox.h"

int main(void)
{
	struct bb_err err = { 0 };
	struct channel *c;
	struct loop *loop;
	int code;

	bb_log_init("bot-bottle-channel");
	(void)signal(SIGPIPE,
		     SIG_IGN); /* a console.log on a pipe, or a vanished reader, is an error code */
	if (sandbox_early(IPC_ROLE_FD + 1, &err) < 0) {
		bb_error("%s", err.msg);
		return 1;
	}
	loop = loop_new();
	c = loop == NULL ? NULL : channel_new(loop, IPC_ROLE_FD);
	if (c == NULL) {
		bb_error("out of memory");
		return 1;
	}
	code = loop_run(loop);
	channel_free(c);
	loop_free(loop);
	return code;
}
