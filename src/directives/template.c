/* `template CLASS TYPE [ZONES…] { match answer additional authority rcode ederror fallthrough }`: answers
 * made of what the query says. */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "rr_text.h"
#include "tally.h"
#include "template_text.h"
#include "vigie/log.h"
#include "vigie/metrics.h"
#include "vigie/text.h"
#include "zones.h"

enum {
	RR_TEXT_MAX = 4096 /* bytes of a record as text */
};

/* A record of the answer. */
struct line {
	const struct line *next;
	const struct vigie_word *word;
	const struct template_text *text;
	const struct rr_text *constant; /* what the text always is; NULL: it has actions */
	enum vigie_section section;
	size_t counter; /* of its template failures; that of its records' is the next */
};

/* One statement. */
struct rule {
	uint16_t class;
	uint16_t type;
	struct zones zones;
	const struct regex **patterns;
	size_t pattern_count; /* 0: every name matches */
	const struct line *lines;
	uint16_t rcode;
	bool explained;
	uint16_t ede;
	const char *ede_text;
	struct fallthrough fallthrough;
	size_t counter; /* of its matches in its first zone */
};

struct template
{
	const struct vigie_block *block;
	struct rule *rules;
	size_t count;
	struct tally *tally;
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct rule *rule;
	const struct line **last;
	size_t *counters;
	struct vigie_error *error;
};

static enum vigie_status read_match(struct reader *reader, const struct vigie_statement *option)
{
	struct rule *rule = reader->rule;
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);
	const struct regex **grown;

	if (status)
		return status;
	grown = vigie_arena_alloc(reader->block->arena,
				  (rule->pattern_count + option->arg_count) * sizeof(*grown));
	if (!grown)
		return vigie_error_memory(reader->error);
	if (rule->pattern_count > 0)
		memcpy(grown, rule->patterns, rule->pattern_count * sizeof(*grown));
	rule->patterns = grown;
	for (size_t i = 0; i < option->arg_count; i++) {
		grown[rule->pattern_count] = regex_new(reader->block->arena, &option->args[i], reader->error);
		if (!grown[rule->pattern_count])
			return VIGIE_EINVAL;
		rule->pattern_count++;
	}
	return VIGIE_OK;
}

/* A text without actions is read once: a mistake in it shows at once. */
static enum vigie_status read_constant(struct reader *reader, struct line *line)
{
	const struct template_data nothing = {0};
	struct rr_text *rr = vigie_arena_alloc(reader->block->arena, sizeof(*rr));
	char text[RR_TEXT_MAX];
	struct vigie_error reason;

	if (!rr)
		return vigie_error_memory(reader->error);
	if (!template_text_fill(line->text, &nothing, text, sizeof(text)))
		return vigie_word_error(reader->error, line->word, "'%.40s…' has more than %d bytes",
					line->word->text, RR_TEXT_MAX);
	if (rr_text_read(rr, text, &reason))
		return vigie_word_error(reader->error, line->word,
					"'%s' is no record, such as 'NAME TTL IN A 10.0.0.1': %s",
					line->word->text, reason.text);
	line->constant = rr;
	return VIGIE_OK;
}

static enum vigie_status read_lines(struct reader *reader, const struct vigie_statement *option,
				    enum vigie_section section)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		struct line *line = vigie_arena_alloc(reader->block->arena, sizeof(*line));

		if (!line)
			return vigie_error_memory(reader->error);
		line->word = &option->args[i];
		line->section = section;
		line->text = template_text_new(reader->block->arena, line->word, reader->error);
		if (!line->text)
			return VIGIE_EINVAL;
		if (template_text_is_constant(line->text))
			status = read_constant(reader, line);
		line->counter = *reader->counters;
		*reader->counters += 2;
		*reader->last = line;
		reader->last = &line->next;
	}
	return status;
}

static enum vigie_status read_answer(struct reader *reader, const struct vigie_statement *option)
{
	return read_lines(reader, option, VIGIE_ANSWER);
}

static enum vigie_status read_authority(struct reader *reader, const struct vigie_statement *option)
{
	return read_lines(reader, option, VIGIE_AUTHORITY);
}

static enum vigie_status read_additional(struct reader *reader, const struct vigie_statement *option)
{
	return read_lines(reader, option, VIGIE_ADDITIONAL);
}

