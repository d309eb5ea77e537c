/* `bufsize [SIZE]`: answers by UDP no longer than this, whatever the client takes, nor replies of upstreams.
 */
#include "directives.h"

enum { SIZE_DEFAULT = 1232, SIZE_LEAST = VIGIE_UDP_SIZE_PLAIN, SIZE_MOST = 4096 };

struct bufsize {
	uint16_t size;
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct bufsize *bufsize = vigie_arena_alloc(block->arena, sizeof(*bufsize));
	enum vigie_status status = vigie_statement_once(statements, count, error);
	uint64_t size = SIZE_DEFAULT;

	if (!status)
		status = vigie_statement_plain(statements[0], error);
	if (!status)
		status = vigie_statement_args(statements[0], 0, 1, error);
	if (!status && statements[0]->arg_count > 0)
		status = vigie_number_from_word(&statements[0]->args[0], SIZE_LEAST, SIZE_MOST, &size, error);
	if (status)
		return status;
	if (!bufsize)
		return vigie_error_memory(error);
	bufsize->size = block->bufsize = (uint16_t)size;
	*instance = bufsize;
	return VIGIE_OK;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct bufsize *bufsize = instance;
	struct vigie_query *query = request->query;

	if (!query->edns || query->edns_size <= bufsize->size)
		return VIGIE_NEXT;
	query->edns_size = bufsize->size;
	if (request->channel == VIGIE_CHANNEL_UDP)
		vigie_answer_lower_limit(request->answer, bufsize->size);
	return VIGIE_NEXT;
}

const struct vigie_directive vigie_directive_bufsize = {
	.name = "bufsize",
	.setup = setup,
	.serve = serve,
};
