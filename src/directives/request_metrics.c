#include "request_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"
#include "vigie/keep.h"
#include "vigie/text.h"

enum {
	PROTOS = 2, /* udp, tcp: what the client came by, TLS included in tcp */
	FAMILIES = 2,
	RCODES = 25, /* 0 to 23 have names or may get them; the last is for all above */
	SIZES = 14,
	TIMES = 16,
	OPT_SIZE = 11, /* bytes of the OPT record that ends an answer to EDNS */
	LABELS_MAX = 512,
	KEY_MAX = 16 << 20 /* bytes of what says that two configurations count the same */
};

/* The types that have a series of their own (CoreDNS' choice); all others are "other". */
static const uint16_t types[] = {
	VIGIE_TYPE_A,     VIGIE_TYPE_AAAA, VIGIE_TYPE_NS,   VIGIE_TYPE_CNAME, VIGIE_TYPE_SOA,
	VIGIE_TYPE_PTR,   VIGIE_TYPE_MX,   VIGIE_TYPE_TXT,  VIGIE_TYPE_SRV,   VIGIE_TYPE_SVCB,
	VIGIE_TYPE_HTTPS, VIGIE_TYPE_ANY,  VIGIE_TYPE_AXFR, VIGIE_TYPE_IXFR,  43 /* DS */,
	46 /* RRSIG */,   47 /* NSEC */,   48 /* DNSKEY */, 50 /* NSEC3 */,
};

enum { NAMED_TYPES = sizeof(types) / sizeof(*types), TYPES = NAMED_TYPES + 1 };

static const uint32_t size_bounds[SIZES] = {0,    100,  200,  300,   400,   511,   1023,
					    2047, 4095, 8291, 16000, 32000, 48000, 64000};
static const double time_bounds[TIMES] = {0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
					  0.064,   0.128,  0.256, 0.512, 1.024, 2.048, 4.096, 8.192};

struct sizes {
	uint64_t counts[SIZES + 1];
	uint64_t sum;
};

/* One worker's counters of one listener and zone. The batch's answers that were there at once share their
 * duration, which is known at its end. */
struct cell {
	struct vigie_deferred deferred; /* first: it is the cell */
	uint64_t batch;                 /* requests that wait for the batch's end */
	uint64_t requests[PROTOS][FAMILIES][TYPES];
	uint64_t do_requests;
	uint64_t times[TIMES + 1];
	uint64_t times_sum_us;
	struct sizes request_sizes[PROTOS];
	struct sizes response_sizes[PROTOS];
	uint64_t responses[]; /* [RCODES][links] */
};

/* Everything in it is its own: it outlives the configuration that it was made for, when the next one serves
 * the same in the same places, so that a reload does not set counters back. */
struct request_metrics {
	size_t workers;
	struct vigie_server_name *servers;
	size_t server_count;
	struct vigie_name *zones;
	size_t zone_count;
	char *view;
	const char **chain; /* names of directives: static storage */
	size_t links;       /* of the chain, and one more for "none" */
	struct place *places;
	size_t place_count;
	struct cell **cells; /* [worker][server][zone]; NULL until the first request */
};

/* Where the block is served. */
struct place {
	size_t server;
	size_t zone;
};

static size_t cell_count(const struct request_metrics *metrics)
{
	return metrics->workers * metrics->server_count * metrics->zone_count;
}

static void metrics_free(void *object)
{
	struct request_metrics *metrics = object;

	for (size_t i = 0; metrics->cells && i < cell_count(metrics); i++)
		free(metrics->cells[i]);
	free(metrics->cells);
	free(metrics->servers);
	free(metrics->zones);
	free(metrics->view);
	free(metrics->chain);
	free(metrics->places);
	free(metrics);
}

