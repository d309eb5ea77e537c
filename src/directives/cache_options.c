/* The options of `cache`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache.h"

enum {
	BUDGET_MAX_MIB = 1 << 20 /* a tebibyte */
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *directive;
	struct cache *cache;
	struct vigie_error *error;
};

static enum vigie_status read_number(struct reader *reader, const struct vigie_word *word, uint64_t least,
				     uint64_t most, uint32_t *out)
{
	uint64_t number;
	enum vigie_status status = vigie_number_from_word(word, least, most, &number, reader->error);

	if (!status)
		*out = (uint32_t)number;
	return status;
}

/* success CAPACITY [TTL] [MINTTL], and the same for denial. */
static enum vigie_status read_bounds(struct reader *reader, const struct vigie_statement *option,
				     struct cache_bounds *bounds)
{
	enum vigie_status status = vigie_statement_args(option, 1, 3, reader->error);

	if (!status)
		status = read_number(reader, &option->args[0], 0, UINT32_MAX, &bounds->capacity);
	/* As CoreDNS does it. */
	if (!status && bounds->capacity < VIGIE_CACHE_CAPACITY_MIN)
		bounds->capacity = VIGIE_CACHE_CAPACITY_MIN;
	if (!status && option->arg_count > 1)
		status = read_number(reader, &option->args[1], 1, CACHE_TTL_MAX, &bounds->most);
	if (!status && option->arg_count > 2)
		status = read_number(reader, &option->args[2], 0, CACHE_TTL_MAX, &bounds->least);
	return status;
}

static enum vigie_status read_success(struct reader *reader, const struct vigie_statement *option)
{
	return read_bounds(reader, option, &reader->cache->success);
}

static enum vigie_status read_denial(struct reader *reader, const struct vigie_statement *option)
{
	reader->cache->denial_given |= option->arg_count > 1;
	return read_bounds(reader, option, &reader->cache->denial);
}

/* disable success|denial [ZONES...] */
static enum vigie_status read_disable(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);
	struct zones *zones;

	if (status)
		return status;
	if (strcmp(option->args[0].text, "success") == 0)
		zones = &reader->cache->no_success;
	else if (strcmp(option->args[0].text, "denial") == 0)
		zones = &reader->cache->no_denial;
	else
		return vigie_word_error(reader->error, &option->args[0],
					"'disable' takes success or denial, not '%s'", option->args[0].text);
	return zones_from_words(zones, reader->block, option->args + 1, option->arg_count - 1, reader->error);
}

static enum vigie_status read_servfail(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	uint64_t duration;

	if (!status)
		status = vigie_duration_from_word(&option->args[0], &duration, reader->error);
	if (status)
		return status;
	if (duration > CACHE_FAILURE_TTL_MAX * 1000U)
		return vigie_word_error(reader->error, &option->args[0],
					"'%s': failures may be cached for at most 5 minutes",
					option->args[0].text);
	reader->cache->failure_most = (uint32_t)((duration + 999) / 1000);
	return VIGIE_OK;
}

static enum vigie_status read_keepttl(struct reader *reader, const struct vigie_statement *option)
{
	reader->cache->keep_ttl = true;
	return vigie_statement_args(option, 0, 0, reader->error);
}

static enum vigie_status read_duration(struct reader *reader, const struct vigie_word *word, uint64_t most,
				       uint32_t *out)
{
	uint64_t duration;
	enum vigie_status status = vigie_duration_from_word(word, &duration, reader->error);

	if (!status && duration > most)
		return vigie_word_error(reader->error, word, "'%s' is longer than %" PRIu64 " seconds",
					word->text, most / 1000);
	if (!status)
		*out = (uint32_t)duration;
	return status;
}

/* prefetch AMOUNT [DURATION [PERCENTAGE%]] */
static enum vigie_status read_prefetch(struct reader *reader, const struct vigie_statement *option)
{
	struct cache_prefetch *prefetch = &reader->cache->prefetch;
	enum vigie_status status = vigie_statement_args(option, 1, 3, reader->error);

