/* `acl [ZONES…] { allow|block|filter|drop [type TYPES…] [net NETWORKS…] }`: who may ask what. */
#include <string.h>
#include <strings.h>

#include "directives.h"
#include "network.h"
#include "tally.h"
#include "vigie/metrics.h"
#include "vigie/text.h"
#include "zones.h"

enum action { ACTION_ALLOW, ACTION_BLOCK, ACTION_FILTER, ACTION_DROP, ACTIONS };

/* Closed by NULL, as a list of options is. */
static const char *const action_texts[ACTIONS + 1] = {"allow", "block", "filter", "drop", NULL};

/* One line: what is done with a query that is of one of the types and from one of the networks. */
struct policy {
	enum action action;
	uint16_t *types;
	size_t type_count; /* 0: all */
	struct network *networks;
	size_t network_count; /* 0: all */
};

/* One statement. */
struct rule {
	struct zones zones;
	struct policy *policies;
	size_t count;
	size_t first_count; /* where the counters of its first zone begin */
};

struct acl {
	const struct vigie_block *block;
	struct rule *rules;
	size_t count;
	struct tally *tally; /* what was allowed; then for each zone of each rule what was not, by action */
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct vigie_error *error;
};

static bool is_section(const struct vigie_word *word)
{
	return strcasecmp(word->text, "type") == 0 || strcasecmp(word->text, "net") == 0;
}

/* Reads the words behind `type`, as far as they go. `*` stands for all types: then the list stays empty. */
static enum vigie_status read_types(const struct reader *reader, const struct vigie_statement *line,
				    size_t from, size_t to, struct policy *policy)
{
	for (size_t i = from; i < to; i++) {
		if (strcmp(line->args[i].text, "*") == 0) {
			policy->type_count = 0;
			return VIGIE_OK;
		}
		if (vigie_type_from_text(&policy->types[policy->type_count], line->args[i].text))
			return vigie_word_error(reader->error, &line->args[i],
						"'%s' is no record type, such as A or MX",
						line->args[i].text);
		policy->type_count++;
	}
	return VIGIE_OK;
}

static enum vigie_status read_networks(const struct reader *reader, const struct vigie_statement *line,
				       size_t from, size_t to, struct policy *policy)
{
	for (size_t i = from; i < to; i++) {
		if (strcmp(line->args[i].text, "*") == 0) {
			policy->network_count = 0;
			return VIGIE_OK;
		}
		if (network_from_text(&policy->networks[policy->network_count], line->args[i].text))
			return vigie_word_error(reader->error, &line->args[i],
						"'%s' is neither an address nor a network such as 10.0.0.0/8",
						line->args[i].text);
		policy->network_count++;
	}
	return VIGIE_OK;
}

static enum vigie_status read_policy(const struct reader *reader, const struct vigie_statement *line,
				     struct policy *policy)
{
	enum vigie_status status = vigie_statement_plain(line, reader->error);
	size_t to;

	if (status)
		return status;
	policy->action = ACTION_ALLOW;
	while (policy->action < ACTIONS && strcasecmp(action_texts[policy->action], line->name.text) != 0)
		policy->action++;
	if (policy->action == ACTIONS)
		return vigie_option_unknown(reader->statement, line, reader->error);
	policy->types = vigie_arena_alloc(reader->block->arena, (line->arg_count + 1) * sizeof(uint16_t));
	policy->networks =
		vigie_arena_alloc(reader->block->arena, (line->arg_count + 1) * sizeof(struct network));
	if (!policy->types || !policy->networks)
		return vigie_error_memory(reader->error);
	for (size_t from = 0; from < line->arg_count && !status; from = to) {
		const struct vigie_word *section = &line->args[from];

		if (!is_section(section))
			return vigie_word_error(reader->error, section,
						"'%s' takes 'type TYPES…' and 'net NETWORKS…', not '%s'",
						line->name.text, section->text);
		to = from + 1;
		while (to < line->arg_count && !is_section(&line->args[to]))
			to++;
		if (to == from + 1)
			return vigie_word_error(reader->error, section, "nothing stands behind '%s'",
						section->text);
		status = strcasecmp(section->text, "type") == 0
				 ? read_types(reader, line, from + 1, to, policy)
				 : read_networks(reader, line, from + 1, to, policy);
	}
	return status;
}

static enum vigie_status read_rule(const struct reader *reader, struct rule *rule)
{
	const struct vigie_statement *statement = reader->statement;
	enum vigie_status status = zones_from_words_or_keys(&rule->zones, reader->block, statement->args,
							    statement->arg_count, reader->error);

	if (status)
		return status;
	rule->policies = vigie_arena_alloc(reader->block->arena,
					   (statement->body_count + 1) * sizeof(*rule->policies));
	if (!rule->policies)
		return vigie_error_memory(reader->error);
	for (; rule->count < statement->body_count && !status; rule->count++)
		status = read_policy(reader, &statement->body[rule->count], &rule->policies[rule->count]);
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct acl *acl = vigie_arena_alloc(block->arena, sizeof(*acl));
	size_t counters = 1;

