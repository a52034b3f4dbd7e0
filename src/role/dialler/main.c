/* bot-bottle-dialler: started by the monitor with descriptor 3; see ipc/messages.h. */
#include "role/dialler/dialler.h"

int main(void)
{
	return dialler_main();
}