static struct request_metrics *metrics_new(const struct vigie_block *block)
{
	const struct vigie_server_block *source = block->source;
	struct request_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->workers = block->process->workers;
	metrics->server_count = block->process->server_count;
	metrics->zone_count = source->key_count;
	metrics->links = block->chain_count + 1;
	metrics->place_count = block->place_count;
	metrics->servers = calloc(metrics->server_count, sizeof(*metrics->servers));
	metrics->view = strdup(block->view);
	metrics->zones = calloc(metrics->zone_count, sizeof(*metrics->zones));
	metrics->chain = calloc(metrics->links, sizeof(*metrics->chain));
	metrics->places = calloc(metrics->place_count, sizeof(*metrics->places));
	metrics->cells = calloc(cell_count(metrics), sizeof(*metrics->cells));
	if (!metrics->view || !metrics->servers || !metrics->zones || !metrics->chain || !metrics->places ||
	    !metrics->cells) {
		metrics_free(metrics);
		return NULL;
	}
	for (size_t i = 0; i < metrics->server_count; i++)
		metrics->servers[i] = *block->process->servers[i];
	for (size_t i = 0; i < metrics->zone_count; i++)
		metrics->zones[i] = source->keys[i].zone;
	for (size_t i = 0; i < block->chain_count; i++)
		metrics->chain[i] = block->chain[i];
	for (size_t i = 0; i < metrics->place_count; i++)
		metrics->places[i] = (struct place){
			.server = block->places[i].server->number,
			.zone = (size_t)(block->places[i].key - source->keys),
		};
	return metrics;
}

static enum vigie_status append(struct vigie_buffer *key, const char *text)
{
	enum vigie_status status = vigie_buffer_append(key, text, strlen(text));

	return status ? status : vigie_buffer_append(key, "\n", 1);
}

/* All that must be the same for two configurations to share their counters: listeners, places and chain. */
static enum vigie_status make_key(const struct vigie_block *block, struct vigie_buffer *key)
{
	enum vigie_status status = append(key, block->view);
	char text[VIGIE_NAME_TEXT_MAX];

	for (size_t i = 0; i < block->process->server_count && !status; i++)
		status = append(key, block->process->servers[i]->text);
	for (size_t i = 0; i < block->place_count && !status; i++) {
		status = append(key, block->places[i].server->text);
		if (!status)
			status = append(key, vigie_name_to_text(block->places[i].key->zone.bytes, text));
	}
	for (size_t i = 0; i < block->chain_count && !status; i++)
		status = append(key, block->chain[i]);
	return status ? status : vigie_buffer_append(key, "", 1);
}

struct request_metrics *request_metrics_acquire(const struct vigie_block *block)
{
	struct vigie_keep *keep = block->process->keep;
	struct request_metrics *metrics = NULL;
	struct vigie_buffer key;

	vigie_buffer_init(&key, KEY_MAX);
	if (make_key(block, &key))
		goto done;
	metrics = vigie_keep_get(keep, "prometheus", (const char *)key.data);
	if (metrics)
		goto done;
	metrics = metrics_new(block);
	if (metrics && vigie_keep_put(keep, "prometheus", (const char *)key.data, metrics, metrics_free)) {
		metrics_free(metrics);
		metrics = NULL;
	}

done:
	vigie_buffer_fini(&key);
	return metrics;
}

/* Which of the block's zones a name is in: the longest. */
static size_t find_zone(const struct request_metrics *metrics, const struct vigie_name *name)
{
	const struct vigie_name *zones = metrics->zones;
	size_t best = 0;

	for (size_t k = 1; k < metrics->zone_count; k++) {
		if (vigie_name_is_below(name, &zones[k]) &&
		    (!vigie_name_is_below(name, &zones[best]) || zones[k].labels > zones[best].labels))
			best = k;
	}
	return best;
}

