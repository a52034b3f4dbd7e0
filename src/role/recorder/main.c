/* bot-bottle-recorder: started by the monitor with descriptor 3; see ipc/messages.h. */
#include "role/recorder/recorder.h"

int main(void)
{
	return recorder_main();
}
