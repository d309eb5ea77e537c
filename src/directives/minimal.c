/* `minimal`: answers without records that the client did not ask for. */
#include "directives.h"
#include "vigie/record.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	return vigie_statement_bare(statements, count, error);
}

/* Without an answer section the authority section is the answer: the SOA of a negative one, or a delegation,
 * whose additional addresses are needed, too. */
static bool is_needed(const struct vigie_answer *answer)
{
	return answer->rcode != VIGIE_RCODE_NOERROR ||
	       (answer->count[VIGIE_ANSWER] == 0 && answer->count[VIGIE_AUTHORITY] > 0);
}

static void answered(void *instance, struct vigie_request *request)
{
	struct vigie_answer *answer = request->answer;
	struct vigie_record_walk walk;
	struct vigie_record record;

	if (answer->count[VIGIE_AUTHORITY] + answer->count[VIGIE_ADDITIONAL] == 0 || is_needed(answer))
		return;
	vigie_record_walk_answer(&walk, answer);
	while (walk.left[VIGIE_ANSWER] > 0) {
		if (!vigie_record_next(&walk, &record))
			return;
	}
	answer->length = walk.at;
	answer->count[VIGIE_AUTHORITY] = 0;
	answer->count[VIGIE_ADDITIONAL] = 0;
}

const struct vigie_directive vigie_directive_minimal = {
	.name = "minimal",
	.setup = setup,
	.answered = answered,
};
