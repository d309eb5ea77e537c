/* `forward FROM TO… { OPTIONS }`: other servers answer. Plain for now: one upstream after another. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "guard.h"
#include "vigie/forward.h"
#include "vigie/random.h"

enum {
	EXCEPT_MAX = 256,           /* zones of `except` */
	CONCURRENT_MAX = 1000000000 /* the most that max_concurrent takes */
};

enum policy { POLICY_RANDOM, POLICY_ROUND_ROBIN, POLICY_SEQUENTIAL };

/* One statement: a zone and who answers for it. */
struct rule {
	struct vigie_name *from; /* a CIDR gives several */
	size_t from_count;
	struct vigie_name *except;
	size_t except_count;
	struct vigie_upstream upstreams[VIGIE_UPSTREAMS_MAX];
	size_t upstream_count;
	enum policy policy;
	bool force_tcp;
	bool prefer_udp;
	uint64_t max_concurrent; /* 0: no bound */
	atomic_uint_fast64_t concurrent;
};

struct forward {
	const struct vigie_block *block;
	struct rule *rules;
	size_t count;
};

/* One query that waits for its reply. */
struct wait {
	struct rule *rule;
	const struct vigie_worker *worker;
	struct vigie_pending *pending;
	const uint8_t *reply;
	size_t length;
	const char *trouble;
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct rule *rule;
	struct vigie_error *error;
};

static enum vigie_status no_memory(struct vigie_error *error)
{
	return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
}

static enum vigie_status read_upstream(struct reader *reader, const struct vigie_word *word)
{
	struct rule *rule = reader->rule;

	if (strncmp(word->text, "tls://", 6) == 0 || strncmp(word->text, "https://", 8) == 0)
		return vigie_word_error(reader->error, word,
					"upstream '%s': its transport is not supported yet", word->text);
	if (rule->upstream_count == VIGIE_UPSTREAMS_MAX)
		return vigie_word_error(reader->error, word, "'%s' is one of more than %d upstreams",
					word->text, VIGIE_UPSTREAMS_MAX);
	if (vigie_upstream_from_text(&rule->upstreams[rule->upstream_count], word->text) == VIGIE_OK) {
		rule->upstream_count++;
		return VIGIE_OK;
	}
	switch (vigie_upstreams_from_resolv_conf(rule->upstreams, &rule->upstream_count, word->text)) {
	case VIGIE_OK:
		return VIGIE_OK;
	case VIGIE_ENOENT:
		return vigie_word_error(reader->error, word, "file '%s' names no nameserver", word->text);
	default:
		return vigie_word_error(
			reader->error, word,
			"'%s' is neither an IP address nor a file like resolv.conf that can be read (%s)",
			word->text, strerror(errno));
	}
}

static enum vigie_status read_except(struct reader *reader, const struct vigie_statement *option)
{
	struct rule *rule = reader->rule;
	struct vigie_name *zones = vigie_arena_alloc(reader->block->arena, VIGIE_ZONES_MAX * sizeof(*zones));
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	if (!rule->except)
		rule->except = vigie_arena_alloc(reader->block->arena, EXCEPT_MAX * sizeof(*rule->except));
	if (!zones || !rule->except)
		return no_memory(reader->error);
	for (size_t i = 0; i < option->arg_count && !status; i++) {
		size_t count;

		status = vigie_zones_from_word(&option->args[i], zones, &count, reader->error);
		if (!status && rule->except_count + count > EXCEPT_MAX)
			status = vigie_word_error(reader->error, &option->args[i],
						  "'%s' makes more than %d zones of 'except'",
						  option->args[i].text, EXCEPT_MAX);
		if (status)
			return status;
		memcpy(rule->except + rule->except_count, zones, count * sizeof(*zones));
		rule->except_count += count;
	}
	return status;
}

static enum vigie_status read_policy(struct reader *reader, const struct vigie_statement *option)
{
	static const char *const policies[] = {
		[POLICY_RANDOM] = "random",
		[POLICY_ROUND_ROBIN] = "round_robin",
		[POLICY_SEQUENTIAL] = "sequential",
	};
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	for (unsigned i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		if (strcmp(option->args[0].text, policies[i]) == 0) {
			reader->rule->policy = (enum policy)i;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(reader->error, &option->args[0],
				"'policy' takes random, round_robin or sequential, not '%s'",
				option->args[0].text);
}

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option)
{
	static const char *const later[] = {
		"doh_method",
		"expire",
		"failfast_all_unhealthy_upstreams",
		"failover",
		"health_check",
		"max_age",
		"max_connect_attempts",
		"max_fails",
		"max_idle_conns",
		"next",
		"next_on_nodata",
		"read_timeout",
		"resolver",
		"source_address",
		"tls",
		"tls_servername",
	};
	const char *name = option->name.text;
	enum vigie_status status;

	if (strcmp(name, "except") == 0)
		return read_except(reader, option);
	if (strcmp(name, "policy") == 0)
		return read_policy(reader, option);
	if (strcmp(name, "force_tcp") == 0) {
		reader->rule->force_tcp = true;
		return vigie_statement_args(option, 0, 0, reader->error);
	}
	if (strcmp(name, "prefer_udp") == 0) {
		reader->rule->prefer_udp = true;
		return vigie_statement_args(option, 0, 0, reader->error);
	}
	if (strcmp(name, "max_concurrent") == 0) {
		status = vigie_statement_args(option, 1, 1, reader->error);
		return status ? status
			      : vigie_number_from_word(&option->args[0], 0, CONCURRENT_MAX,
						       &reader->rule->max_concurrent, reader->error);
	}
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
		if (strcmp(name, later[i]) == 0)
			return vigie_word_error(reader->error, &option->name,
						"option '%s' of 'forward' is not supported yet", name);
	}
	return vigie_option_unknown(reader->statement, option, reader->error);
}

