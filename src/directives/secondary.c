/* `secondary [ZONE…] { transfer from ADDRESS…; fallthrough [ZONE…] }`: zones that are fetched from a primary
 * server and kept up to date (RFC 1034 section 4.3.5, RFC 1996). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "primary.h"
#include "static_zone.h"
#include "transfer.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"
#include "vigie/thread.h"

enum {
	FIRST_RETRY_MS = 10000,   /* between tries while there is no zone at all */
	REFRESH_JITTER_MS = 5000, /* CoreDNS' */
	RETRY_JITTER_MS = 2000
};

/* One statement. */
struct rule {
	union host_port *primaries;
	size_t primary_count;
	struct fallthrough fall;
};

struct secondary {
	struct vigie_block *block;
	struct static_zone *zones; /* in the block's arena, as the rules */
	const struct rule **rules; /* zones[i] is by rules[i] */
	struct follower **followers;
	size_t count;
};

/* Keeps one zone up to date. It may outlive the directive: the loop and a thread of its pool have parts of
 * it. */
struct follower {
	struct secondary *secondary; /* NULL: stopped */
	uv_mutex_t lock;             /* of `zone` */
	struct static_zone *zone;    /* NULL: stopped */
	const struct rule *rule;
	struct vigie_name origin;
	uv_timer_t timer;
	uv_async_t notified; /* by a worker */
	uv_work_t work;
	unsigned busy;                      /* handles that are not closed, and work that is not done */
	struct primary *primary;            /* asked at the moment */
	size_t index;                       /* which of the primaries that is */
	struct vigie_zone_builder *builder; /* of the zone that came, while it is compiled */
	bool compiled;
	struct vigie_soa compiled_soa;
	struct vigie_error error;
	bool has_zone;
	bool again; /* a NOTIFY came meanwhile */
	struct vigie_soa soa;
	uint64_t check_ms;  /* vigie_clock_ms when to ask next */
	uint64_t expire_ms; /* when the zone is too old */
};

static enum vigie_status read_from(struct rule *rule, const struct vigie_statement *option,
				   struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 2, SIZE_MAX, error);

	if (!status && strcmp(option->args[0].text, "from") != 0)
		status = vigie_word_error(error, &option->args[0], "'transfer' goes on with from, not '%s'",
					  option->args[0].text);
	for (size_t i = 1; i < option->arg_count && !status; i++) {
		status = host_port_from_word(&rule->primaries[rule->primary_count], &option->args[i], error);
		rule->primary_count += !status;
	}
	return status;
}

static enum vigie_status read_rule(struct vigie_block *block, struct rule *rule,
				   const struct vigie_statement *statement, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;
	size_t words = 0;

	for (size_t i = 0; i < statement->body_count; i++)
		words += statement->body[i].arg_count;
	rule->primaries = vigie_arena_alloc(block->arena, (words + 1) * sizeof(*rule->primaries));
	if (!rule->primaries)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = vigie_statement_plain(option, error);
		if (status)
			return status;
		if (strcmp(option->name.text, "transfer") == 0)
			status = read_from(rule, option, error);
		else if (strcmp(option->name.text, "fallthrough") == 0)
			status = fallthrough_read(&rule->fall, block, option, error);
		else if (strcmp(option->name.text, "catalog") == 0)
			status = vigie_word_error(error, &option->name,
						  "'catalog' is not supported: name the zones one by one");
		else
			status = vigie_option_unknown(statement, option, error);
	}
	if (!status && rule->primary_count == 0)
		status = vigie_word_error(error, &statement->name,
					  "'secondary' needs 'transfer from ADDRESS': the primary server");
	return status;
}

static enum vigie_status add_zones(struct secondary *secondary, const struct vigie_statement *statement,
				   const struct rule *rule, struct vigie_error *error)
{
	struct vigie_arena *arena = secondary->block->arena;
	char text[VIGIE_NAME_TEXT_MAX];
	struct static_zone *zones;
	const struct rule **rules;
	struct zones origins;
	enum vigie_status status = static_zone_origins(&origins, secondary->block, statement, 0, error);
	size_t count = secondary->count;

	if (status)
		return status;
	zones = vigie_arena_alloc(arena, (count + origins.count) * sizeof(*zones));
	rules = vigie_arena_alloc(arena, (count + origins.count) * sizeof(*rules));
	if (!zones || !rules)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	for (size_t i = 0; i < count; i++) {
		zones[i] = secondary->zones[i];
		rules[i] = secondary->rules[i];
	}
	for (size_t i = 0; i < origins.count; i++, count++) {
		for (size_t known = 0; known < count; known++) {
			if (vigie_name_equal(zones[known].origin.bytes, origins.names[i].bytes))
				return vigie_word_error(
					error, &statement->name,
					"'secondary': zone '%.256s' stands in this block already",
					vigie_name_to_text(origins.names[i].bytes, text));
		}
		zones[count] = (struct static_zone){.origin = origins.names[i]};
		rules[count] = rule;
	}
	secondary->zones = zones;
	secondary->rules = rules;
	secondary->count = count;
	return VIGIE_OK;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct secondary *secondary = vigie_arena_alloc(block->arena, sizeof(*secondary));
	struct rule *rules = vigie_arena_alloc(block->arena, count * sizeof(*rules));

	if (!secondary || !rules)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	secondary->block = block;
	for (size_t i = 0; i < count; i++) {
		enum vigie_status status = read_rule(block, &rules[i], statements[i], error);

		if (!status)
			status = add_zones(secondary, statements[i], &rules[i], error);
		if (status)
			return status;
	}
	secondary->followers = vigie_arena_alloc(block->arena, secondary->count * sizeof(struct follower *));
	if (!secondary->followers)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	*instance = secondary;
	return VIGIE_OK;
}

