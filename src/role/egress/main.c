/* bot-bottle-egress: started by the monitor with descriptor 3; see ipc/messages.h. */
#include "role/egress/egress.h"

int main(void)
{
	return egress_main();
}
