#include "chase.h"

enum vigie_verdict chase_append(struct vigie_request *request, const uint8_t *reply, size_t length,
				void *argument)
{
	if (!reply)
		return VIGIE_ANSWERED;
	vigie_answer_append(request->answer, reply, length);
	/* The rcode is that of the last name of the chain (RFC 6604 section 2.1). */
	if (vigie_reply_rcode(reply) == VIGIE_RCODE_NXDOMAIN)
		request->answer->rcode = VIGIE_RCODE_NXDOMAIN;
	return VIGIE_ANSWERED;
}
