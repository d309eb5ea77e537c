/* Asks upstreams that are suspected to be away, at once, and those that are given up, once in a while, until
 * they answer: in the main thread, so that there is one probe for all workers. */
#include <stdlib.h>
#include <string.h>

#include "upstream.h"
#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

enum {
	TICKS = 20, /* in the time between two probes of an upstream */
	TICK_MIN_MS = 5,
	TRIAL_QUERIES = 3, /* to one that is suspected: on a lossy path one says little */
	TRIAL_MS = 300     /* how long the last of them is waited for */
};

/* One upstream that is, or was, suspected or given up. */
struct probed {
	struct upstream *upstream; /* a reference */
	uint64_t next_ms;          /* 0: it is up */
	uint64_t sent_us;
	bool under_way;
	struct vigie_prober *prober;
};

struct vigie_prober {
	struct vigie_exchanger *exchanger;
	struct vigie_upstreams *group; /* a reference */
	uv_timer_t tick;
	uv_async_t suspected; /* a worker suspects an upstream */
	uint64_t phase_ms;    /* random: probes of many servers do not fall into step */
	unsigned handles;
	struct probed probed[VIGIE_UPSTREAMS_MAX];
};

static void forget(struct probed *probed)
{
	if (probed->upstream)
		upstream_release(probed->upstream);
	probed->upstream = NULL;
	probed->next_ms = 0;
}

static void on_probed(void *argument, const struct vigie_outcome *outcome)
{
	struct probed *probed = argument;
	struct upstream *upstream = probed->upstream;

	probed->under_way = false;
	if (outcome->status == VIGIE_OK || outcome->status == VIGIE_EIO)
		return; /* it answered, or the server is stopping */
	atomic_fetch_add_explicit(&upstream->counters.probes_failed, 1, memory_order_relaxed);
	if (health_probe_failed(&upstream->health, probed->sent_us))
		vigie_log(VIGIE_LOG_WARNING, "forward",
			  "upstream %s does not answer: it is probed until it does (%s)",
			  upstream->target.text, outcome->trouble ? outcome->trouble : "i/o timeout");
}

/* Sends a probe: `queries` in all, the last one is waited for `wait_ms`. */
static void probe(struct probed *probed, unsigned queries, uint64_t wait_ms)
{
	static const struct vigie_asker nobody = {.patient = true};
	struct vigie_prober *prober = probed->prober;
	const struct vigie_forward_options *options = &prober->group->options;
	struct vigie_query query = {.name = options->probe_name,
				    .flags = options->probe_no_rec ? 0 : VIGIE_FLAG_RD,
				    .type = VIGIE_TYPE_NS,
				    .class = VIGIE_CLASS_IN};
	struct vigie_upstreams *alone =
		upstreams_new_probe(prober->group, probed->upstream, queries, wait_ms);
	struct vigie_outcome outcome;

	if (!alone)
		return; /* the next tick tries again */
	probed->sent_us = vigie_clock_us();
	probed->under_way = vigie_exchange_start(prober->exchanger, alone, &query, &nobody, on_probed, probed,
						 &outcome) == VIGIE_OK;
	vigie_upstreams_free(alone); /* the exchange has its own reference */
}

/* Milliseconds between two probes of an upstream: what the configuration says, within bounds. */
static uint64_t probe_every_ms(const struct vigie_upstreams *group)
{
	uint64_t every = group->options.probe_every;

	return every < TICK_MIN_MS ? TICK_MIN_MS : every > UINT32_MAX ? UINT32_MAX : every;
}

/* The probes of a group's upstreams have the same distance in time, so that the first one after a heal comes
 * the sooner. */
static uint64_t next_probe_ms(const struct vigie_prober *prober, const struct upstream_set *set, size_t i,
			      uint64_t now)
{
	uint64_t every = probe_every_ms(prober->group);
	uint64_t phase = (prober->phase_ms + every * i / set->count) % every;

	return now - (now - phase) % every + every;
}

