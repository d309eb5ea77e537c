/* `nsid [DATA…]`: tells clients that ask for it which server this is (RFC 5001). */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "hostname.h"

enum {
	NSID_MAX = 255 /* bytes; what is longer is an error */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	char *nsid = vigie_arena_alloc(block->arena, NSID_MAX + 1);
	enum vigie_status status = vigie_statement_once(statements, count, error);
	size_t length = 0;

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (status)
		return status;
	if (statement->arg_count == 0)
		*instance = (void *)hostname_get(block->arena);
	else
		*instance = nsid;
	if (!nsid || !*instance)
		return vigie_error_memory(error);
	for (size_t i = 0; i < statement->arg_count; i++) {
		const struct vigie_word *word = &statement->args[i];
		size_t more = strlen(word->text);

		if (length + (i > 0) + more > NSID_MAX)
			return vigie_word_error(error, word, "'%s': an NSID has at most %d bytes", word->text,
						NSID_MAX);
		if (i > 0)
			nsid[length++] = ' ';
		memcpy(nsid + length, word->text, more);
		length += more;
	}
	return VIGIE_OK;
}

static void answered(void *instance, struct vigie_request *request)
{
	if (request->query->nsid)
		request->answer->nsid = instance;
}

const struct vigie_directive vigie_directive_nsid = {
	.name = "nsid",
	.setup = setup,
	.answered = answered,
};