	if (!status)
		status = read_number(reader, &option->args[0], 0, CACHE_PREFETCH_MAX, &prefetch->amount);
	if (!status && option->arg_count > 1)
		status = read_duration(reader, &option->args[1], UINT32_MAX, &prefetch->gap_ms);
	if (!status && option->arg_count > 2) {
		const char *text = option->args[2].text;
		size_t digits = strspn(text, "0123456789");

		prefetch->percentage = (uint32_t)strtoul(text, NULL, 10);
		if (digits == 0 || digits > 2 || strcmp(text + digits, "%") != 0 ||
		    prefetch->percentage < 10 || prefetch->percentage > 90)
			return vigie_word_error(reader->error, &option->args[2],
						"'%s' is not a percentage from 10%% to 90%%", text);
	}
	return status;
}

/* RESPONSE_TTL [FAILURE_RECHECK], behind the refresh mode. */
static enum vigie_status read_stale_times(struct reader *reader, const struct vigie_word *words, size_t count)
{
	struct cache_stale *stale = &reader->cache->stale;
	enum vigie_status status = VIGIE_OK;
	uint32_t ttl_ms = 0;

	if (count > 0) {
		status = read_duration(reader, &words[0], UINT32_MAX, &ttl_ms);
		if (!status && ttl_ms % 1000 != 0)
			return vigie_word_error(reader->error, &words[0],
						"'%s': a TTL is a whole number of seconds", words[0].text);
		stale->ttl = ttl_ms / 1000;
	}
	if (!status && count > 1) {
		status = read_duration(reader, &words[1], CACHE_RECHECK_LIMIT_S * 1000, &stale->recheck_ms);
		stale->recheck_given = true;
	}
	return status;
}

/* serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]] */
static enum vigie_status read_serve_stale(struct reader *reader, const struct vigie_statement *option)
{
	struct cache_stale *stale = &reader->cache->stale;
	enum vigie_status status = vigie_statement_args(option, 0, 5, reader->error);
	const struct vigie_word *words = option->args;
	bool prefer_positive = stale->prefer_positive;

	*stale = (struct cache_stale){.window_ms = CACHE_STALE_S * 1000U,
				      .immediate = true,
				      .ttl = CACHE_STALE_TTL,
				      .prefer_positive = prefer_positive};
	if (!status && option->arg_count > 0)
		status = vigie_duration_from_word(&words[0], &stale->window_ms, reader->error);
	if (status || option->arg_count < 2)
		return status;
	if (strcasecmp(words[1].text, "immediate") == 0) {
		status = vigie_statement_args(option, 0, 4, reader->error);
		return status ? status : read_stale_times(reader, words + 2, option->arg_count - 2);
	}
	if (strcasecmp(words[1].text, "verify") != 0)
		return vigie_word_error(reader->error, &words[1],
					"'serve_stale' takes immediate or verify, not '%s'", words[1].text);
	stale->immediate = false;
	if (option->arg_count < 3)
		return VIGIE_OK;
	status = read_duration(reader, &words[2], UINT32_MAX, &stale->timeout_ms);
	return status ? status : read_stale_times(reader, words + 3, option->arg_count - 3);
}

static enum vigie_status read_stale_policy(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (!status && strcasecmp(option->args[0].text, "prefer_positive") != 0)
		return vigie_word_error(reader->error, &option->args[0],
					"'serve_stale_policy' takes prefer_positive, not '%s'",
					option->args[0].text);
	for (size_t i = 0; i < reader->directive->body_count && !status; i++) {
		if (strcmp(reader->directive->body[i].name.text, "serve_stale") == 0) {
			reader->cache->stale.prefer_positive = true;
			return VIGIE_OK;
		}
	}
	return status ? status
		      : vigie_word_error(reader->error, &option->name,
					 "'serve_stale_policy' needs 'serve_stale'");
}

