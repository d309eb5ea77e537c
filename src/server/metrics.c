/* What the server itself counts, for /metrics and for the log at the end. */
#include "metrics.h"

#include <stdio.h>
#include <string.h>

#include "vigie/log.h"

static void add_counters(struct counters *sum, const struct counters *more)
{
	const uint64_t *from = (const uint64_t *)more;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void counters_sum(struct counters *sum, struct worker *const *workers, unsigned count)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned w = 0; w < count; w++)
		add_counters(sum, &workers[w]->counters);
}

static void add_turns(struct vigie_metrics *metrics, const struct worker *worker)
{
	uint64_t counts[TURN_BOUNDS + 1];
	struct vigie_histogram histogram = {
		.bounds = turn_bounds, .bound_count = TURN_BOUNDS, .counts = counts};
	char labels[32];

	for (size_t i = 0; i <= TURN_BOUNDS; i++)
		counts[i] = __atomic_load_n(&worker->turns.counts[i], __ATOMIC_RELAXED);
	histogram.sum = (double)__atomic_load_n(&worker->turns.sum_us, __ATOMIC_RELAXED) / 1e6;
	snprintf(labels, sizeof(labels), "worker=\"%u\"", worker->base.index);
	vigie_metrics_add_histogram(
		metrics, "vigie_loop_stall_seconds",
		"How long one callback held a worker's loop: what a packet waits that comes "
		"meanwhile.",
		labels, &histogram);
}

static void add_one(struct vigie_metrics *metrics, const char *name, const char *help, const char *labels,
		    uint64_t value)
{
	vigie_metrics_add(metrics, name, VIGIE_COUNTER, help, labels, (double)value);
}

static void add_worker(struct vigie_metrics *metrics, struct worker *worker)
{
	static const char queries[] = "Queries that passed the gate, by transport.";
	static const char refused[] = "Packets that the gate turned away, by reason.";
	static const char shed[] = "Queries by UDP that an overflowing socket was relieved of, by reason.";
	static const char closed[] = "TCP connections that the server closed, by reason.";
	struct counters c;
	char labels[64];

	counters_sum(&c, &worker, 1);
	for (int gate = VIGIE_GATE_OK + 1; gate < VIGIE_GATES; gate++) {
		labels[0] = 0;
		vigie_metrics_label(labels, sizeof(labels), "reason", vigie_gate_text((enum vigie_gate)gate));
		add_one(metrics, "vigie_packets_refused_total", refused, labels, c.refused[gate]);
	}
	add_one(metrics, "vigie_queries_total", queries, "proto=\"udp\"", c.queries[VIGIE_CHANNEL_UDP]);
	add_one(metrics, "vigie_queries_total", queries, "proto=\"tcp\"", c.queries[VIGIE_CHANNEL_TCP]);
	add_one(metrics, "vigie_queries_unserved_total", "Queries for names that no server block serves.", "",
		c.unserved);
	add_one(metrics, "vigie_queries_dropped_total", "Queries that a directive left without an answer.",
		"", c.dropped);
	add_one(metrics, "vigie_udp_answers_unsent_total", "Answers by UDP that the kernel did not take.", "",
		c.udp_unsent);
	add_one(metrics, "vigie_udp_queries_shed_total", shed, "reason=\"stale\"", c.udp_stale);
	add_one(metrics, "vigie_udp_queries_shed_total", shed, "reason=\"unfair\"", c.udp_unfair);
	add_one(metrics, "vigie_udp_queries_shed_total", shed, "reason=\"unread\"", c.udp_unread);
	add_one(metrics, "vigie_forward_refused_total",
		"Questions that were not asked upstream since too many were under way.", "",
		c.refused_upstream);
	add_one(metrics, "vigie_tcp_connections_accepted_total", "TCP connections taken.", "",
		c.tcp_accepted);
	add_one(metrics, "vigie_tcp_connections_closed_total", closed, "reason=\"rejected\"", c.tcp_rejected);
	add_one(metrics, "vigie_tcp_connections_closed_total", closed, "reason=\"evicted\"", c.tcp_evicted);
	add_one(metrics, "vigie_tcp_connections_closed_total", closed, "reason=\"idle\"", c.tcp_idle);
	add_one(metrics, "vigie_tcp_connections_closed_total", closed, "reason=\"slow\"", c.tcp_slow);
	vigie_metrics_add(metrics, "vigie_tcp_connections", VIGIE_GAUGE, "TCP connections that are open.", "",
			  (double)__atomic_load_n(&worker->connection_count, __ATOMIC_RELAXED));
	vigie_metrics_add(metrics, "vigie_queries_suspended", VIGIE_GAUGE,
			  "Queries that wait for an upstream or a look-up.", "",
			  (double)__atomic_load_n(&worker->suspended, __ATOMIC_RELAXED));
	add_turns(metrics, worker);
}

void server_add_metrics(struct vigie_metrics *metrics, struct worker *const *workers, unsigned count)
{
	for (unsigned w = 0; w < count; w++)
		add_worker(metrics, workers[w]);
	add_one(metrics, "vigie_log_lines_lost_total",
		"Log lines that standard output did not take, or not in time.", "", vigie_log_lost());
	vigie_metrics_add(metrics, "vigie_workers", VIGIE_GAUGE, "Worker threads.", "", count);
}
