/* `forward FROM TO… { OPTIONS }`: other servers answer. */
#include "forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "guard.h"
#include "scrub.h"
#include "vigie/trace.h"

struct forward {
	const struct vigie_block *block;
	struct rule *first; /* of all rules: those of longer zones first, else in the file's order */
};

/* One query that waits for its reply. */
struct wait {
	const struct forward *forward;
	struct rule *rule;
	const struct vigie_worker *worker;
	struct vigie_pending *pending;
	const struct vigie_outcome *outcome;
};

static void free_forward(void *instance)
{
	struct forward *forward = instance;

	for (struct rule *rule = forward->first; rule; rule = rule->after)
		forward_keep_release(forward->block, rule);
}

/* All zones that one FROM gives have as many labels. */
static void insert(struct forward *forward, struct rule *rule)
{
	struct rule **place = &forward->first;

	while (*place && (*place)->from[0].labels >= rule->from[0].labels)
		place = &(*place)->after;
	rule->after = *place;
	*place = rule;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct forward *forward = vigie_arena_alloc(block->arena, sizeof(*forward));
	struct rule *rules = vigie_arena_alloc(block->arena, count * sizeof(*rules));
	enum vigie_status status = guard_prepare(error);

	if (status)
		return status;
	if (!forward || !rules)
		return vigie_error_memory(error);
	forward->block = block;
	for (size_t i = 0; i < count && !status; i++) {
		status = forward_rule_read(&rules[i], block, statements[i], error);
		if (status)
			break;
		for (size_t k = 0; k < i; k++)
			rules[i].from_earlier += strcmp(rules[k].from_text, rules[i].from_text) == 0;
		insert(forward, &rules[i]);
	}
	if (status) {
		free_forward(forward);
		return status;
	}
	block->recursive = true;
	*instance = forward;
	return VIGIE_OK;
}

static void stop(void *instance)
{
	struct forward *forward = instance;

	for (struct rule *rule = forward->first; rule; rule = rule->after) {
		vigie_prober_close(rule->prober);
		rule->prober = NULL;
		forward_sources_stop(&rule->sources);
	}
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct forward *forward = instance;

	for (struct rule *rule = forward->first; rule; rule = rule->after) {
		if (!forward_keep(block, rule))
			rule->prober = vigie_prober_new(block->process->loop, rule->upstreams);
		if (!rule->prober ||
		    forward_sources_start(&rule->sources, rule->upstreams, block->process->loop)) {
			stop(forward);
			return vigie_error_memory(error);
		}
	}
	return VIGIE_OK;
}

static bool is_in(const struct vigie_name *name, const struct vigie_name *zones, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (vigie_name_is_below(name, &zones[i]))
			return true;
	}
	return false;
}

static bool is_one_of(const struct vigie_name *name, const struct vigie_name *zones, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (name->length == zones[i].length && memcmp(name->bytes, zones[i].bytes, name->length) == 0)
			return true;
	}
	return false;
}

/* The first rule for a name, from `rule` on; NULL when there is none. The zone's own name is always
 * forwarded, as CoreDNS does it. */
static struct rule *find_rule(struct rule *rule, const struct vigie_name *name)
{
	for (; rule; rule = rule->after) {
		if (is_in(name, rule->from, rule->from_count) &&
		    (!is_in(name, rule->except, rule->except_count) ||
		     is_one_of(name, rule->from, rule->from_count)))
			return rule;
	}
	return NULL;
}

static enum vigie_verdict fail(struct vigie_request *request, const struct vigie_outcome *outcome)
{
	enum vigie_verdict verdict = vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, outcome->trouble);

	vigie_answer_explain(request->answer, (enum vigie_ede)outcome->info, outcome->trouble);
	return verdict;
}

/* Whether this answer makes the next rule's upstreams be asked. */
static bool wants_next(const struct rule *rule, const struct vigie_answer *answer)
{
	if (answer->rcode < 32 && (rule->next >> answer->rcode & 1))
		return true;
	return rule->next_on_nodata && answer->rcode == VIGIE_RCODE_NOERROR &&
	       answer->count[VIGIE_ANSWER] == 0;
}

static enum vigie_verdict ask(const struct forward *forward, struct rule *rule,
			      struct vigie_request *request);

static enum vigie_verdict resumed(struct vigie_request *request, void *argument)
{
	static const struct vigie_outcome malformed = {.info = VIGIE_EDE_NETWORK_ERROR,
						       .trouble = "the upstream's reply is malformed"};
	const struct wait *wait = argument;
	const struct vigie_outcome *outcome = wait->outcome;
	const struct forward *forward = wait->forward;
	struct rule *next;

