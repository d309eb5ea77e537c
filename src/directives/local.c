/* `local [{ localhost_prefix on|off; private_use }]`: special-use names are answered here. */
#include <string.h>

#include "directives.h"
#include "special_use.h"
#include "tally.h"
#include "vigie/metrics.h"

enum { TTL = 604800 };

struct local {
	const struct special_zones *special;
	const struct special_zones *private; /* NULL: they go on */
	bool prefix;                         /* `localhost.example.org` is a localhost, too */
	struct tally *tally;                 /* queries for localhosts that are not `localhost.` itself */
};

static enum vigie_status read_prefix(struct local *local, const struct vigie_statement *option,
				     struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, error);

	if (status)
		return status;
	local->prefix = strcmp(option->args[0].text, "on") == 0;
	if (!local->prefix && strcmp(option->args[0].text, "off") != 0)
		return vigie_word_error(error, &option->args[0],
					"'localhost_prefix' takes on or off, not '%s'", option->args[0].text);
	return VIGIE_OK;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct local *local = vigie_arena_alloc(block->arena, sizeof(*local));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statements[0], 0, 0, error);
	if (!status && !local)
		status = vigie_error_memory(error);
	if (status)
		return status;
	local->prefix = true;
	local->special = special_use_zones(error);
	if (!local->special)
		return VIGIE_ENOMEM;
	for (size_t i = 0; i < statements[0]->body_count && !status; i++) {
		const struct vigie_statement *option = &statements[0]->body[i];

		if (strcmp(option->name.text, "localhost_prefix") == 0) {
			status = read_prefix(local, option, error);
		} else if (strcmp(option->name.text, "private_use") == 0) {
			status = vigie_statement_args(option, 0, 0, error);
			local->private = private_use_zones(error);
			if (!status && !local->private)
				status = VIGIE_ENOMEM;
		} else {
			status = vigie_option_unknown(statements[0], option, error);
		}
	}
	if (status)
		return status;
	local->tally = tally_new(1);
	*instance = local;
	return local->tally ? VIGIE_OK : vigie_error_memory(error);
}

static void local_free(void *instance)
{
	struct local *local = instance;

	tally_free(local->tally);
}

/* `localhost.` in front of another name: resolvers that append a search domain to it (CoreDNS answers these,
 * too). */
static bool is_prefixed(const struct vigie_name *name)
{
	static const uint8_t label[] = "\x09localhost";

	return name->labels > 1 && memcmp(name->bytes, label, sizeof(label) - 1) == 0;
}

static enum vigie_verdict serve_prefixed(struct vigie_request *request)
{
	static const uint8_t loopback[16] = {[15] = 1};
	static const uint8_t soa[] =
		"\x09localhost\0\4root\x09localhost\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x3a\x80";
	uint8_t *rdata;

	switch (request->query->type) {
	case VIGIE_TYPE_A:
		rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_A,
					TTL, 4);
		if (rdata)
			memcpy(rdata, "\x7f\0\0\1", 4);
		break;
	case VIGIE_TYPE_AAAA:
		rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_AAAA,
					TTL, 16);
		if (rdata)
			memcpy(rdata, loopback, sizeof(loopback));
		break;
	default:
		rdata = vigie_answer_rr(request->answer, VIGIE_AUTHORITY, VIGIE_OWNER_QUESTION,
					VIGIE_TYPE_SOA, TTL, sizeof(soa) - 1);
		if (rdata)
			memcpy(rdata, soa, sizeof(soa) - 1);
	}
	request->answer->flags |= VIGIE_FLAG_AA;
	return VIGIE_ANSWERED;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	static const struct fallthrough none;
	static const uint8_t localhost[] = "\x09localhost";
	struct local *local = instance;
	const struct vigie_query *query = request->query;
	const struct static_zone *zone =
		static_zone_find(local->special->list, local->special->count, &query->name);

	if (!zone && local->private)
		zone = static_zone_find(local->private->list, local->private->count, &query->name);
	if (zone && query->name.labels > 1 && vigie_name_equal(zone->origin.bytes, localhost))
		tally_count(local->tally, request, 0);
	if (zone)
		return static_zone_serve(zone, &none, request);
	if (!local->prefix || query->class != VIGIE_CLASS_IN || !is_prefixed(&query->name))
		return VIGIE_NEXT;
	tally_count(local->tally, request, 0);
	return serve_prefixed(request);
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct local *local = instance;

	vigie_metrics_add(metrics, "coredns_local_localhost_requests_total", VIGIE_COUNTER,
			  "Queries for localhosts other than localhost itself.", "",
			  (double)tally_sum(local->tally, 0));
}

const struct vigie_directive vigie_directive_local = {
	.name = "local",
	.setup = setup,
	.free = local_free,
	.serve = serve,
	.metrics = metrics,
};