/* Other threads read what only this one writes: a plain addition whose store is whole. */
static void add(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static uint64_t read_counter(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void observe_time(struct cell *cell, uint64_t us, uint64_t times)
{
	double seconds = (double)us / 1e6;
	size_t at = 0;

	while (at < TIMES && seconds > time_bounds[at])
		at++;
	add(&cell->times[at], times);
	add(&cell->times_sum_us, us * times);
}

static void on_batch_end(struct vigie_deferred *deferred, uint64_t began_us, uint64_t now_us)
{
	struct cell *cell = (struct cell *)deferred;

	observe_time(cell, now_us - began_us, cell->batch);
	cell->batch = 0;
}

static void observe_size(struct sizes *sizes, size_t bytes)
{
	size_t at = 0;

	while (at < SIZES && bytes > size_bounds[at])
		at++;
	add(&sizes->counts[at], 1);
	add(&sizes->sum, bytes);
}

static struct cell *get_cell(struct request_metrics *metrics, const struct vigie_request *request)
{
	size_t at = (request->worker->index * metrics->server_count + request->server->number) *
			    metrics->zone_count +
		    find_zone(metrics, &request->query->name);
	struct cell *cell = metrics->cells[at];

	if (cell)
		return cell;
	cell = calloc(1, sizeof(*cell) + RCODES * metrics->links * sizeof(uint64_t));
	if (!cell)
		return NULL;
	cell->deferred.run = on_batch_end;
	__atomic_store_n(&metrics->cells[at], cell, __ATOMIC_RELEASE);
	return cell;
}

static size_t find_type(uint16_t type)
{
	size_t at = 0;

	while (at < NAMED_TYPES && types[at] != type)
		at++;
	return at;
}

void request_metrics_count(struct request_metrics *metrics, struct vigie_request *request)
{
	const struct vigie_query *query = request->query;
	const struct vigie_answer *answer = request->answer;
	struct cell *cell = get_cell(metrics, request);
	size_t proto = request->channel == VIGIE_CHANNEL_UDP ? 0 : 1;
	size_t family = request->client->sa_family == AF_INET ? 0 : 1;
	size_t rcode = answer->rcode < RCODES ? answer->rcode : RCODES - 1;
	size_t link = request->link < metrics->links ? request->link : metrics->links - 1;

	if (!cell)
		return;
	add(&cell->requests[proto][family][find_type(query->type)], 1);
	if (query->edns_do)
		add(&cell->do_requests, 1);
	observe_size(&cell->request_sizes[proto], query->packet_length);
	observe_size(&cell->response_sizes[proto], answer->length + (query->edns ? OPT_SIZE : 0));
	add(&cell->responses[rcode * metrics->links + link], 1);
	if (request->began_us != request->worker->now_us) {
		observe_time(cell, request->worker->now_us - request->began_us, 1); /* it was suspended */
		return;
	}
	cell->batch++;
	vigie_worker_defer(request->worker, &cell->deferred);
}

/* The labels that all families of a listener and zone begin with. */
static void place_labels(const struct request_metrics *metrics, size_t server, size_t zone, char *labels)
{
	char text[VIGIE_NAME_TEXT_MAX];

	labels[0] = 0;
	vigie_metrics_label(labels, LABELS_MAX, "server", metrics->servers[server].text);
	vigie_metrics_label(labels, LABELS_MAX, "zone", vigie_name_to_text(metrics->zones[zone].bytes, text));
	vigie_metrics_label(labels, LABELS_MAX, "view", metrics->view);
}

static void add_requests(struct vigie_metrics *scrape, const struct cell *cell, const char *place,
			 size_t proto)
{
	static const char *const families[FAMILIES] = {"1", "2"};

	for (size_t family = 0; family < FAMILIES; family++) {
		for (size_t type = 0; type < TYPES; type++) {
			uint64_t count = read_counter(&cell->requests[proto][family][type]);
			char labels[LABELS_MAX];
			char text[VIGIE_TEXT_MAX];

			if (count == 0)
				continue;
			strcpy(labels, place);
			vigie_metrics_label(labels, sizeof(labels), "proto", proto == 0 ? "udp" : "tcp");
			vigie_metrics_label(labels, sizeof(labels), "family", families[family]);
			vigie_metrics_label(labels, sizeof(labels), "type",
					    type < NAMED_TYPES ? vigie_type_text(types[type], text)
							       : "other");
			vigie_metrics_add(scrape, "coredns_dns_requests_total", VIGIE_COUNTER,
					  "Requests that came.", labels, (double)count);
		}
	}
}

static void add_sizes(struct vigie_metrics *scrape, const char *name, const char *help,
		      const struct sizes *sizes, const char *place, size_t proto)
{
	uint64_t counts[SIZES + 1];
	double bounds[SIZES];
	struct vigie_histogram histogram = {.bounds = bounds, .bound_count = SIZES, .counts = counts};
	char labels[LABELS_MAX];
	uint64_t total = 0;

	for (size_t i = 0; i < SIZES; i++)
		bounds[i] = size_bounds[i];
	for (size_t i = 0; i <= SIZES; i++)
		total += counts[i] = read_counter(&sizes->counts[i]);
	if (total == 0)
		return;
	histogram.sum = (double)read_counter(&sizes->sum);
	strcpy(labels, place);
	vigie_metrics_label(labels, sizeof(labels), "proto", proto == 0 ? "udp" : "tcp");
	vigie_metrics_add_histogram(scrape, name, help, labels, &histogram);
}

static void add_times(struct vigie_metrics *scrape, const struct cell *cell, const char *place)
{
	uint64_t counts[TIMES + 1];
	struct vigie_histogram histogram = {.bounds = time_bounds, .bound_count = TIMES, .counts = counts};

	for (size_t i = 0; i <= TIMES; i++)
		counts[i] = read_counter(&cell->times[i]);
	histogram.sum = (double)read_counter(&cell->times_sum_us) / 1e6;
	vigie_metrics_add_histogram(scrape, "coredns_dns_request_duration_seconds",
				    "Seconds from a request to its answer.", place, &histogram);
}

static void add_responses(struct vigie_metrics *scrape, const struct request_metrics *metrics,
			  const struct cell *cell, const char *place)
{
	for (size_t i = 0; i < RCODES * metrics->links; i++) {
		uint64_t count = read_counter(&cell->responses[i]);
		size_t rcode = i / metrics->links;
		size_t link = i % metrics->links;
		char labels[LABELS_MAX];
		char text[VIGIE_TEXT_MAX];

		if (count == 0)
			continue;
		strcpy(labels, place);
		vigie_metrics_label(labels, sizeof(labels), "rcode",
				    rcode < RCODES - 1 ? vigie_rcode_text((uint16_t)rcode, text) : "other");
		vigie_metrics_label(labels, sizeof(labels), "plugin",
				    link < metrics->links - 1 ? metrics->chain[link] : "");
		vigie_metrics_add(scrape, "coredns_dns_responses_total", VIGIE_COUNTER,
				  "Responses by their rcode and the directive that gave them.", labels,
				  (double)count);
	}
}

static void add_cell(struct vigie_metrics *scrape, const struct request_metrics *metrics,
		     const struct cell *cell, const char *place)
{
	for (size_t proto = 0; proto < PROTOS; proto++) {
		add_requests(scrape, cell, place, proto);
		add_sizes(scrape, "coredns_dns_request_size_bytes", "Bytes of requests.",
			  &cell->request_sizes[proto], place, proto);
		add_sizes(scrape, "coredns_dns_response_size_bytes", "Bytes of responses.",
			  &cell->response_sizes[proto], place, proto);
	}
	add_times(scrape, cell, place);
	vigie_metrics_add(scrape, "coredns_dns_do_requests_total", VIGIE_COUNTER, "Requests with the DO bit.",
			  place, (double)read_counter(&cell->do_requests));
	add_responses(scrape, metrics, cell, place);
}

static void add_directives(struct vigie_metrics *scrape, const struct request_metrics *metrics,
			   const char *place)
{
	for (size_t i = 0; i + 1 < metrics->links; i++) {
		char labels[LABELS_MAX];

		strcpy(labels, place);
		vigie_metrics_label(labels, sizeof(labels), "name", metrics->chain[i]);
		vigie_metrics_add(scrape, "coredns_plugin_enabled", VIGIE_GAUGE,
				  "Always 1; a directive that takes part in answering.", labels, 1);
	}
}

void request_metrics_add(const struct request_metrics *metrics, struct vigie_metrics *scrape)
{
	for (size_t i = 0; i < metrics->place_count; i++) {
		char place[LABELS_MAX];

		place_labels(metrics, metrics->places[i].server, metrics->places[i].zone, place);
		add_directives(scrape, metrics, place);
	}
	for (size_t i = 0; i < cell_count(metrics); i++) {
		const struct cell *cell = __atomic_load_n(&metrics->cells[i], __ATOMIC_ACQUIRE);
		char place[LABELS_MAX];

		if (!cell)
			continue;
		place_labels(metrics, i / metrics->zone_count % metrics->server_count,
			     i % metrics->zone_count, place);
		add_cell(scrape, metrics, cell, place);
	}
}