static enum vigie_status read_rcode(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status || vigie_rcode_from_text(&reader->rule->rcode, option->args[0].text) == VIGIE_OK)
		return status;
	return vigie_word_error(reader->error, &option->args[0], "'%s' is no response code, such as NXDOMAIN",
				option->args[0].text);
}

static enum vigie_status read_ederror(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 2, reader->error);
	uint64_t code;

	if (!status)
		status = vigie_number_from_word(&option->args[0], 0, UINT16_MAX - 1, &code, reader->error);
	if (status)
		return status;
	reader->rule->explained = true;
	reader->rule->ede = (uint16_t)code;
	reader->rule->ede_text = option->arg_count > 1 ? option->args[1].text : NULL;
	return VIGIE_OK;
}

static enum vigie_status read_fallthrough(struct reader *reader, const struct vigie_statement *option)
{
	return fallthrough_read(&reader->rule->fallthrough, reader->block, option, reader->error);
}

/* CoreDNS has dropped it and passes over it: CNAMEs are always followed. */
static enum vigie_status read_upstream(struct reader *reader, const struct vigie_statement *option)
{
	vigie_log(VIGIE_LOG_WARNING, "template",
		  "%s:%u: 'upstream' has no effect: CNAMEs are always followed", option->name.file,
		  option->name.line);
	return VIGIE_OK;
}

static const struct {
	const char *name;
	enum vigie_status (*read)(struct reader *reader, const struct vigie_statement *option);
} options[] = {
	{"additional", read_additional}, {"answer", read_answer},           {"authority", read_authority},
	{"ederror", read_ederror},       {"fallthrough", read_fallthrough}, {"match", read_match},
	{"rcode", read_rcode},           {"upstream", read_upstream},
};

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_plain(option, reader->error);

	if (status)
		return status;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(options[i].name, option->name.text) == 0)
			return options[i].read(reader, option);
	}
	return vigie_option_unknown(reader->statement, option, reader->error);
}

/* A group that no pattern has would be empty for ever. */
static enum vigie_status check_groups(const struct reader *reader)
{
	const struct rule *rule = reader->rule;

	for (const struct line *line = rule->lines; line; line = line->next) {
		const char *missing =
			template_text_missing_group(line->text, rule->patterns, rule->pattern_count);

		if (missing)
			return vigie_word_error(reader->error, line->word,
						"'%s': no pattern of 'match' has a group (?P<%s>…)",
						line->word->text, missing);
	}
	return VIGIE_OK;
}

static enum vigie_status read_rule(struct reader *reader)
{
	const struct vigie_statement *statement = reader->statement;
	struct rule *rule = reader->rule;
	enum vigie_status status = vigie_statement_args(statement, 2, SIZE_MAX, reader->error);

	if (status)
		return status;
	if (vigie_class_from_text(&rule->class, statement->args[0].text))
		return vigie_word_error(reader->error, &statement->args[0],
					"'%s' is no class, such as IN or ANY", statement->args[0].text);
	if (vigie_type_from_text(&rule->type, statement->args[1].text))
		return vigie_word_error(reader->error, &statement->args[1],
					"'%s' is no record type, such as A or ANY", statement->args[1].text);
	status = zones_from_words_or_keys(&rule->zones, reader->block, statement->args + 2,
					  statement->arg_count - 2, reader->error);
	reader->last = &rule->lines;
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(reader, &statement->body[i]);
	if (status)
		return status;
	rule->counter = *reader->counters;
	*reader->counters += rule->zones.count;
	return check_groups(reader);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct template *template = vigie_arena_alloc(block->arena, sizeof(*template));
	size_t counters = 0;

	if (template)
		template->rules = vigie_arena_alloc(block->arena, count * sizeof(*template->rules));
	if (!template || !template->rules)
		return vigie_error_memory(error);
	template->block = block;
	for (; template->count < count; template->count++) {
		struct reader reader = {.block = block,
					.statement = statements[template->count],
					.rule = &template->rules[template->count],
					.counters = &counters,
					.error = error};
		enum vigie_status status = read_rule(&reader);

		if (status)
			return status;
	}
	template->tally = tally_new(counters);
	*instance = template;
	return template->tally ? VIGIE_OK : vigie_error_memory(error);
}

static void template_free(void *instance)
{
	struct template *template = instance;

	tally_free(template->tally);
}