/* Probes number i of `set` when that is due. Whether it needs to be looked at again soon. */
static bool look_at(struct vigie_prober *prober, const struct upstream_set *set, size_t i)
{
	struct probed *probed = &prober->probed[i];
	struct upstream *upstream = set->list[i];
	uint64_t every = probe_every_ms(prober->group);
	uint64_t now = vigie_clock_ms();

	if (probed->under_way)
		return true;
	if (!upstream->health.open && !upstream->health.suspected) {
		probed->next_ms = 0;
		return false;
	}
	if (probed->upstream != upstream) {
		forget(probed);
		probed->upstream = upstream_hold(upstream);
	}
	if (!upstream->health.open) {
		probe(probed, TRIAL_QUERIES, TRIAL_MS);
		return true;
	}
	if (probed->next_ms == 0)
		probed->next_ms = next_probe_ms(prober, set, i, now);
	if (now >= probed->next_ms) {
		probed->next_ms = next_probe_ms(prober, set, i, now);
		probe(probed, 1, every);
	}
	return true;
}

static void on_tick(uv_timer_t *tick)
{
	struct vigie_prober *prober = tick->data;
	struct upstream_set *set = upstream_set_get(prober->group);
	bool again = false;

	for (size_t i = 0; set && i < set->count; i++)
		again = look_at(prober, set, i) || again;
	upstream_set_release(set);
	if (!again)
		uv_timer_stop(tick);
}

static void on_suspected(uv_async_t *async)
{
	struct vigie_prober *prober = async->data;
	uint64_t tick = probe_every_ms(prober->group) / TICKS;

	if (tick < TICK_MIN_MS)
		tick = TICK_MIN_MS;
	if (!uv_is_active((uv_handle_t *)&prober->tick))
		uv_timer_start(&prober->tick, on_tick, 0, tick);
}

static void say_suspected(void *argument)
{
	uv_async_send(&((struct vigie_prober *)argument)->suspected);
}

struct vigie_prober *vigie_prober_new(uv_loop_t *loop, struct vigie_upstreams *group)
{
	struct vigie_prober *prober = calloc(1, sizeof(*prober));

	if (!prober)
		return NULL;
	prober->exchanger = vigie_exchanger_new(loop, NULL);
	if (!prober->exchanger || uv_async_init(loop, &prober->suspected, on_suspected)) {
		if (prober->exchanger)
			vigie_exchanger_close(prober->exchanger);
		free(prober);
		return NULL;
	}
	uv_timer_init(loop, &prober->tick);
	prober->phase_ms = vigie_random_below((uint32_t)probe_every_ms(group));
	prober->suspected.data = prober->tick.data = prober;
	prober->handles = 2;
	prober->group = upstreams_hold(group);
	for (size_t i = 0; i < VIGIE_UPSTREAMS_MAX; i++)
		prober->probed[i].prober = prober;
	upstreams_on_suspected(group, say_suspected, prober);
	say_suspected(prober); /* members may have been given up before, in another group */
	return prober;
}

static void on_closed(uv_handle_t *handle)
{
	struct vigie_prober *prober = handle->data;

	if (--prober->handles > 0)
		return;
	for (size_t i = 0; i < VIGIE_UPSTREAMS_MAX; i++)
		forget(&prober->probed[i]);
	upstreams_release(prober->group);
	free(prober);
}

/* Members may have another group, whose prober does not know of these. */
static void forget_suspicions(struct vigie_upstreams *group)
{
	struct upstream_set *set = upstream_set_get(group);

	for (size_t i = 0; set && i < set->count; i++)
		health_forget_suspicion(&set->list[i]->health);
	upstream_set_release(set);
}

void vigie_prober_close(struct vigie_prober *prober)
{
	if (!prober)
		return;
	upstreams_on_suspected(prober->group, NULL, NULL);
	vigie_exchanger_close(prober->exchanger);
	forget_suspicions(prober->group);
	uv_close((uv_handle_t *)&prober->suspected, on_closed);
	uv_close((uv_handle_t *)&prober->tick, on_closed);
}
