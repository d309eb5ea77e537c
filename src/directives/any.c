/* `any`: a short answer to ANY queries, which are of use to attackers above all (RFC 8482 section 4.2). */
#include <string.h>

#include "directives.h"

enum { TYPE_HINFO = 13, TTL = 8482 };

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	return vigie_statement_bare(statements, count, error);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	static const char hinfo[] = "\15ANY obsoleted\14See RFC 8482";
	uint8_t *rdata;

	if (request->query->type != VIGIE_TYPE_ANY || request->query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, TYPE_HINFO, TTL,
				sizeof(hinfo) - 1);
	if (rdata)
		memcpy(rdata, hinfo, sizeof(hinfo) - 1);
	return VIGIE_ANSWERED;
}

const struct vigie_directive vigie_directive_any = {
	.name = "any",
	.setup = setup,
	.serve = serve,
};
