/* Where a program of the host that we run confined may be: nothing is looked up on PATH. */
#ifndef BB_SYS_TOOLS_H
#define BB_SYS_TOOLS_H

#define TOOLS_GIT                                                \
	{                                                        \
		"/usr/bin/git", "/usr/local/bin/git", "/bin/git" \
	}

#endif
