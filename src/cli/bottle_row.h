/* One bottle as 'list' and 'info' report it. */
#ifndef BB_CLI_BOTTLE_ROW_H
#define BB_CLI_BOTTLE_ROW_H

#include "cli/command.h"
#include "cli/control.h"
#include "cli/json.h"
#include "store/store.h"

struct cli_row {
	struct store_meta *meta;
	struct cli_status status;
	bool is_alive, has_status;
};

/* Metadata, and what the monitor says when it lives. */
int cli_row_read(const char *identity, struct cli_row *ret, struct bb_err *err);
void cli_row_done(struct cli_row *row);
const char *cli_row_state(const struct cli_row *row);
/* Backend with accelerator and, for a shared kernel, the words. */
const char *cli_row_backend(const struct cli_row *row);
/* One object. */
void cli_row_json(struct cli_json *j, const struct cli_row *row);

/* Its members. */
#define CLI_ROW_FIELDS 24
extern const struct cli_field cli_row_fields[CLI_ROW_FIELDS];

#endif
