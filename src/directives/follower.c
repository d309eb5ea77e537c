#include "follower.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "primary.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"
#include "vigie/thread.h"

enum {
	FIRST_RETRY_MS = 10000,   /* between tries while there is no zone at all */
	REFRESH_JITTER_MS = 5000, /* CoreDNS' */
	RETRY_JITTER_MS = 2000
};

/* A zone on its way from a primary's records to what is served; a thread of libuv's pool has it meanwhile. */
struct compiled {
	struct vigie_zone_builder *builder;
	char from[HOST_PORT_TEXT_MAX];
	bool is_catalog;
	bool good;
	struct vigie_soa soa;
	struct vigie_catalog *catalog;
	struct vigie_error error;
};

static void compiled_free(struct compiled *compiled)
{
	if (!compiled)
		return;
	vigie_zone_builder_free(compiled->builder);
	vigie_catalog_free(compiled->catalog);
	free(compiled);
}

static void release(struct follower *follower)
{
	if (--follower->references > 0)
		return;
	vigie_zone_unref(follower->zone.zone);
	vigie_catalog_free(follower->lists);
	free(follower);
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static bool is_catalog(const struct follower *follower)
{
	return follower->source->catalog && !follower->catalog;
}

static bool is_fresh(const struct follower *follower)
{
	return follower->has_zone && !follower->zone.expired;
}

static void on_timer(uv_timer_t *timer);

/* Wakes when there is something to do: to ask, unless that is under way, or to call the zone too old. */
static void schedule(struct follower *follower)
{
	uint64_t now = vigie_clock_ms();
	uint64_t when = follower->asking || follower->waiting ? UINT64_MAX : follower->check_ms;

	if (is_fresh(follower) && follower->expire_ms < when)
		when = follower->expire_ms;
	if (when == UINT64_MAX)
		uv_timer_stop(&follower->timer);
	else
		uv_timer_start(&follower->timer, on_timer, when > now ? when - now : 0, 0);
}

static void leave_queue(struct follower *follower)
{
	struct source *source = follower->source;
	struct follower *before = NULL;

	if (!follower->waiting)
		return;
	follower->waiting = false;
	for (struct follower *at = source->first_waiting; at != follower; at = at->behind)
		before = at;
	*(before ? &before->behind : &source->first_waiting) = follower->behind;
	if (source->last_waiting == follower)
		source->last_waiting = before;
	follower->behind = NULL;
}

/* No longer asks: the next one of the source may. */
static void leave(struct follower *follower)
{
	struct follower *next = follower->source->first_waiting;

	if (!follower->asking)
		return;
	follower->asking = false;
	follower->source->asking--;
	if (!next)
		return;
	leave_queue(next);
	schedule(next);
}

static uint64_t soon(uint32_t seconds, uint32_t jitter_ms)
{
	return vigie_clock_ms() + (uint64_t)(seconds > 0 ? seconds : 1) * 1000 +
	       vigie_random_below(jitter_ms);
}

/* All primaries were asked in vain. */
static void failed(struct follower *follower)
{
	leave(follower);
	follower->check_ms = follower->has_zone ? soon(follower->soa.retry, RETRY_JITTER_MS)
						: vigie_clock_ms() + FIRST_RETRY_MS;
	schedule(follower);
}

/* The zone is as the primary has it. */
static void refreshed(struct follower *follower)
{
	leave(follower);
	follower->check_ms = soon(follower->soa.refresh, REFRESH_JITTER_MS);
	follower->expire_ms = soon(follower->soa.expire, 1);
	__atomic_store_n(&follower->zone.expired, false, __ATOMIC_RELAXED);
	if (follower->again) {
		follower->again = false;
		follower->check_ms = 0;
	}
	schedule(follower);
}

/* In a thread of libuv's pool: sorting a zone takes a while, and so does waiting for the readers of the one
 * before. A catalog that is broken is not taken at all (RFC 9432 section 5.1). */
static void compile(uv_work_t *work)
{
	struct follower *follower = work->data;
	struct compiled *compiled = follower->compiled;
	struct vigie_zone *zone;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	zone = vigie_zone_builder_finish(compiled->builder, &compiled->error);
	compiled->builder = NULL;
	if (!zone)
		return;
	if (compiled->is_catalog)
		compiled->catalog = vigie_catalog_read(zone, &compiled->error);
	if (compiled->is_catalog && !compiled->catalog) {
		vigie_zone_unref(zone);
		return;
	}
	compiled->good = true;
	vigie_zone_soa(zone, &compiled->soa);
	static_zone_publish(&follower->zone, zone);
}

static void on_answer(void *argument, enum primary_outcome outcome, struct vigie_zone_builder *builder,
		      const char *trouble);

static void on_compiled(uv_work_t *work, int cancelled)
{
	struct follower *follower = work->data;
	struct compiled *compiled = follower->compiled;
	struct vigie_catalog *catalog;
	char zone[VIGIE_NAME_TEXT_MAX];

	follower->compiled = NULL;
	if (!follower->events) {
		compiled_free(compiled);
		release(follower);
		return;
	}
	release(follower); /* its owner keeps it */
	if (!compiled->good) {
		on_answer(follower, PRIMARY_FAILED, NULL, compiled->error.text);
		compiled_free(compiled);
		return;
	}
	follower->soa = compiled->soa;
	follower->has_zone = true;
	vigie_log(VIGIE_LOG_INFO, "secondary", "Transferred: %s from %s with %" PRIu32 " SOA serial",
		  vigie_name_to_text(follower->zone.origin.bytes, zone), compiled->from,
		  follower->soa.serial);
	catalog = compiled->catalog;
	compiled->catalog = NULL;
	compiled_free(compiled);
	refreshed(follower);
	follower->events->arrived(follower->events->argument, follower, catalog);
}

static bool begin_compiling(struct follower *follower, struct vigie_zone_builder *builder)
{
	struct compiled *compiled = calloc(1, sizeof(*compiled));

	if (!compiled)
		return false;
	host_port_to_text(&follower->source->primaries[follower->index], compiled->from);
	compiled->is_catalog = is_catalog(follower);
	compiled->builder = builder;
	follower->compiled = compiled;
	follower->references++;
	if (uv_queue_work(follower->events->loop, &follower->work, compile, on_compiled) == 0)
		return true;
	follower->references--;
	follower->compiled = NULL;
	compiled->builder = NULL;
	compiled_free(compiled);
	return false;
}

/* Asks the primary whose turn it is; behind the last one it gives up for a while. */
static void ask(struct follower *follower)
{
	if (follower->index < follower->source->primary_count)
		follower->primary =
			primary_ask(follower->events->loop, &follower->source->primaries[follower->index],
				    &follower->zone.origin, follower->has_zone ? &follower->soa.serial : NULL,
				    on_answer, follower);
	if (!follower->primary)
		failed(follower);
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
		if (begin_compiling(follower, builder))
			return;
		vigie_zone_builder_free(builder);
		trouble = "out of memory";
		break;
	case PRIMARY_FAILED:
		break;
	}
	vigie_log(VIGIE_LOG_ERROR, "secondary", "Failed to transfer \"%s\" from %s: %s",
		  vigie_name_to_text(follower->zone.origin.bytes, zone),
		  host_port_to_text(&follower->source->primaries[follower->index], from), trouble);
	follower->index++;
	ask(follower);
}

