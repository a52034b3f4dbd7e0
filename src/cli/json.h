/* What --json prints: members in the order of the calls, to standard output. Field names are part
 * of the interface: each command lists its own in its table (command.h), and the tests compare. */
#ifndef BB_CLI_JSON_H
#define BB_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#define CLI_JSON_DEPTH 8

struct cli_json {
	unsigned depth;
	bool has_member[CLI_JSON_DEPTH + 1];
};

/* kind: '{' or '['. Inside an object with cli_json_open(). */
void cli_json_begin(struct cli_json *j, char kind);
void cli_json_open(struct cli_json *j, const char *name, char kind);
/* The outermost ends with a newline. */
void cli_json_end(struct cli_json *j, char kind);
/* name NULL: an element of an array. value NULL: null. */
void cli_json_str(struct cli_json *j, const char *name, const char *value);
void cli_json_num(struct cli_json *j, const char *name, uint64_t value);
void cli_json_bool(struct cli_json *j, const char *name, bool value);
void cli_json_null(struct cli_json *j, const char *name);

#endif