	if (!acl)
		return vigie_error_memory(error);
	acl->block = block;
	acl->rules = vigie_arena_alloc(block->arena, count * sizeof(*acl->rules));
	if (!acl->rules)
		return vigie_error_memory(error);
	for (; acl->count < count; acl->count++) {
		const struct reader reader = {block, statements[acl->count], error};
		struct rule *rule = &acl->rules[acl->count];
		enum vigie_status status = read_rule(&reader, rule);

		if (status)
			return status;
		rule->first_count = counters;
		counters += rule->zones.count * (ACTIONS - 1);
	}
	acl->tally = tally_new(counters);
	*instance = acl;
	return acl->tally ? VIGIE_OK : vigie_error_memory(error);
}

static void acl_free(void *instance)
{
	struct acl *acl = instance;

	tally_free(acl->tally);
}

static bool has_type(const struct policy *policy, uint16_t type)
{
	for (size_t i = 0; i < policy->type_count; i++) {
		if (policy->types[i] == type)
			return true;
	}
	return policy->type_count == 0;
}

static bool has_address(const struct policy *policy, const uint8_t *address)
{
	for (size_t i = 0; i < policy->network_count; i++) {
		if (network_contains(&policy->networks[i], address))
			return true;
	}
	return policy->network_count == 0;
}

static enum action decide_by(const struct rule *rule, const struct vigie_request *request,
			     const uint8_t *address)
{
	for (size_t i = 0; i < rule->count; i++) {
		if (has_type(&rule->policies[i], request->query->type) &&
		    has_address(&rule->policies[i], address))
			return rule->policies[i].action;
	}
	return ACTIONS;
}

/* The first line of the first rule that matches decides; `*counter` gets what is to be counted. */
static enum action decide(const struct acl *acl, const struct vigie_request *request, size_t *counter)
{
	uint8_t address[16];

	*counter = 0;
	network_address(request->client, address);
	for (size_t i = 0; i < acl->count; i++) {
		const struct rule *rule = &acl->rules[i];
		const struct vigie_name *zone = zones_match(&rule->zones, &request->query->name);
		enum action action = zone ? decide_by(rule, request, address) : ACTIONS;

		if (action == ACTION_ALLOW)
			break;
		if (action != ACTIONS) {
			*counter = rule->first_count + (size_t)(zone - rule->zones.names) * (ACTIONS - 1) +
				   action - 1;
			return action;
		}
	}
	return ACTION_ALLOW;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct acl *acl = instance;
	size_t counter;
	enum action action = decide(acl, request, &counter);

	tally_count(acl->tally, request, counter);
	switch (action) {
	case ACTION_BLOCK:
		return vigie_request_refuse(request, VIGIE_EDE_BLOCKED, "acl");
	case ACTION_FILTER:
		vigie_answer_explain(request->answer, VIGIE_EDE_FILTERED, "acl");
		return VIGIE_ANSWERED;
	case ACTION_DROP:
		return VIGIE_DROP;
	default:
		return VIGIE_NEXT;
	}
}

/* An `allow` that names this client's network; one for everybody is no permission to look inside. */
static bool admits(void *instance, const struct vigie_request *request)
{
	const struct acl *acl = instance;
	uint8_t address[16];

	network_address(request->client, address);
	for (size_t i = 0; i < acl->count; i++) {
		for (size_t p = 0; p < acl->rules[i].count; p++) {
			const struct policy *policy = &acl->rules[i].policies[p];

			if (has_address(policy, address))
				return policy->action == ACTION_ALLOW && policy->network_count > 0;
		}
	}
	return false;
}

static const char *const metric_texts[ACTIONS][2] = {
	{"coredns_acl_allowed_requests_total", "Requests that an acl allowed."},
	{"coredns_acl_blocked_requests_total", "Requests that an acl refused."},
	{"coredns_acl_filtered_requests_total", "Requests that an acl had answered with nothing."},
	{"coredns_acl_dropped_requests_total", "Requests that an acl left without an answer."},
};

/* `zone` NULL: a counter without that label. */
static void add_metric(const struct acl *acl, struct vigie_metrics *metrics, enum action action,
		       const struct vigie_name *zone, size_t counter)
{
	char labels[VIGIE_NAME_TEXT_MAX + 128] = "";
	char text[VIGIE_NAME_TEXT_MAX];

	vigie_metrics_label(labels, sizeof(labels), "server", acl->block->server);
	if (zone)
		vigie_metrics_label(labels, sizeof(labels), "zone", vigie_name_to_text(zone->bytes, text));
	vigie_metrics_label(labels, sizeof(labels), "view", acl->block->view);
	vigie_metrics_add(metrics, metric_texts[action][0], VIGIE_COUNTER, metric_texts[action][1], labels,
			  (double)tally_sum(acl->tally, counter));
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct acl *acl = instance;

	add_metric(acl, metrics, ACTION_ALLOW, NULL, 0);
	for (size_t i = 0; i < acl->count; i++) {
		const struct rule *rule = &acl->rules[i];

		for (size_t zone = 0; zone < rule->zones.count; zone++) {
			for (int action = ACTION_BLOCK; action < ACTIONS; action++)
				add_metric(acl, metrics, (enum action)action, &rule->zones.names[zone],
					   rule->first_count + zone * (ACTIONS - 1) + (size_t)action - 1);
		}
	}
}

const struct vigie_directive vigie_directive_acl = {
	.name = "acl",
	.setup = setup,
	.free = acl_free,
	.serve = serve,
	.admits = admits,
	.metrics = metrics,
};
