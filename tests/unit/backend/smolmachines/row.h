/* A machine's row as smolvm 0.8.0 writes it when it was created without a network, with members
 * that bot-bottle does not know. */
#ifndef BB_TESTS_SMOLMACHINES_ROW_H
#define BB_TESTS_SMOLMACHINES_ROW_H

#define ROW_NAME "bot-bottle-claude_ab12c"
#define ROW_CIDR "127.0.0.16/32"

/* state, pid, network and allowed_cidrs are JSON text; more is put before the end. */
#define ROW(state, pid, network, cidrs, more)                                                   \
	"{\"name\":\"" ROW_NAME "\",\"created_at\":1764000000,\"state\":" state ",\"pid\":" pid \
	",\"pid_start_time\":null,\"cpus\":2,\"mem\":2048,\"mounts\":[],\"ports\":[],"          \
	"\"network\":" network                                                                  \
	",\"gpu\":false,\"restart\":{\"policy\":\"never\",\"max_retries\":0},\"init\":[],"      \
	"\"env\":[[\"K\",\"v \\u00e9\"]],\"storage_gb\":20,\"allowed_cidrs\":" cidrs            \
	",\"image\":null,\"entrypoint\":[\"/bottle-init\"],\"a_later_member\":{\"x\":[1,2.5,"   \
	"9007199254740993]},\"ephemeral\":false" more "}"
#define ROW_FRESH ROW("\"created\"", "null", "false", "null", "")
#define ROW_RIGHT ROW("\"created\"", "null", "false", "[\"" ROW_CIDR "\"]", "")

#endif
