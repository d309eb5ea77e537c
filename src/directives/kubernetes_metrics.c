/* The metrics of the `kubernetes` directive: those of CoreDNS' that have a meaning here, and vigie's own. */
#include <stdio.h>

#include "kubernetes.h"
#include "vigie/clock.h"
#include "vigie/metrics.h"

enum { LABELS_MAX = 320 };

struct scrape {
	const struct kubernetes *kubernetes;
	struct vigie_metrics *metrics;
	char zone[VIGIE_NAME_TEXT_MAX];
};

/* The labels of one of this instance's samples: its zone, and one more. */
static const char *label(const struct scrape *scrape, const char *name, const char *value, char *labels)
{
	labels[0] = 0;
	vigie_metrics_label(labels, LABELS_MAX, "zone", scrape->zone);
	if (name)
		vigie_metrics_label(labels, LABELS_MAX, name, value);
	return labels;
}

static void add_records(const struct scrape *scrape)
{
	const struct vigie_records *records = scrape->kubernetes->records;
	struct vigie_records_count count;
	uint64_t bytes[VIGIE_BYTES];
	char labels[LABELS_MAX];

	vigie_records_count(records, &count);
	vigie_records_bytes(records, bytes);
	for (int i = 0; i < VIGIE_BYTES; i++)
		vigie_metrics_add(scrape->metrics, "vigie_records_bytes", VIGIE_GAUGE,
				  "Memory of the record table, by what it is for.",
				  label(scrape, "kind", vigie_bytes_text((enum vigie_bytes)i), labels),
				  (double)bytes[i]);
	struct {
		const char *kind;
		uint64_t count;
	} const counts[] = {{"services", count.services},
			    {"endpoints", count.endpoints},
			    {"namespaces", count.namespaces},
			    {"pods", count.pods}};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		vigie_metrics_add(scrape->metrics, "vigie_records", VIGIE_GAUGE,
				  "Objects in the record table (endpoints: the ready ones).",
				  label(scrape, "kind", counts[i].kind, labels), (double)counts[i].count);
}

static void add_programming(const struct scrape *scrape)
{
	struct vigie_programming programming;
	struct vigie_histogram histogram = {.bounds = vigie_programming_bounds,
					    .bound_count = VIGIE_PROGRAMMING_BOUNDS,
					    .counts = programming.counts};

	vigie_records_programming(scrape->kubernetes->records, &programming);
	histogram.sum = programming.sum;
	vigie_metrics_add_histogram(scrape->metrics, "coredns_kubernetes_dns_programming_duration_seconds",
				    "Seconds from a change in the cluster until it was served.",
				    "service_kind=\"headless_with_selector\"", &histogram);
}

static void add_durations(const struct scrape *scrape, const char *name, const char *help, const char *labels,
			  const struct vigie_watch_durations *durations)
{
	const struct vigie_histogram histogram = {.bounds = vigie_watch_bounds,
						  .bound_count = VIGIE_WATCH_BOUNDS,
						  .counts = durations->counts,
						  .sum = durations->sum};

	vigie_metrics_add_histogram(scrape->metrics, name, help, labels, &histogram);
}

static void add_requests(const struct scrape *scrape)
{
	struct vigie_watcher *watcher = scrape->kubernetes->watcher;
	const char *host = vigie_watcher_host(watcher);
	struct vigie_watch_requests requests;
	char labels[LABELS_MAX];

	vigie_watcher_requests(watcher, &requests);
	for (size_t i = 0; i < requests.status_count; i++) {
		char code[16] = "<error>"; /* as client-go has it */

		if (requests.statuses[i].status)
			snprintf(code, sizeof(code), "%ld", requests.statuses[i].status);
		labels[0] = 0;
		vigie_metrics_label(labels, sizeof(labels), "code", code);
		vigie_metrics_label(labels, sizeof(labels), "method", "GET");
		vigie_metrics_label(labels, sizeof(labels), "host", host);
		vigie_metrics_add(scrape->metrics, "coredns_kubernetes_rest_client_requests_total",
				  VIGIE_COUNTER, "Requests to the API server that have ended.", labels,
				  (double)requests.statuses[i].count);
	}
	labels[0] = 0;
	vigie_metrics_label(labels, sizeof(labels), "verb", "GET");
	vigie_metrics_label(labels, sizeof(labels), "host", host);
	add_durations(scrape, "coredns_kubernetes_rest_client_request_duration_seconds",
		      "Seconds that requests to the API server took.", labels, &requests.lists);
	add_durations(scrape, "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
		      "Seconds that requests to the API server waited for apiserver_qps.", labels,
		      &requests.limits);
}

static void add_state(const struct scrape *scrape, enum vigie_kind kind)
{
	struct vigie_watch_state state;
	uint64_t now = vigie_clock_ms();
	char labels[LABELS_MAX];

	vigie_watcher_state(scrape->kubernetes->watcher, kind, &state);
	label(scrape, "kind", vigie_kind_text(kind), labels);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_synced", VIGIE_GAUGE_LEAST,
			  "1 when the kind has been listed whole once.", labels, state.synced);
	if (state.last_seen_ms)
		vigie_metrics_add(scrape->metrics, "vigie_kubernetes_watch_age_seconds", VIGIE_GAUGE_GREATEST,
				  "Time since the API server last said anything about the kind.", labels,
				  (double)(now - state.last_seen_ms) / 1000);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_trouble", VIGIE_GAUGE_GREATEST,
			  "1 while the kind cannot be watched.", labels, state.trouble[0] != 0);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_lists_total", VIGIE_COUNTER,
			  "Pages of lists, and streams of initial events, that were asked for.", labels,
			  (double)state.lists);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_watches_total", VIGIE_COUNTER,
			  "Watch streams that were asked for.", labels, (double)state.watches);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_objects_total", VIGIE_COUNTER,
			  "Objects received.", labels, (double)state.events);
	vigie_metrics_add(scrape->metrics, "vigie_kubernetes_bad_objects_total", VIGIE_COUNTER,
			  "Objects received that could not be taken.", labels, (double)state.bad_objects);
}

void kubernetes_metrics(void *instance, struct vigie_metrics *metrics)
{
	struct kubernetes *kubernetes = instance;
	struct scrape scrape = {.kubernetes = kubernetes, .metrics = metrics};

	if (!kubernetes->records || !kubernetes_speaks(kubernetes))
		return;
	vigie_name_to_text(kubernetes->zones.names[kubernetes->view.primary].bytes, scrape.zone);
	add_records(&scrape);
	add_programming(&scrape);
	if (!kubernetes->watcher)
		return;
	add_requests(&scrape);
	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		if (kubernetes->watch.kinds[kind])
			add_state(&scrape, (enum vigie_kind)kind);
	}
}
