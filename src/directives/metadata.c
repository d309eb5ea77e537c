/* `metadata [ZONES…]`: lets directives ask others what they know of a query. */
#include "directives.h"
#include "zones.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	struct zones zones = {0};

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status =
			zones_from_words_or_keys(&zones, block, statement->args, statement->arg_count, error);
	block->metadata_zones = zones.names;
	block->metadata_zone_count = zones.count;
	return status;
}

const struct vigie_directive vigie_directive_metadata = {
	.name = "metadata",
	.setup = setup,
};
