/* The options of `forward`. */
#include <arpa/inet.h>
#include <string.h>

#include "directives.h"
#include "forward.h"
#include "vigie/text.h"

enum {
	EXCEPT_MAX = 256,           /* zones of `except` */
	CONCURRENT_MAX = 1000000000 /* the most that max_concurrent takes */
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct rule *rule;
	struct vigie_error *error;
};

typedef enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option);

static enum vigie_status read_except(struct reader *reader, const struct vigie_statement *option)
{
	struct rule *rule = reader->rule;
	struct vigie_name *zones = vigie_arena_alloc(reader->block->arena, VIGIE_ZONES_MAX * sizeof(*zones));
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	if (!rule->except)
		rule->except = vigie_arena_alloc(reader->block->arena, EXCEPT_MAX * sizeof(*rule->except));
	if (!zones || !rule->except)
		return vigie_error_memory(reader->error);
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
		[VIGIE_POLICY_RANDOM] = "random",
		[VIGIE_POLICY_ROUND_ROBIN] = "round_robin",
		[VIGIE_POLICY_SEQUENTIAL] = "sequential",
	};
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	for (unsigned i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		if (strcmp(option->args[0].text, policies[i]) == 0) {
			reader->rule->options.policy = (enum vigie_policy)i;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(reader->error, &option->args[0],
				"'policy' takes random, round_robin or sequential, not '%s'",
				option->args[0].text);
}

static enum vigie_status read_doh_method(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	reader->rule->options.doh_get = strcmp(option->args[0].text, "GET") == 0;
	if (reader->rule->options.doh_get || strcmp(option->args[0].text, "POST") == 0)
		return VIGIE_OK;
	return vigie_word_error(reader->error, &option->args[0], "'doh_method' takes GET or POST, not '%s'",
				option->args[0].text);
}

static enum vigie_status read_force_tcp(struct reader *reader, const struct vigie_statement *option)
{
	reader->rule->options.force_tcp = true;
	return vigie_statement_args(option, 0, 0, reader->error);
}

static enum vigie_status read_prefer_udp(struct reader *reader, const struct vigie_statement *option)
{
	reader->rule->prefer_udp = true;
	return vigie_statement_args(option, 0, 0, reader->error);
}

/* When no upstream is up vigie always fails fast. */
static enum vigie_status read_failfast(struct reader *reader, const struct vigie_statement *option)
{
	return vigie_statement_args(option, 0, 0, reader->error);
}

static enum vigie_status read_next_on_nodata(struct reader *reader, const struct vigie_statement *option)
{
	reader->rule->next_on_nodata = true;
	return vigie_statement_args(option, 0, 0, reader->error);
}

/* One number of an option. */
static enum vigie_status read_number(struct reader *reader, const struct vigie_statement *option,
				     uint64_t most, uint64_t *number)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	return status ? status : vigie_number_from_word(&option->args[0], 0, most, number, reader->error);
}

static enum vigie_status read_max_concurrent(struct reader *reader, const struct vigie_statement *option)
{
	return read_number(reader, option, CONCURRENT_MAX, &reader->rule->max_concurrent);
}

/* CoreDNS counts failed health checks, which follow on a failed query. */
static enum vigie_status read_max_fails(struct reader *reader, const struct vigie_statement *option)
{
	uint64_t fails = 0;
	enum vigie_status status = read_number(reader, option, 1000000, &fails);

	reader->rule->options.losses = fails > 0 ? (unsigned)fails + 1 : 0;
	return status;
}

static enum vigie_status read_max_connect_attempts(struct reader *reader,
						   const struct vigie_statement *option)
{
	uint64_t attempts = 0;
	enum vigie_status status = read_number(reader, option, UINT32_MAX, &attempts);

	if (attempts > 0 && attempts < VIGIE_ATTEMPTS_MAX)
		reader->rule->options.attempts = (unsigned)attempts;
	return status;
}

static enum vigie_status read_max_idle_conns(struct reader *reader, const struct vigie_statement *option)
{
	uint64_t idle = 0;
	enum vigie_status status = read_number(reader, option, INT32_MAX, &idle);

	reader->rule->options.max_idle = (unsigned)idle;
	return status;
}

static enum vigie_status read_duration(struct reader *reader, const struct vigie_statement *option,
				       uint64_t *duration)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	return status ? status : vigie_duration_from_word(&option->args[0], duration, reader->error);
}

static enum vigie_status read_expire(struct reader *reader, const struct vigie_statement *option)
{
	return read_duration(reader, option, &reader->rule->options.expire);
}

