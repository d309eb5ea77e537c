/* Asks upstreams that are given up, once in a while, until they answer: in the main thread, so that there is
 * one probe for all workers. */
#include <stdlib.h>
#include <string.h>

#include "upstream.h"
#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/random.h"

enum {
	TICKS = 20, /* in the time between two probes of an upstream */
	TICK_MIN_MS = 5,
	JITTER = 20 /* a part of that time: probes of many servers do not fall into step */
};

/* One upstream that is, or was, given up. */
struct probed {
	struct vigie_upstreams *group; /* of this upstream alone; a reference */
	struct upstream *upstream;     /* a reference */
	uint64_t next_ms;              /* 0: it is up */
	bool under_way;
	struct vigie_prober *prober;
};

struct vigie_prober {
	struct vigie_exchanger *exchanger;
	struct vigie_upstreams *group; /* a reference */
	uv_timer_t tick;
	uv_async_t opened; /* a worker gave an upstream up */
	unsigned handles;
	struct probed probed[VIGIE_UPSTREAMS_MAX];
};

static void forget(struct probed *probed)
{
	vigie_upstreams_free(probed->group);
	if (probed->upstream)
		upstream_release(probed->upstream);
	probed->group = NULL;
	probed->upstream = NULL;
	probed->next_ms = 0;
}

static void on_probed(void *argument, const struct vigie_outcome *outcome)
{
	struct probed *probed = argument;

	probed->under_way = false;
	if (outcome->status && probed->upstream)
		atomic_fetch_add_explicit(&probed->upstream->counters.probes_failed, 1, memory_order_relaxed);
}

static void probe(struct probed *probed)
{
	static const struct vigie_asker nobody = {.patient = true};
	struct vigie_prober *prober = probed->prober;
	const struct vigie_forward_options *options = &prober->group->options;
	struct vigie_query query = {
		.name = options->probe_name, .type = VIGIE_TYPE_NS, .class = VIGIE_CLASS_IN};
	struct vigie_outcome outcome;

	probed->under_way = vigie_exchange_start(prober->exchanger, probed->group, &query, &nobody, on_probed,
						 probed, &outcome) == VIGIE_OK;
}

/* Whether number i of `set` is given up and so to be probed; its place is made ready. */
static bool prepare(struct vigie_prober *prober, const struct upstream_set *set, size_t i)
{
	struct probed *probed = &prober->probed[i];
	struct upstream *upstream = set->list[i];
	uint64_t every = prober->group->options.probe_every;

	if (!upstream->health.open) {
		probed->next_ms = 0;
		return false;
	}
	if (probed->upstream != upstream && !probed->under_way) {
		forget(probed);
		probed->group = upstreams_new_probe(prober->group, upstream);
		if (!probed->group)
			return false;
		probed->upstream = upstream_hold(upstream);
	}
	/* The probes of a group are spread over time: the first one after a heal comes the sooner. */
	if (probed->next_ms == 0)
		probed->next_ms = vigie_clock_ms() + every * (i + 1) / set->count;
	return probed->upstream == upstream;
}

static void on_tick(uv_timer_t *tick)
{
	struct vigie_prober *prober = tick->data;
	struct upstream_set *set = upstream_set_get(prober->group);
	uint64_t every = prober->group->options.probe_every;
	uint64_t now = vigie_clock_ms();
	bool open = false;

	for (size_t i = 0; set && i < set->count; i++) {
		struct probed *probed = &prober->probed[i];

		if (!prepare(prober, set, i))
			continue;
		open = true;
		if (probed->under_way || now < probed->next_ms)
			continue;
		probed->next_ms = now + every + vigie_random_below((uint32_t)(every / JITTER + 1));
		probe(probed);
	}
	upstream_set_release(set);
	if (!open)
		uv_timer_stop(tick);
}

static void on_opened(uv_async_t *async)
{
	struct vigie_prober *prober = async->data;
	uint64_t tick = prober->group->options.probe_every / TICKS;

	if (tick < TICK_MIN_MS)
		tick = TICK_MIN_MS;
	if (!uv_is_active((uv_handle_t *)&prober->tick))
		uv_timer_start(&prober->tick, on_tick, tick, tick);
}

static void say_opened(void *argument)
{
	uv_async_send(&((struct vigie_prober *)argument)->opened);
}

struct vigie_prober *vigie_prober_new(uv_loop_t *loop, struct vigie_upstreams *group)
{
	struct vigie_prober *prober = calloc(1, sizeof(*prober));

	if (!prober)
		return NULL;
	prober->exchanger = vigie_exchanger_new(loop);
	if (!prober->exchanger || uv_async_init(loop, &prober->opened, on_opened)) {
		if (prober->exchanger)
			vigie_exchanger_close(prober->exchanger);
		free(prober);
		return NULL;
	}
	uv_timer_init(loop, &prober->tick);
	prober->opened.data = prober->tick.data = prober;
	prober->handles = 2;
	prober->group = upstreams_hold(group);
	for (size_t i = 0; i < VIGIE_UPSTREAMS_MAX; i++)
		prober->probed[i].prober = prober;
	upstreams_on_opened(group, say_opened, prober);
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

void vigie_prober_close(struct vigie_prober *prober)
{
	if (!prober)
		return;
	upstreams_on_opened(prober->group, NULL, NULL);
	vigie_exchanger_close(prober->exchanger);
	uv_close((uv_handle_t *)&prober->opened, on_closed);
	uv_close((uv_handle_t *)&prober->tick, on_closed);
}
