/* Dispatch of a whole command line. */
#ifndef BB_CLI_RUN_H
#define BB_CLI_RUN_H

/* Returns the exit code. */
int cli_run(int argc, char **argv);

#endif
