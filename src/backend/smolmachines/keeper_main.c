/* bot-bottle-keeper: started by a bottle's monitor with its link as descriptor 3. */
#include <fcntl.h>
#include <stdio.h>

#include "backend/smolmachines/keeper.h"
#include "base/log.h"
#include "ipc/messages.h"

int main(void)
{
	bb_log_init("bot-bottle-keeper");
	if (fcntl(IPC_ROLE_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(KEEPER_CONSOLE_FD, F_SETFD, FD_CLOEXEC) < 0) {
		(void)fprintf(stderr, "bot-bottle-keeper: is started by a bottle's monitor, not by "
				      "hand\n");
		return 125;
	}
	return keeper_run(IPC_ROLE_FD, KEEPER_CONSOLE_FD);
}