static void release(struct follower *follower)
{
	if (--follower->busy > 0)
		return;
	uv_mutex_destroy(&follower->lock);
	free(follower);
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void on_timer(uv_timer_t *timer);

/* Wakes when there is something to do: to ask, or to call the zone too old. */
static void schedule(struct follower *follower)
{
	uint64_t now = vigie_clock_ms();
	uint64_t when = follower->check_ms;

	if (follower->has_zone && !follower->zone->expired && follower->expire_ms < when)
		when = follower->expire_ms;
	uv_timer_start(&follower->timer, on_timer, when > now ? when - now : 0, 0);
}

static uint64_t soon(uint32_t seconds, uint32_t jitter_ms)
{
	return vigie_clock_ms() + (uint64_t)(seconds > 0 ? seconds : 1) * 1000 +
	       vigie_random_below(jitter_ms);
}

/* All primaries were asked in vain. */
static void failed(struct follower *follower)
{
	follower->check_ms = follower->has_zone ? soon(follower->soa.retry, RETRY_JITTER_MS)
						: vigie_clock_ms() + FIRST_RETRY_MS;
	schedule(follower);
}

/* The zone is as the primary has it. */
static void refreshed(struct follower *follower)
{
	follower->check_ms = soon(follower->soa.refresh, REFRESH_JITTER_MS);
	follower->expire_ms = soon(follower->soa.expire, 1);
	__atomic_store_n(&follower->zone->expired, false, __ATOMIC_RELAXED);
	if (follower->again) {
		follower->again = false;
		follower->check_ms = 0;
	}
	schedule(follower);
}

/* In a thread of libuv's pool: sorting a zone takes a while, and so does waiting for the readers of the one
 * before. */
static void compile(uv_work_t *work)
{
	struct follower *follower = work->data;
	struct vigie_zone *zone;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	zone = vigie_zone_builder_finish(follower->builder, &follower->error);
	follower->builder = NULL;
	follower->compiled = zone != NULL;
	if (!zone)
		return;
	vigie_zone_soa(zone, &follower->compiled_soa);
	uv_mutex_lock(&follower->lock);
	if (follower->zone)
		static_zone_publish(follower->zone, zone);
	else
		vigie_zone_unref(zone);
	uv_mutex_unlock(&follower->lock);
}

static void on_compiled(uv_work_t *work, int cancelled);
static void ask(struct follower *follower);

static const char *primary_text(const struct follower *follower, char *text)
{
	return host_port_to_text(&follower->rule->primaries[follower->index], text);
}

static void on_answer(void *argument, enum primary_outcome outcome, struct vigie_zone_builder *builder,
		      const char *trouble)
{
	struct follower *follower = argument;
	char zone[VIGIE_NAME_TEXT_MAX];
	char from[HOST_PORT_TEXT_MAX];

	follower->primary = NULL;
	switch (outcome) {
	case PRIMARY_CURRENT:
		refreshed(follower);
		return;
	case PRIMARY_ZONE:
		follower->builder = builder;
		follower->busy++;
		if (uv_queue_work(follower->timer.loop, &follower->work, compile, on_compiled) == 0)
			return;
		follower->busy--;
		vigie_zone_builder_free(builder);
		trouble = "out of memory";
		break;
	case PRIMARY_FAILED:
		break;
	}
	vigie_log(VIGIE_LOG_ERROR, "secondary", "Failed to transfer \"%s\" from %s: %s",
		  vigie_name_to_text(follower->origin.bytes, zone), primary_text(follower, from), trouble);
	follower->index++;
	ask(follower);
}

static void on_compiled(uv_work_t *work, int cancelled)
{
	struct follower *follower = work->data;
	char zone[VIGIE_NAME_TEXT_MAX];
	char from[HOST_PORT_TEXT_MAX];

	if (!follower->secondary) {
		release(follower);
		return;
	}
	release(follower); /* its handles keep it */
	if (!follower->compiled) {
		on_answer(follower, PRIMARY_FAILED, NULL, follower->error.text);
		return;
	}
	follower->soa = follower->compiled_soa;
	follower->has_zone = true;
	vigie_log(VIGIE_LOG_INFO, "secondary", "Transferred: %s from %s with %" PRIu32 " SOA serial",
		  vigie_name_to_text(follower->origin.bytes, zone), primary_text(follower, from),
		  follower->soa.serial);
	refreshed(follower);
	transfer_notify(follower->secondary->block->transfer, &follower->origin);
}

/* Asks the primary whose turn it is; behind the last one it gives up for a while. */
static void ask(struct follower *follower)
{
	if (follower->index == follower->rule->primary_count) {
		failed(follower);
		return;
	}
	follower->primary = primary_ask(follower->timer.loop, &follower->rule->primaries[follower->index],
					&follower->origin, follower->has_zone ? &follower->soa.serial : NULL,
					on_answer, follower);
	if (!follower->primary)
		failed(follower);
}

static bool is_asking(const struct follower *follower)
{
	return follower->primary || follower->busy > 2;
}

static void on_timer(uv_timer_t *timer)
{
	struct follower *follower = timer->data;
	char zone[VIGIE_NAME_TEXT_MAX];
	uint64_t now = vigie_clock_ms();

	if (follower->has_zone && !follower->zone->expired && now >= follower->expire_ms) {
		vigie_log(VIGIE_LOG_ERROR, "secondary", "Zone \"%s\" has expired: no primary was reached",
			  vigie_name_to_text(follower->origin.bytes, zone));
		__atomic_store_n(&follower->zone->expired, true, __ATOMIC_RELAXED);
	}
	if (is_asking(follower))
		return; /* its end schedules the next time */
	if (now < follower->check_ms) {
		schedule(follower);
		return;
	}
	follower->index = 0;
	ask(follower);
}

static void on_notified(uv_async_t *async)
{
	struct follower *follower = async->data;

	if (is_asking(follower)) {
		follower->again = true;
		return;
	}
	follower->check_ms = 0;
	schedule(follower);
}

static struct follower *follower_new(struct secondary *secondary, size_t index)
{
	uv_loop_t *loop = secondary->block->process->loop;
	struct follower *follower = calloc(1, sizeof(*follower));

	if (!follower)
		return NULL;
	uv_mutex_init(&follower->lock);
	follower->secondary = secondary;
	follower->zone = &secondary->zones[index];
	follower->rule = secondary->rules[index];
	follower->origin = follower->zone->origin;
	uv_timer_init(loop, &follower->timer);
	uv_async_init(loop, &follower->notified, on_notified);
	follower->busy = 2;
	follower->timer.data = follower;
	follower->notified.data = follower;
	follower->work.data = follower;
	schedule(follower);
	return follower;
}

static void stop(void *instance)
{
	struct secondary *secondary = instance;

	for (size_t i = 0; i < secondary->count; i++) {
		struct follower *follower = secondary->followers[i];

		secondary->followers[i] = NULL;
		if (follower) {
			follower->secondary = NULL;
			uv_mutex_lock(&follower->lock);
			follower->zone = NULL;
			uv_mutex_unlock(&follower->lock);
			primary_cancel(follower->primary);
			uv_close((uv_handle_t *)&follower->timer, on_closed);
			uv_close((uv_handle_t *)&follower->notified, on_closed);
		}
		static_zone_publish(&secondary->zones[i], NULL);
	}
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct secondary *secondary = instance;

	for (size_t i = 0; i < secondary->count; i++) {
		secondary->followers[i] = follower_new(secondary, i);
		if (!secondary->followers[i]) {
			stop(secondary);
			return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
		}
	}
	return VIGIE_OK;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct secondary *secondary = instance;
	const struct static_zone *zone =
		static_zone_find(secondary->zones, secondary->count, &request->query->name);

	if (!zone)
		return VIGIE_NEXT;
	return static_zone_serve(zone, &secondary->rules[zone - secondary->zones]->fall, request);
}

static enum vigie_status zone(void *instance, const struct vigie_name *origin, struct vigie_zone **out)
{
	const struct secondary *secondary = instance;

	return static_zone_snapshot(secondary->zones, secondary->count, origin, out);
}

/* In a worker's thread. */
static bool notify(void *instance, const struct vigie_name *origin, const struct sockaddr *client)
{
	const struct secondary *secondary = instance;

	for (size_t i = 0; i < secondary->count; i++) {
		const struct rule *rule = secondary->rules[i];

		if (!vigie_name_equal(secondary->zones[i].origin.bytes, origin->bytes))
			continue;
		for (size_t p = 0; p < rule->primary_count; p++) {
			if (host_port_is_host(&rule->primaries[p], client)) {
				uv_async_send(&secondary->followers[i]->notified);
				return true;
			}
		}
	}
	return false;
}

const struct vigie_directive vigie_directive_secondary = {
	.name = "secondary",
	.setup = setup,
	.start = start,
	.stop = stop,
	.serve = serve,
	.zone = zone,
	.notify = notify,
};