/* budget SIZE: a number of bytes, or one with KiB, MiB or GiB. */
static enum vigie_status read_budget(struct reader *reader, const struct vigie_statement *option)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	size_t *budget = &reader->block->process->cache_budget;
	const char *text = status ? "" : option->args[0].text;
	size_t digits = strspn(text, "0123456789");
	uint64_t number = 0;

	if (status)
		return status;
	for (size_t i = 0; i < digits && number <= (uint64_t)BUDGET_MAX_MIB << 20; i++)
		number = number * 10 + (uint64_t)(text[i] - '0');
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (digits == 0 || strcmp(text + digits, units[i].unit) != 0)
			continue;
		if (number > ((uint64_t)BUDGET_MAX_MIB << 20) >> units[i].shift ||
		    number << units[i].shift < VIGIE_CACHE_BUDGET_MIN)
			return vigie_word_error(reader->error, &option->args[0],
						"'%s': a budget is from 1MiB to 1024GiB", text);
		number <<= units[i].shift;
		if (*budget != 0 && *budget != number)
			return vigie_word_error(reader->error, &option->args[0],
						"'%s': another block gives the cache %zu bytes, and there is "
						"one cache for all",
						text, *budget);
		*budget = number;
		return VIGIE_OK;
	}
	return vigie_word_error(reader->error, &option->args[0], "'%s' is not a size, such as 64MiB", text);
}

/* persist FILE [EVERY] */
static enum vigie_status read_persist(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_process *process = reader->block->process;
	enum vigie_status status = vigie_statement_args(option, 1, 2, reader->error);
	uint32_t every_ms = CACHE_PERSIST_S * 1000;
	const char *path;

	if (!status && option->arg_count > 1)
		status = read_duration(reader, &option->args[1], CACHE_PERSIST_MAX_S * 1000, &every_ms);
	if (status)
		return status;
	if (every_ms < 1000)
		return vigie_word_error(reader->error, &option->args[1],
					"'%s': the cache may be saved every second at most",
					option->args[1].text);
	path = vigie_block_path(reader->block, option->args[0].text);
	if (!path)
		return vigie_error_memory(reader->error);
	if (process->cache_persist &&
	    (strcmp(process->cache_persist, path) != 0 || process->cache_persist_ms != every_ms))
		return vigie_word_error(reader->error, &option->args[0],
					"'%s': another block saves the cache to '%s' every %" PRIu64
					" s, and there is one cache for all",
					path, process->cache_persist, process->cache_persist_ms / 1000);
	process->cache_persist = path;
	process->cache_persist_ms = every_ms;
	return VIGIE_OK;
}

static const struct {
	const char *name;
	enum vigie_status (*read)(struct reader *reader, const struct vigie_statement *option);
} options[] = {
	{"budget", read_budget},           {"denial", read_denial},
	{"disable", read_disable},         {"keepttl", read_keepttl},
	{"persist", read_persist},         {"prefetch", read_prefetch},
	{"serve_stale", read_serve_stale}, {"serve_stale_policy", read_stale_policy},
	{"servfail", read_servfail},       {"success", read_success},
};

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(option->name.text, options[i].name) == 0)
			return options[i].read(reader, option);
	}
	return vigie_option_unknown(reader->directive, option, reader->error);
}

static bool is_number(const char *text)
{
	text += *text == '-';
	return text[strspn(text, "0123456789")] == '\0';
}

enum vigie_status cache_read_options(struct vigie_block *block, struct cache *cache,
				     struct vigie_error *error)
{
	const struct vigie_statement *statement = cache->statement;
	struct reader reader = {.block = block, .directive = statement, .cache = cache, .error = error};
	const struct vigie_word *words = statement->args;
	size_t count = statement->arg_count;
	enum vigie_status status = VIGIE_OK;

	cache->success = (struct cache_bounds){CACHE_LEAST_TTL, CACHE_SUCCESS_TTL, 0};
	cache->denial = (struct cache_bounds){CACHE_LEAST_TTL, CACHE_DENIAL_TTL, 0};
	cache->failure_most = CACHE_FAILURE_TTL;
	cache->prefetch = (struct cache_prefetch){.gap_ms = 60000, .percentage = 10};
	cache->stale = (struct cache_stale){.window_ms = CACHE_STALE_UNASKED_S * 1000U,
					    .timeout_ms = CACHE_STALE_WAIT_MS,
					    .ttl = CACHE_STALE_TTL};
	/* A first word that is a number is the TTL, one below zero a mistake: no zone looks like that. */
	if (count > 0 && is_number(words[0].text)) {
		status = read_number(&reader, &words[0], 1, CACHE_TTL_MAX, &cache->success.most);
		cache->denial.most = cache->success.most;
		words++;
		count--;
	}
	if (!status)
		status = zones_from_words_or_keys(&cache->zones, block, words, count, error);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(&reader, &statement->body[i]);
	return status;
}