static enum vigie_status read_rule(struct reader *reader)
{
	const struct vigie_statement *statement = reader->statement;
	struct rule *rule = reader->rule;
	enum vigie_status status = vigie_statement_args(statement, 2, SIZE_MAX, reader->error);

	if (status)
		return status;
	rule->from = vigie_arena_alloc(reader->block->arena, VIGIE_ZONES_MAX * sizeof(*rule->from));
	if (!rule->from)
		return no_memory(reader->error);
	status = vigie_zones_from_word(&statement->args[0], rule->from, &rule->from_count, reader->error);
	for (size_t i = 1; i < statement->arg_count && !status; i++)
		status = read_upstream(reader, &statement->args[i]);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(reader, &statement->body[i]);
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct forward *forward = vigie_arena_alloc(block->arena, sizeof(*forward));

	if (!forward)
		return no_memory(error);
	forward->rules = vigie_arena_alloc(block->arena, count * sizeof(*forward->rules));
	if (!forward->rules)
		return no_memory(error);
	for (; forward->count < count; forward->count++) {
		struct reader reader = {.block = block,
					.statement = statements[forward->count],
					.rule = &forward->rules[forward->count],
					.error = error};
		enum vigie_status status = read_rule(&reader);

		if (status)
			return status;
	}
	forward->block = block;
	block->recursive = true;
	*instance = forward;
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

static struct rule *find_rule(const struct forward *forward, const struct vigie_name *name)
{
	for (size_t i = 0; i < forward->count; i++) {
		struct rule *rule = &forward->rules[i];

		if (is_in(name, rule->from, rule->from_count) &&
		    !is_in(name, rule->except, rule->except_count))
			return rule;
	}
	return NULL;
}

static enum vigie_verdict resumed(struct vigie_request *request, void *argument)
{
	const struct wait *wait = argument;

	request->source = wait->reply ? VIGIE_SOURCE_UPSTREAM : VIGIE_SOURCE_SILENCE;
	if (!wait->reply)
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, wait->trouble);
	if (vigie_answer_take(request->answer, wait->reply, wait->length))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "the upstream's reply is malformed");
	return VIGIE_ANSWERED;
}

static void on_reply(void *argument, enum vigie_status status, const uint8_t *reply, size_t length,
		     const char *trouble)
{
	struct wait *wait = argument;

	atomic_fetch_sub_explicit(&wait->rule->concurrent, 1, memory_order_relaxed);
	wait->reply = status == VIGIE_OK ? reply : NULL;
	wait->length = length;
	wait->trouble = trouble;
	vigie_request_resume(wait->worker, wait->pending, resumed, wait);
	free(wait);
}

static size_t first_upstream(const struct rule *rule, struct vigie_worker *worker)
{
	switch (rule->policy) {
	case POLICY_RANDOM:
		return vigie_random_below((uint32_t)rule->upstream_count);
	case POLICY_ROUND_ROBIN:
		return worker->rotation++ % rule->upstream_count;
	case POLICY_SEQUENTIAL:
		break;
	}
	return 0;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct forward *forward = instance;
	struct rule *rule = find_rule(forward, &request->query->name);
	struct vigie_worker *worker = request->worker;
	struct wait *wait;
	bool tcp;

	if (!rule)
		return VIGIE_NEXT;
	/* Other classes ask a server about itself: version.bind must not tell of the upstream. */
	if (request->query->class != VIGIE_CLASS_IN || request->query->type == VIGIE_TYPE_AXFR ||
	    request->query->type == VIGIE_TYPE_IXFR)
		return vigie_request_fail(request, VIGIE_RCODE_REFUSED, NULL);
	if (guard_holds(forward->block, rule->from, rule->from_count, request))
		return VIGIE_ANSWERED;
	/* An upstream is asked anyway: next to that one shared counter costs nothing. */
	if (atomic_fetch_add_explicit(&rule->concurrent, 1, memory_order_relaxed) >= rule->max_concurrent &&
	    rule->max_concurrent > 0) {
		atomic_fetch_sub_explicit(&rule->concurrent, 1, memory_order_relaxed);
		return vigie_request_fail(request, VIGIE_RCODE_REFUSED,
					  "concurrent queries exceeded maximum");
	}
	wait = malloc(sizeof(*wait));
	if (!wait)
		goto fail;
	*wait = (struct wait){.rule = rule, .worker = worker, .pending = vigie_request_suspend(request)};
	if (!wait->pending)
		goto fail;
	tcp = rule->force_tcp || (request->channel == VIGIE_CHANNEL_TCP && !rule->prefer_udp);
	if (vigie_exchange_start(worker->exchanger, rule->upstreams, rule->upstream_count,
				 first_upstream(rule, worker), request->query, tcp, on_reply,
				 wait) == VIGIE_OK)
		return VIGIE_SUSPENDED;
	vigie_request_cancel(request, wait->pending);

fail:
	free(wait);
	atomic_fetch_sub_explicit(&rule->concurrent, 1, memory_order_relaxed);
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
				  "too many queries under way, or out of memory");
}

const struct vigie_directive vigie_directive_forward = {
	.name = "forward",
	.setup = setup,
	.serve = serve,
};