/* Asks, or waits for its turn. */
static void begin(struct follower *follower)
{
	struct source *source = follower->source;

	if (source->asking == FOLLOWERS_ASKING_MAX) {
		follower->waiting = true;
		*(source->last_waiting ? &source->last_waiting->behind : &source->first_waiting) = follower;
		source->last_waiting = follower;
		schedule(follower);
		return;
	}
	follower->asking = true;
	source->asking++;
	follower->index = 0;
	schedule(follower);
	ask(follower);
}

static void on_timer(uv_timer_t *timer)
{
	struct follower *follower = timer->data;
	char zone[VIGIE_NAME_TEXT_MAX];
	uint64_t now = vigie_clock_ms();

	if (is_fresh(follower) && now >= follower->expire_ms) {
		vigie_log(VIGIE_LOG_ERROR, "secondary", "Zone \"%s\" has expired: no primary was reached",
			  vigie_name_to_text(follower->zone.origin.bytes, zone));
		__atomic_store_n(&follower->zone.expired, true, __ATOMIC_RELAXED);
	}
	if (follower->asking || follower->waiting || now < follower->check_ms)
		schedule(follower);
	else
		begin(follower);
}

static void on_notified(uv_async_t *async)
{
	struct follower *follower = async->data;

	if (!follower->events)
		return;
	if (follower->asking) {
		follower->again = true;
		return;
	}
	follower->check_ms = 0;
	schedule(follower);
}

