/* `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`: AAAA records made of A records, for clients
 * that reach IPv4 through a NAT64 (RFC 6147). */
#include <arpa/inet.h>
#include <string.h>

#include "directives.h"
#include "network.h"
#include "record_writer.h"
#include "tally.h"
#include "vigie/metrics.h"

enum {
	PREFIX_LEAST = 32, /* bits (RFC 6052 section 2.2) */
	PREFIX_MOST = 96,
	TTL_WITHOUT_SOA = 600 /* seconds (RFC 6147 section 5.1.7) */
};

struct dns64 {
	const struct vigie_block *block;
	struct network prefix;
	bool translate_all;
	bool allow_ipv4;
	struct tally *tally; /* queries translated */
};

static enum vigie_status read_prefix(struct dns64 *dns64, const struct vigie_word *word,
				     struct vigie_error *error)
{
	if (network_from_text(&dns64->prefix, word->text) == VIGIE_OK && !dns64->prefix.v4 &&
	    strchr(word->text, '/') && dns64->prefix.bits % 8 == 0 && dns64->prefix.bits >= PREFIX_LEAST &&
	    dns64->prefix.bits <= PREFIX_MOST)
		return VIGIE_OK;
	return vigie_word_error(
		error, word, "'%s' is no IPv6 prefix of 32 to 96 bits in whole bytes, such as 64:ff9b::/96",
		word->text);
}

static enum vigie_status read_option(struct dns64 *dns64, const struct vigie_statement *directive,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_plain(option, error);
	bool *flag = NULL;

	if (status)
		return status;
	if (strcmp(option->name.text, "prefix") == 0) {
		status = vigie_statement_args(option, 1, 1, error);
		return status ? status : read_prefix(dns64, &option->args[0], error);
	}
	if (strcmp(option->name.text, "translate_all") == 0)
		flag = &dns64->translate_all;
	else if (strcmp(option->name.text, "allow_ipv4") == 0)
		flag = &dns64->allow_ipv4;
	else
		return vigie_option_unknown(directive, option, error);
	*flag = true;
	return vigie_statement_args(option, 0, 0, error);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct dns64 *dns64 = vigie_arena_alloc(block->arena, sizeof(*dns64));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!dns64)
		return vigie_error_memory(error);
	dns64->block = block;
	network_from_text(&dns64->prefix, "64:ff9b::/96");
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count > 0)
		status = read_prefix(dns64, &statement->args[0], error);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(dns64, statement, &statement->body[i], error);
	if (status)
		return status;
	dns64->tally = tally_new(1);
	*instance = dns64;
	if (!dns64->tally)
		return vigie_error_memory(error);
	return VIGIE_OK;
}

static void dns64_free(void *instance)
{
	struct dns64 *dns64 = instance;

	tally_free(dns64->tally);
}

/* The address that stands for a v4 one (RFC 6052 section 2.2): byte 8 stays zero. */
static void embed(const struct network *prefix, const uint8_t v4[4], uint8_t v6[16])
{
	size_t at = prefix->bits / 8U;

	memset(v6, 0, 16);
	memcpy(v6, prefix->address, at);
	for (int i = 0; i < 4; i++) {
		at += at == 8;
		v6[at++] = v4[i];
	}
}

/* Whether the reply has an IPv6 address to offer. Mapped ones are none (RFC 6147 section 5.1.4). */
static bool has_v6(const uint8_t *reply, size_t length)
{
	struct vigie_record_walk walk;
	struct vigie_record record;

	vigie_record_walk_message(&walk, reply, length);
	while (vigie_record_next(&walk, &record) && record.section == VIGIE_ANSWER) {
		if (record.type == VIGIE_TYPE_AAAA && record.rdlength == 16 &&
		    !network_address_is_v4(reply + record.rdata))
			return true;
	}
	return false;
}

static bool has_v4(const uint8_t *reply, size_t length)
{
	struct vigie_record_walk walk;
	struct vigie_record record;

	vigie_record_walk_message(&walk, reply, length);
	while (vigie_record_next(&walk, &record) && record.section == VIGIE_ANSWER) {
		if (record.type == VIGIE_TYPE_A && record.rdlength == 4)
			return true;
	}
	return false;
}