/* A rule that matches a query, and what its texts are filled from. */
struct found {
	const struct rule *rule; /* NULL: none */
	const struct vigie_name *zone;
	bool refused; /* a rule is for the query, but none of its patterns, and it does not fall through */
	struct regex_groups groups;
	char name[VIGIE_NAME_TEXT_MAX];
	char zone_text[VIGIE_NAME_TEXT_MAX];
	char class[VIGIE_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];
	struct template_data data;
};

static bool match_pattern(const struct rule *rule, struct found *found)
{
	size_t length = strlen(found->name);

	found->data.groups = NULL;
	found->data.regex = NULL;
	if (rule->pattern_count == 0)
		return true;
	for (size_t i = 0; i < rule->pattern_count; i++) {
		if (!regex_match(rule->patterns[i], found->name, length, &found->groups))
			continue;
		found->data.regex = rule->patterns[i];
		found->data.groups = &found->groups;
		return true;
	}
	return false;
}

static bool has_class_and_type(const struct rule *rule, const struct vigie_query *query)
{
	return (rule->class == VIGIE_CLASS_ANY || query->class == VIGIE_CLASS_ANY ||
		rule->class == query->class) &&
	       (rule->type == VIGIE_TYPE_ANY || query->type == VIGIE_TYPE_ANY || rule->type == query->type);
}

/* Always comes to the same for the same query, so that nothing of it need be kept while the query waits. */
static void find(const struct template *template, struct vigie_request *request, struct found *found)
{
	const struct vigie_query *query = request->query;

	found->rule = NULL;
	found->refused = false;
	vigie_name_to_text(query->name.bytes, found->name);
	for (size_t i = 0; i < template->count && !found->rule; i++) {
		const struct rule *rule = &template->rules[i];

		found->zone = zones_match(&rule->zones, &query->name);
		if (!found->zone || !has_class_and_type(rule, query))
			continue;
		if (match_pattern(rule, found)) {
			found->rule = rule;
		} else if (!fallthrough_holds(&rule->fallthrough, &query->name)) {
			found->refused = true;
			return;
		}
	}
	if (!found->rule)
		return;
	found->data.request = request;
	found->data.name = found->name;
	found->data.zone = vigie_name_to_text(found->zone->bytes, found->zone_text);
	found->data.class = vigie_class_text(
		query->class == VIGIE_CLASS_ANY ? found->rule->class : query->class, found->class);
	found->data.type =
		vigie_type_text(query->type == VIGIE_TYPE_ANY ? found->rule->type : query->type, found->type);
}

static void explain(const struct rule *rule, struct vigie_request *request)
{
	if (rule->explained)
		vigie_answer_explain(request->answer, (enum vigie_ede)rule->ede, rule->ede_text);
}

/* `rcode SERVFAIL`: nothing that the log need tell of. */
static enum vigie_verdict fail_as_said(const struct rule *rule, struct vigie_request *request)
{
	vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, NULL);
	vigie_answer_explain(request->answer, VIGIE_EDE_OTHER, "template");
	explain(rule, request);
	return VIGIE_ANSWERED;
}

/* Makes the record of a line; NULL when that fails. `rr` is room for it. */
static const struct rr_text *make_record(const struct template *template, const struct line *line,
					 const struct found *found, struct rr_text *rr)
{
	char text[RR_TEXT_MAX];

	if (line->constant)
		return line->constant;
	if (!template_text_fill(line->text, &found->data, text, sizeof(text))) {
		tally_count(template->tally, found->data.request, line->counter);
		return NULL;
	}
	if (rr_text_read(rr, text, NULL)) {
		tally_count(template->tally, found->data.request, line->counter + 1);
		return NULL;
	}
	return rr;
}

/* Writes the records of a section. With `target` a CNAME record's target is copied there (length 0: none). */
static bool write_section(const struct template *template, const struct found *found,
			  enum vigie_section section, struct vigie_name *target)
{
	struct vigie_answer *answer = found->data.request->answer;
	struct rr_text room;

	for (const struct line *line = found->rule->lines; line; line = line->next) {
		const struct rr_text *rr;

		if (line->section != section)
			continue;
		rr = make_record(template, line, found, &room);
		if (!rr)
			return false;
		if (!rr_text_write(rr, answer, section))
			return true; /* TC is set, or it was an additional one */
		if (target && rr->type == VIGIE_TYPE_CNAME)
			vigie_name_from_wire(target, rr->rdata, rr->rdlength);
	}
	return true;
}

