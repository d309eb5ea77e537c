/* `shed`: in CoreDNS, a bound on answers that wait for a UDP socket. Here none ever waits: answers are handed
 * to the kernel in the batch in which their queries came, and what it does not take is dropped and counted.
 */
#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 0, 0, error);
	for (size_t k = 0; k < block->source->key_count && !status; k++) {
		if (block->source->keys[k].transport != VIGIE_TRANSPORT_DNS)
			status = vigie_word_error(error, &statement->name,
						  "'shed' is about UDP: it cannot stand in the block of '%s'",
						  block->source->keys[k].word.text);
	}
	return status;
}

const struct vigie_directive vigie_directive_shed = {
	.name = "shed",
	.setup = setup,
};