struct follower *follower_new(const struct vigie_name *origin, struct source *source,
			      struct follower *catalog, const struct follower_events *events)
{
	struct follower *follower = calloc(1, sizeof(*follower));

	if (!follower)
		return NULL;
	follower->zone.origin = *origin;
	follower->source = source;
	follower->catalog = catalog;
	follower->events = events;
	uv_timer_init(events->loop, &follower->timer);
	uv_async_init(events->loop, &follower->notified, on_notified);
	follower->references = 3;
	follower->timer.data = follower;
	follower->notified.data = follower;
	follower->work.data = follower;
	schedule(follower);
	return follower;
}

void follower_adopt(struct follower *follower, const struct follower *from)
{
	struct vigie_zone *zone;

	if (!from->has_zone)
		return;
	/* A thread of the pool may be replacing it, and frees it when nobody is online. */
	rcu_thread_online();
	zone = vigie_zone_ref(__atomic_load_n(&from->zone.zone, __ATOMIC_ACQUIRE));
	rcu_thread_offline();
	if (is_catalog(follower)) {
		follower->lists = vigie_catalog_read(zone, NULL);
		if (!follower->lists) {
			vigie_zone_unref(zone);
			return;
		}
	}
	follower->zone.zone = zone;
	follower->zone.expired = from->zone.expired;
	follower->has_zone = true;
	vigie_zone_soa(zone, &follower->soa);
	follower->expire_ms = from->expire_ms;
}

/* Lets go of its source. */
static void let_go(struct follower *follower)
{
	primary_cancel(follower->primary);
	follower->primary = NULL;
	leave_queue(follower);
	leave(follower);
}

void follower_restart(struct follower *follower, struct source *source)
{
	let_go(follower);
	__atomic_store_n(&follower->source, source, __ATOMIC_RELEASE);
	follower->index = 0;
	if (follower->compiled) { /* its end is waited for, and counts here */
		follower->asking = true;
		source->asking++;
		follower->again = true;
	}
	follower->check_ms = 0;
	schedule(follower);
}

void follower_stop(struct follower *follower)
{
	let_go(follower);
	follower->events = NULL;
	uv_timer_stop(&follower->timer);
}

void follower_free(struct follower *follower)
{
	uv_close((uv_handle_t *)&follower->timer, on_closed);
	uv_close((uv_handle_t *)&follower->notified, on_closed);
	release(follower);
}

bool follower_notify(struct follower *follower, const struct sockaddr *client)
{
	const struct source *source = __atomic_load_n(&follower->source, __ATOMIC_ACQUIRE);

	for (size_t i = 0; i < source->primary_count; i++) {
		if (!host_port_is_host(&source->primaries[i], client))
			continue;
		uv_async_send(&follower->notified);
		return true;
	}
	return false;
}