/* What stands behind the answer section. */
static enum vigie_verdict complete(const struct template *template, const struct found *found,
				   struct vigie_request *request)
{
	if (!write_section(template, found, VIGIE_AUTHORITY, NULL) ||
	    !write_section(template, found, VIGIE_ADDITIONAL, NULL))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
					  "template: what a template made is no record");
	explain(found->rule, request);
	return VIGIE_ANSWERED;
}

/* The records of a CNAME's target are there, or not to be had: the client can go on itself then. */
static enum vigie_verdict chased(struct vigie_request *request, const uint8_t *reply, size_t length,
				 void *argument)
{
	struct found found;

	if (reply)
		vigie_answer_append(request->answer, reply, length);
	find(argument, request, &found);
	return complete(argument, &found, request);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct template *template = instance;
	const struct vigie_query *query = request->query;
	bool follows = query->type == VIGIE_TYPE_A || query->type == VIGIE_TYPE_AAAA;
	struct vigie_name target = {.length = 0};
	struct found found;

	find(template, request, &found);
	if (found.refused)
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "template: no pattern matches");
	if (!found.rule)
		return VIGIE_NEXT;
	tally_count(template->tally, request,
		    found.rule->counter + (size_t)(found.zone - found.rule->zones.names));
	if (found.rule->rcode == VIGIE_RCODE_SERVFAIL)
		return fail_as_said(found.rule, request);
	request->answer->flags |= VIGIE_FLAG_AA;
	request->answer->rcode = found.rule->rcode;
	if (!write_section(template, &found, VIGIE_ANSWER, follows ? &target : NULL))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
					  "template: what a template made is no record");
	if (target.length > 0)
		return vigie_request_lookup(request, &target, query->type, chased, instance);
	return complete(template, &found, request);
}

static void add_failures(const struct template *template, const struct rule *rule,
			 struct vigie_metrics *metrics, const char *labels)
{
	static const char *const sections[VIGIE_SECTIONS] = {"answer", "authority", "additional"};

	for (const struct line *line = rule->lines; line; line = line->next) {
		char more[2 * RR_TEXT_MAX + VIGIE_NAME_TEXT_MAX];

		strcpy(more, labels);
		vigie_metrics_label(more, sizeof(more), "section", sections[line->section]);
		vigie_metrics_label(more, sizeof(more), "template", line->word->text);
		vigie_metrics_add(metrics, "coredns_template_template_failures_total", VIGIE_COUNTER,
				  "Answers that a template could not be filled in for.", more,
				  (double)tally_sum(template->tally, line->counter));
		vigie_metrics_add(metrics, "coredns_template_rr_failures_total", VIGIE_COUNTER,
				  "Filled-in templates that were no record.", more,
				  (double)tally_sum(template->tally, line->counter + 1));
	}
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct template *template = instance;

	for (size_t i = 0; i < template->count; i++) {
		const struct rule *rule = &template->rules[i];

		for (size_t zone = 0; zone < rule->zones.count; zone++) {
			char labels[VIGIE_NAME_TEXT_MAX + 256] = "";
			char text[VIGIE_NAME_TEXT_MAX];

			vigie_metrics_label(labels, sizeof(labels), "server", template->block->server);
			vigie_metrics_label(labels, sizeof(labels), "zone",
					    vigie_name_to_text(rule->zones.names[zone].bytes, text));
			vigie_metrics_label(labels, sizeof(labels), "view", template->block->view);
			vigie_metrics_label(labels, sizeof(labels), "class",
					    vigie_class_text(rule->class, text));
			vigie_metrics_label(labels, sizeof(labels), "type",
					    vigie_type_text(rule->type, text));
			vigie_metrics_add(metrics, "coredns_template_matches_total", VIGIE_COUNTER,
					  "Requests that a template was for.", labels,
					  (double)tally_sum(template->tally, rule->counter + zone));
			if (zone == 0)
				add_failures(template, rule, metrics, labels);
		}
	}
}

const struct vigie_directive vigie_directive_template = {
	.name = "template",
	.setup = setup,
	.free = template_free,
	.serve = serve,
	.metrics = metrics,
};
