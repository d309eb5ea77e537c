/* `rewrite [continue|stop] FIELD …`: changes queries for the directives behind it, and answers on their way
 * back. */
#include "rewrite.h"

#include <string.h>

#include "chase.h"
#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct rewrite *rewrite = vigie_arena_alloc(block->arena, sizeof(*rewrite));

	if (rewrite)
		rewrite->rules = vigie_arena_alloc(block->arena, count * sizeof(*rewrite->rules));
	if (!rewrite || !rewrite->rules)
		return vigie_error_memory(error);
	for (; rewrite->count < count; rewrite->count++) {
		enum vigie_status status = rewrite_read_rule(block, statements[rewrite->count],
							     &rewrite->rules[rewrite->count], error);

		if (status)
			return status;
	}
	*instance = rewrite;
	return VIGIE_OK;
}

enum outcome { OUTCOME_IGNORED, OUTCOME_APPLIED, OUTCOME_INVALID };

static enum outcome apply_name(const struct rewrite_rule *rule, struct rewrite_work *work)
{
	struct vigie_name name;

	if (work->renames == REWRITE_RENAMES_MAX ||
	    !name_match(&rule->match, work->names[work->renames], NULL, NULL))
		return OUTCOME_IGNORED;
	if (!name_match(&rule->match, work->names[work->renames], rule->to, work->names[work->renames + 1]) ||
	    vigie_name_from_text(&name, work->names[work->renames + 1]))
		return OUTCOME_INVALID;
	/* What a group caught, or what stands in the Corefile, may be spelled with needless escapes. */
	vigie_name_to_text(name.bytes, work->names[work->renames + 1]);
	work->applied[work->applied_count].name = work->renames++;
	return OUTCOME_APPLIED;
}

static enum outcome apply(const struct rewrite_rule *rule, struct vigie_request *request,
			  struct rewrite_work *work)
{
	switch (rule->field) {
	case REWRITE_NAME:
		return apply_name(rule, work);
	case REWRITE_TYPE:
		if (work->type != rule->number_from)
			return OUTCOME_IGNORED;
		work->type = rule->number_to;
		return OUTCOME_APPLIED;
	case REWRITE_CLASS:
		if (work->class != rule->number_from)
			return OUTCOME_IGNORED;
		work->class = rule->number_to;
		return OUTCOME_APPLIED;
	case REWRITE_EDNS0:
		return rewrite_apply_option(&rule->option, request, work) ? OUTCOME_APPLIED : OUTCOME_IGNORED;
	case REWRITE_TTL:
	case REWRITE_RCODE:
		return name_match(&rule->match, work->names[work->renames], NULL, NULL) ? OUTCOME_APPLIED
											: OUTCOME_IGNORED;
	case REWRITE_CNAME:
		return OUTCOME_APPLIED; /* which answers have such a CNAME is seen later */
	case REWRITE_FIELDS:
		break;
	}
	return OUTCOME_IGNORED;
}

/* Runs the rules over a query: always with the same outcome, so that it need not be kept until the answer is
 * there. */
static enum outcome run(const struct rewrite *rewrite, struct vigie_request *request,
			struct rewrite_work *work)
{
	const struct vigie_query *query = request->query;

	work->renames = 0;
	work->applied_count = 0;
	work->type = query->type;
	work->class = query->class;
	vigie_name_to_text(query->name.bytes, work->names[0]);
	rewrite_begin_options(work, query);
	for (size_t i = 0; i < rewrite->count && work->applied_count < REWRITE_APPLIED_MAX; i++) {
		enum outcome outcome = apply(&rewrite->rules[i], request, work);

		if (outcome == OUTCOME_INVALID)
			return outcome;
		if (outcome == OUTCOME_IGNORED)
			continue;
		work->applied[work->applied_count++].rule = &rewrite->rules[i];
		if (!rewrite->rules[i].goes_on)
			break;
	}
	rewrite_end_options(work);
	return work->applied_count > 0 ? OUTCOME_APPLIED : OUTCOME_IGNORED;
}

/* Makes the query that the rules came to. `packet` has room for REWRITE_PACKET_MAX bytes. */
static bool make_query(const struct rewrite_work *work, const struct vigie_query *query, uint8_t *packet,
		       struct vigie_query *made)
{
	struct vigie_name name;
	size_t length;

	if (vigie_name_from_text(&name, work->names[work->renames]))
		return false;
	length = vigie_query_write(packet, REWRITE_PACKET_MAX, query->id, query->flags, name.bytes,
				   work->type, work->class, work->edns, query->edns_do);
	if (length > 0 && work->edns) {
		uint16_t size = query->edns ? query->edns_size : VIGIE_UDP_SIZE_EDNS;

		/* The OPT record is the last. */
		packet[length - 8] = (uint8_t)(size >> 8);
		packet[length - 7] = (uint8_t)size;
		length = vigie_query_write_options(packet, REWRITE_PACKET_MAX, length, work->options,
						   work->options_length);
	}
	if (length == 0 || vigie_query_parse(made, packet, length) != VIGIE_GATE_OK)
		return false;
	made->forward_options = query->forward_options || (work->options_changed && work->options_length > 0);
	return true;
}

static enum vigie_verdict done(struct vigie_request *request, const uint8_t *reply, size_t length,
			       void *argument)
{
	struct rewrite_work work;
	struct vigie_name target;

	if (!reply)
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
					  "rewrite: too many queries within a query, or out of memory");
	run(argument, request, &work);
	if (rewrite_answer(&work, reply, length, request->answer, &target))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "rewrite: the answer is malformed");
	if (target.length > 0)
		return vigie_request_lookup(request, &target, request->query->type, chase_append, NULL);
	return VIGIE_ANSWERED;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	uint8_t packet[REWRITE_PACKET_MAX];
	struct rewrite_work work;
	struct vigie_query query;

	switch (run(instance, request, &work)) {
	case OUTCOME_IGNORED:
		return VIGIE_NEXT;
	case OUTCOME_APPLIED:
		if (make_query(&work, request->query, packet, &query))
			return vigie_request_pass(request, &query, done, instance);
		break;
	case OUTCOME_INVALID:
		break;
	}
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "rewrite: invalid name after rewrite");
}

const struct vigie_directive vigie_directive_rewrite = {
	.name = "rewrite",
	.setup = setup,
	.serve = serve,
};