static enum vigie_status read_max_age(struct reader *reader, const struct vigie_statement *option)
{
	return read_duration(reader, option, &reader->rule->options.max_age);
}

static enum vigie_status read_read_timeout(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = read_duration(reader, option, &reader->rule->options.read_timeout);

	if (!status && reader->rule->options.read_timeout == 0)
		return vigie_word_error(reader->error, &option->args[0],
					"'read_timeout' must be above 0, not '%s'", option->args[0].text);
	return status;
}

static enum vigie_status read_rcodes(struct reader *reader, const struct vigie_statement *option,
				     uint32_t *set)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		uint16_t rcode;

		if (vigie_rcode_from_text(&rcode, option->args[i].text) || rcode > 31)
			return vigie_word_error(reader->error, &option->args[i],
						"'%s' is not a response code such as NXDOMAIN",
						option->args[i].text);
		*set |= 1U << rcode;
	}
	return status;
}

static enum vigie_status read_next(struct reader *reader, const struct vigie_statement *option)
{
	return read_rcodes(reader, option, &reader->rule->next);
}

static enum vigie_status read_failover(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = read_rcodes(reader, option, &reader->rule->options.failover);

	if (!status && (reader->rule->options.failover & 1U << VIGIE_RCODE_NOERROR))
		return vigie_word_error(reader->error, &option->name,
					"'failover' cannot be used for NOERROR");
	return status;
}

static enum vigie_status read_source_address(struct reader *reader, const struct vigie_statement *option)
{
	struct sockaddr_storage *source = &reader->rule->options.source;
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	const char *text;

	if (status)
		return status;
	text = option->args[0].text;
	memset(source, 0, sizeof(*source));
	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)source)->sin_addr) == 1)
		source->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)source)->sin6_addr) == 1)
		source->ss_family = AF_INET6;
	else
		return vigie_word_error(reader->error, &option->args[0], "'%s' is not an IP address", text);
	return VIGIE_OK;
}

/* DURATION [no_rec] [domain FQDN] */
static enum vigie_status read_health_check(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_forward_options *options = &reader->rule->options;
	enum vigie_status status = vigie_statement_args(option, 1, 4, reader->error);

	if (!status)
		status = vigie_duration_from_word(&option->args[0], &options->probe_every, reader->error);
	for (size_t i = 1; i < option->arg_count && !status; i++) {
		const struct vigie_word *word = &option->args[i];

		if (strcmp(word->text, "no_rec") == 0) {
			options->probe_no_rec = true;
		} else if (strcmp(word->text, "domain") == 0 && i + 1 < option->arg_count) {
			word = &option->args[++i];
			if (vigie_name_from_text(&options->probe_name, word->text))
				return vigie_word_error(reader->error, word, "'%s' is not a domain name",
							word->text);
		} else {
			return vigie_word_error(
				reader->error, word,
				"'health_check' takes a duration, no_rec and domain NAME, not '%s'",
				word->text);
		}
	}
	return status;
}

/* Whom to ask for the addresses of host names. */
static enum vigie_status read_resolver(struct reader *reader, const struct vigie_statement *option)
{
	struct forward_sources *sources = &reader->rule->sources;
	enum vigie_status status = vigie_statement_args(option, 1, VIGIE_UPSTREAMS_MAX, reader->error);

	sources->resolver_count = 0;
	for (size_t i = 0; i < option->arg_count && !status; i++) {
		struct vigie_target *target = &sources->resolvers[sources->resolver_count++];

		if (vigie_target_from_text(target, option->args[i].text) ||
		    target->protocol != VIGIE_PROTOCOL_UDP)
			return vigie_word_error(
				reader->error, &option->args[i],
				"'resolver' takes addresses such as 10.0.0.1 or 10.0.0.1:53, not '%s'",
				option->args[i].text);
	}
	return status;
}

/* tls [CA] | CERT KEY [CA]. */
static enum vigie_status read_tls(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_forward_options *options = &reader->rule->options;
	enum vigie_status status = vigie_statement_args(option, 0, 3, reader->error);
	size_t count = option->arg_count;
	struct vigie_error reason;

	if (status)
		return status;
	if (options->tls)
		return vigie_word_error(reader->error, &option->name, "'tls' stands here already");
	options->tls = vigie_forward_tls_new(count >= 2 ? option->args[0].text : NULL,
					     count >= 2 ? option->args[1].text : NULL,
					     count % 2 == 1 ? option->args[count - 1].text : NULL, &reason);
	return options->tls ? VIGIE_OK
			    : vigie_word_error(reader->error, &option->name, "'tls': %s", reason.text);
}

