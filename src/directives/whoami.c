/* `whoami`: tells clients where their query came from. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "directives.h"
#include "network.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	return vigie_statement_bare(statements, count, error);
}

/* The client's port as an SRV record of _udp.NAME or _tcp.NAME. A name without room for one more label has
 * none. */
static void write_port(struct vigie_request *request)
{
	const struct vigie_query *query = request->query;
	uint16_t port = network_port(request->client);
	uint8_t owner[VIGIE_NAME_MAX + 5];
	uint8_t *rdata;

	if (query->name.length + 5 > VIGIE_NAME_MAX)
		return;
	memcpy(owner, request->channel == VIGIE_CHANNEL_TCP ? "\4_tcp" : "\4_udp", 5);
	memcpy(owner + 5, query->packet + VIGIE_HEADER_SIZE, query->name.length);
	rdata = vigie_answer_rr_named(request->answer, VIGIE_ADDITIONAL, owner, VIGIE_TYPE_SRV, 0, 7);
	if (!rdata)
		return;
	memset(rdata, 0, 7); /* priority and weight 0, the root as the target */
	memcpy(rdata + 4, &port, 2);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	uint8_t address[16];
	uint8_t *rdata;
	bool v4;

	if (request->query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	network_address(request->client, address);
	v4 = network_address_is_v4(address);
	rdata = vigie_answer_rr(request->answer, VIGIE_ADDITIONAL, VIGIE_OWNER_QUESTION,
				v4 ? VIGIE_TYPE_A : VIGIE_TYPE_AAAA, 0, v4 ? 4 : 16);
	if (rdata)
		memcpy(rdata, v4 ? address + 12 : address, v4 ? 4 : 16);
	write_port(request);
	request->answer->flags |= VIGIE_FLAG_AA;
	return VIGIE_ANSWERED;
}

const struct vigie_directive vigie_directive_whoami = {
	.name = "whoami",
	.setup = setup,
	.serve = serve,
};