	request->source = outcome->status ? VIGIE_SOURCE_SILENCE : VIGIE_SOURCE_UPSTREAM;
	request->upstream = outcome->upstream;
	vigie_request_note(request, "forward", "%s in %u ms",
			   outcome->status     ? "no reply"
			   : outcome->upstream ? outcome->upstream
					       : "an upstream",
			   (unsigned)((request->worker->now_us - request->began_us) / 1000));
	if (outcome->status)
		return fail(request, outcome);
	if (vigie_answer_take(request->answer, outcome->reply, outcome->length))
		return fail(request, &malformed);
	if (scrub(request->answer, outcome->reply, outcome->length))
		atomic_fetch_add_explicit(&wait->rule->scrubbed, 1, memory_order_relaxed);
	if (wants_next(wait->rule, request->answer)) {
		next = find_rule(wait->rule->after, &request->query->name);
		if (next) {
			vigie_answer_reset(request->answer);
			request->source = VIGIE_SOURCE_LOCAL;
			if (guard_holds(forward->block, next->from, next->from_count, request))
				return VIGIE_ANSWERED;
			return ask(forward, next, request);
		}
	}
	request->trouble = outcome->trouble;
	if (outcome->trouble)
		vigie_answer_explain(request->answer, (enum vigie_ede)outcome->info, outcome->trouble);
	return VIGIE_ANSWERED;
}

static void on_done(void *argument, const struct vigie_outcome *outcome)
{
	struct wait *wait = argument;

	atomic_fetch_sub_explicit(&wait->rule->concurrent, 1, memory_order_relaxed);
	wait->outcome = outcome;
	vigie_request_resume(wait->worker, wait->pending, resumed, wait);
	free(wait);
}

static enum vigie_verdict ask(const struct forward *forward, struct rule *rule, struct vigie_request *request)
{
	const struct vigie_asker asker = {
		.client = request->client,
		.tcp = request->channel == VIGIE_CHANNEL_TCP && !rule->prefer_udp,
		.patient = request->channel == VIGIE_CHANNEL_TCP || request->background,
	};
	struct vigie_outcome outcome = {.trouble = "out of memory, or too many queries wait"};
	struct wait *wait;

	/* An upstream is asked anyway: next to that one shared counter costs nothing. */
	if (atomic_fetch_add_explicit(&rule->concurrent, 1, memory_order_relaxed) >= rule->max_concurrent &&
	    rule->max_concurrent > 0) {
		atomic_fetch_sub_explicit(&rule->concurrent, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&rule->rejected, 1, memory_order_relaxed);
		vigie_request_fail(request, VIGIE_RCODE_REFUSED, "concurrent queries exceeded maximum");
		vigie_answer_explain(request->answer, VIGIE_EDE_OTHER,
				     "forward: max_concurrent queries wait already");
		return VIGIE_ANSWERED;
	}
	wait = malloc(sizeof(*wait));
	if (!wait)
		goto fail;
	*wait = (struct wait){.forward = forward,
			      .rule = rule,
			      .worker = request->worker,
			      .pending = vigie_request_suspend(request)};
	if (!wait->pending)
		goto fail;
	if (vigie_exchange_start(request->worker->exchanger, rule->upstreams, request->query, &asker, on_done,
				 wait, &outcome) == VIGIE_OK)
		return VIGIE_SUSPENDED;
	vigie_request_cancel(request, wait->pending);
	if (outcome.status == VIGIE_EIO) /* nobody is up: a silence like any other, but known at once */
		request->source = VIGIE_SOURCE_SILENCE;

fail:
	free(wait);
	atomic_fetch_sub_explicit(&rule->concurrent, 1, memory_order_relaxed);
	return fail(request, &outcome);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct forward *forward = instance;
	struct rule *rule = find_rule(forward->first, &request->query->name);

	if (!rule)
		return VIGIE_NEXT;
	/* Other classes ask a server about itself: version.bind must not tell of the upstream. */
	if (request->query->class != VIGIE_CLASS_IN || request->query->type == VIGIE_TYPE_AXFR ||
	    request->query->type == VIGIE_TYPE_IXFR)
		return vigie_request_refuse_kind(request);
	if (guard_holds(forward->block, rule->from, rule->from_count, request))
		return VIGIE_ANSWERED;
	return ask(forward, rule, request);
}

static bool metadata(void *instance, struct vigie_request *request, const char *label, char *value)
{
	if (strcmp(label, "upstream") != 0 || !request->upstream)
		return false;
	snprintf(value, VIGIE_NAME_TEXT_MAX, "%s", request->upstream);
	return true;
}

static bool ready(void *instance)
{
	const struct forward *forward = instance;

	for (const struct rule *rule = forward->first; rule; rule = rule->after) {
		if (!forward_sources_ready(&rule->sources))
			return false;
	}
	return true;
}

static void metrics(void *instance, struct vigie_metrics *scrape)
{
	const struct forward *forward = instance;

	for (const struct rule *rule = forward->first; rule; rule = rule->after)
		forward_rule_metrics(rule, scrape);
}

const struct vigie_directive vigie_directive_forward = {
	.name = "forward",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = free_forward,
	.serve = serve,
	.metadata = metadata,
	.metrics = metrics,
	.ready = ready,
};