static enum vigie_status read_tls_servername(struct reader *reader, const struct vigie_statement *option)
{
	char *name = reader->rule->options.tls_servername;
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	if (strlen(option->args[0].text) >= sizeof(reader->rule->options.tls_servername))
		return vigie_word_error(reader->error, &option->args[0], "'%s' is too long for a server name",
					option->args[0].text);
	strcpy(name, option->args[0].text);
	return VIGIE_OK;
}

/* Two names for one certificate are a mistake; connections by TLS need some settings; and a host is known by
 * its own name when no other is given. */
static enum vigie_status check_tls(struct reader *reader)
{
	struct vigie_forward_options *options = &reader->rule->options;
	struct forward_sources *sources = &reader->rule->sources;
	struct vigie_error reason;
	bool needed = false;

	for (size_t i = 0; i < sources->count; i++) {
		struct forward_source *source = &sources->list[i];

		if (source->kind == FORWARD_FILE || source->target.protocol == VIGIE_PROTOCOL_UDP)
			continue;
		needed = true;
		if (source->target.server_name[0] && options->tls_servername[0])
			return vigie_word_error(
				reader->error, source->word,
				"upstream '%s' has a server name, and 'tls_servername' gives another, '%s'",
				source->word->text, options->tls_servername);
		if (source->kind == FORWARD_HOST && !source->target.server_name[0] &&
		    !options->tls_servername[0])
			memcpy(source->target.server_name, source->host,
			       strlen(source->host) - (source->host[strlen(source->host) - 1] == '.'));
	}
	if (needed && !options->tls) {
		options->tls = vigie_forward_tls_new(NULL, NULL, NULL, &reason);
		if (!options->tls)
			return vigie_word_error(reader->error, &reader->statement->name, "'forward': %s",
						reason.text);
	}
	return VIGIE_OK;
}

static enum vigie_status read_one(struct reader *reader, const struct vigie_statement *option)
{
	static const struct {
		const char *name;
		read_option *read;
	} options[] = {
		{"doh_method", read_doh_method},
		{"except", read_except},
		{"expire", read_expire},
		{"failfast_all_unhealthy_upstreams", read_failfast},
		{"failover", read_failover},
		{"force_tcp", read_force_tcp},
		{"health_check", read_health_check},
		{"max_age", read_max_age},
		{"max_concurrent", read_max_concurrent},
		{"max_connect_attempts", read_max_connect_attempts},
		{"max_fails", read_max_fails},
		{"max_idle_conns", read_max_idle_conns},
		{"next", read_next},
		{"next_on_nodata", read_next_on_nodata},
		{"policy", read_policy},
		{"prefer_udp", read_prefer_udp},
		{"read_timeout", read_read_timeout},
		{"resolver", read_resolver},
		{"source_address", read_source_address},
		{"tls", read_tls},
		{"tls_servername", read_tls_servername},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(option->name.text, options[i].name) == 0)
			return options[i].read(reader, option);
	}
	return vigie_option_unknown(reader->statement, option, reader->error);
}

enum vigie_status forward_rule_read(struct rule *rule, struct vigie_block *block,
				    const struct vigie_statement *statement, struct vigie_error *error)
{
	struct reader reader = {.block = block, .statement = statement, .rule = rule, .error = error};
	enum vigie_status status = vigie_statement_args(statement, 2, SIZE_MAX, error);

	if (status)
		return status;
	vigie_forward_options_init(&rule->options);
	if (block->bufsize > 0 && block->bufsize < rule->options.udp_size)
		rule->options.udp_size = block->bufsize;
	rule->from_text = statement->args[0].text;
	rule->from = vigie_arena_alloc(block->arena, VIGIE_ZONES_MAX * sizeof(*rule->from));
	if (!rule->from)
		return vigie_error_memory(error);
	status = vigie_zones_from_word(&statement->args[0], rule->from, &rule->from_count, error);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_one(&reader, &statement->body[i]);
	if (!status)
		status = forward_sources_read(&rule->sources, statement->args + 1, statement->arg_count - 1,
					      block->arena, error);
	if (!status)
		status = check_tls(&reader);
	if (!status) {
		rule->upstreams = vigie_upstreams_new(&rule->options);
		if (!rule->upstreams)
			status = vigie_error_memory(error);
	}
	vigie_forward_tls_free(rule->options.tls); /* the group has its own reference */
	rule->options.tls = NULL;
	return status;
}