/* How long the answer to AAAA may be cached: what is made instead of it lives no longer. */
static uint32_t negative_ttl(const struct vigie_answer *answer)
{
	uint32_t ttl = TTL_WITHOUT_SOA;
	struct vigie_record_walk walk;
	struct vigie_record record;

	vigie_record_walk_answer(&walk, answer);
	while (vigie_record_next(&walk, &record)) {
		if (record.section == VIGIE_AUTHORITY && record.type == VIGIE_TYPE_SOA)
			ttl = record.ttl;
	}
	return ttl;
}

/* Writes the reply to the A query as the answer, its A records translated. False when it is malformed. */
static bool translate(const struct dns64 *dns64, struct vigie_answer *answer, const uint8_t *reply,
		      size_t length)
{
	struct record_writer writer = {.answer = answer};
	uint32_t most = negative_ttl(answer);
	struct vigie_record_walk walk;
	struct vigie_record record;

	vigie_answer_reset(answer);
	answer->flags = vigie_reply_flags(reply) & (VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_FLAG_RA);
	vigie_record_walk_message(&walk, reply, length);
	while (vigie_record_next(&walk, &record)) {
		struct vigie_name owner;
		uint8_t *rdata;

		if (record.type == VIGIE_TYPE_OPT)
			continue;
		if (record.section != VIGIE_ANSWER || record.type != VIGIE_TYPE_A || record.rdlength != 4) {
			if (!record_writer_copy(&writer, &walk, &record))
				return false;
			continue;
		}
		if (!vigie_record_name(&walk, record.owner, &owner))
			return false;
		record.type = VIGIE_TYPE_AAAA;
		rdata = record_writer_add(&writer, &record, &owner, record.ttl < most ? record.ttl : most,
					  16);
		if (rdata)
			embed(&dns64->prefix, reply + record.rdata, rdata);
	}
	return true;
}

/* The answer to A is there. The one to AAAA stays when there is nothing to translate. */
static enum vigie_verdict have_v4(struct vigie_request *request, const uint8_t *reply, size_t length,
				  void *argument)
{
	const struct dns64 *dns64 = argument;

	if (!reply || vigie_reply_rcode(reply) != VIGIE_RCODE_NOERROR || !has_v4(reply, length))
		return VIGIE_ANSWERED;
	if (!translate(dns64, request->answer, reply, length))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "dns64: the answer is malformed");
	tally_count(dns64->tally, request, 0);
	return VIGIE_ANSWERED;
}

/* The answer to AAAA is there. Errors count as no addresses, but a name that does not exist has no A either
 * (RFC 6147 section 5.1.2). */
static enum vigie_verdict have_v6(struct vigie_request *request, const uint8_t *reply, size_t length,
				  void *argument)
{
	const struct dns64 *dns64 = argument;
	const struct vigie_query *query = request->query;
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	struct vigie_query v4;

	if (!reply || vigie_answer_take(request->answer, reply, length))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
					  "dns64: too many queries within a query, or out of memory");
	if (request->answer->rcode == VIGIE_RCODE_NXDOMAIN ||
	    (!dns64->translate_all && has_v6(reply, length)))
		return VIGIE_ANSWERED;
	length = vigie_query_write(packet, sizeof(packet), query->id, query->flags, query->name.bytes,
				   VIGIE_TYPE_A, VIGIE_CLASS_IN, query->edns, query->edns_do);
	if (vigie_query_parse(&v4, packet, length) != VIGIE_GATE_OK)
		return VIGIE_ANSWERED;
	return vigie_request_pass(request, &v4, have_v4, argument);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct dns64 *dns64 = instance;
	const struct vigie_query *query = request->query;
	uint8_t address[16];

	if (query->type != VIGIE_TYPE_AAAA || query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	/* A client that validates by itself would find the records forged (RFC 6147 section 5.5). */
	if (query->edns_do && query->flags & VIGIE_FLAG_CD)
		return VIGIE_NEXT;
	network_address(request->client, address);
	if (network_address_is_v4(address) && !dns64->allow_ipv4)
		return VIGIE_NEXT;
	return vigie_request_pass(request, query, have_v6, instance);
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct dns64 *dns64 = instance;
	char labels[128] = "";

	vigie_metrics_label(labels, sizeof(labels), "server", dns64->block->server);
	vigie_metrics_add(metrics, "coredns_dns64_requests_translated_total", VIGIE_COUNTER,
			  "Requests whose AAAA records were made of A records.", labels,
			  (double)tally_sum(dns64->tally, 0));
}

const struct vigie_directive vigie_directive_dns64 = {
	.name = "dns64",
	.setup = setup,
	.free = dns64_free,
	.serve = serve,
	.metrics = metrics,
};
