/* What `cache` shows, under CoreDNS' names and labels. */
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "vigie/metrics.h"

void cache_write_labels(const struct vigie_block *block, struct cache *cache)
{
	char zones[512] = "";

	for (size_t i = 0; i < cache->zones.count; i++) {
		char name[VIGIE_NAME_TEXT_MAX];
		size_t length = strlen(zones);

		vigie_name_to_text(cache->zones.names[i].bytes, name);
		/* A list that does not fit ends early: it is a label, not a configuration. */
		if (length + strlen(name) + 2 > sizeof(zones))
			break;
		snprintf(zones + length, sizeof(zones) - length, "%s%s", length > 0 ? "," : "", name);
	}
	vigie_metrics_label(cache->labels, sizeof(cache->labels), "server", block->server);
	vigie_metrics_label(cache->labels, sizeof(cache->labels), "zones", zones);
	vigie_metrics_label(cache->labels, sizeof(cache->labels), "view", "");
}

static void add_typed(const struct cache *cache, struct vigie_metrics *metrics, const char *name,
		      enum vigie_metric_type type, const char *help, const uint64_t *kinds)
{
	for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++) {
		char labels[sizeof(cache->labels) + 32];

		snprintf(labels, sizeof(labels), "%s", cache->labels);
		vigie_metrics_label(labels, sizeof(labels), "type",
				    vigie_cached_kind_text((enum vigie_cached_kind)kind));
		vigie_metrics_add(metrics, name, type, help, labels, (double)kinds[kind]);
	}
}

static void add_store(const struct cache *cache, struct vigie_metrics *metrics)
{
	struct vigie_cache_count count;

	vigie_cache_count(cache->store, &count);
	vigie_metrics_add(metrics, "vigie_cache_bytes", VIGIE_GAUGE,
			  "Bytes that the cache uses, tables and all.", "", (double)count.bytes);
	vigie_metrics_add(metrics, "vigie_cache_budget_bytes", VIGIE_GAUGE, "Bytes that the cache may use.",
			  "", (double)count.budget);
	vigie_metrics_add(metrics, "vigie_cache_stored_total", VIGIE_COUNTER, "Answers that were stored.", "",
			  (double)count.stored);
	vigie_metrics_add(metrics, "vigie_cache_refused_total", VIGIE_COUNTER,
			  "Answers that were not stored: too long, or no room at once.", "",
			  (double)count.refused);
}

void cache_add_metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct cache *cache = instance;
	struct cache_counters sum = {0};
	struct vigie_cache_part_count part;
	uint64_t requests;

	if (!cache->store)
		return;
	for (unsigned i = 0; i < cache->workers; i++) {
		const struct cache_counters *counters = &cache->counters[i];

		for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++)
			sum.hits[kind] += counters->hits[kind];
		sum.misses += counters->misses;
		sum.stale += counters->stale;
		sum.prefetches += counters->prefetches;
		sum.failed += counters->failed;
	}
	requests = sum.misses;
	for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++)
		requests += sum.hits[kind];
	vigie_cache_part_count(cache->part, &part);
	add_typed(cache, metrics, "coredns_cache_entries", VIGIE_GAUGE, "Answers in the cache.",
		  part.entries);
	add_typed(cache, metrics, "coredns_cache_hits_total", VIGIE_COUNTER,
		  "Requests that were answered from the cache.", sum.hits);
	add_typed(cache, metrics, "coredns_cache_evictions_total", VIGIE_COUNTER,
		  "Answers that left the cache for want of room.", part.evicted);
	vigie_metrics_add(metrics, "coredns_cache_requests_total", VIGIE_COUNTER,
			  "Requests that came to the cache.", cache->labels, (double)requests);
	vigie_metrics_add(metrics, "coredns_cache_misses_total", VIGIE_COUNTER,
			  "Requests whose answer the cache did not have.", cache->labels, (double)sum.misses);
	vigie_metrics_add(metrics, "coredns_cache_served_stale_total", VIGIE_COUNTER,
			  "Requests that were given an answer after its lifetime.", cache->labels,
			  (double)sum.stale);
	vigie_metrics_add(metrics, "coredns_cache_prefetch_total", VIGIE_COUNTER,
			  "Answers that were refreshed before their lifetime ended.", cache->labels,
			  (double)sum.prefetches);
	vigie_metrics_add(metrics, "coredns_cache_drops_total", VIGIE_COUNTER,
			  "Replies to another question: always 0, forward passes them over.", cache->labels,
			  0);
	vigie_metrics_add(metrics, "vigie_cache_refresh_failed_total", VIGIE_COUNTER,
			  "Refreshes that failed, so that the older answer stays.", cache->labels,
			  (double)sum.failed);
	if (cache->shows_store)
		add_store(cache, metrics);
}
