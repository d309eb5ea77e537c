/* The metrics of `forward`: CoreDNS' names, and vigie's own for what CoreDNS has not. */
#include <stdio.h>

#include "forward.h"
#include "vigie/metrics.h"
#include "vigie/text.h"

enum { LABELS_MAX = 256 };

static const double bounds[VIGIE_FORWARD_BUCKETS - 1] = {
	0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
	0.064,   0.128,  0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
};

static void add_replies(struct vigie_metrics *metrics, const struct vigie_upstream_counts *member)
{
	for (uint16_t rcode = 0; rcode < VIGIE_FORWARD_RCODES; rcode++) {
		struct vigie_histogram histogram = {.bounds = bounds,
						    .bound_count = VIGIE_FORWARD_BUCKETS - 1,
						    .counts = member->replies[rcode],
						    .sum = (double)member->took_us[rcode] / 1e6};
		char labels[LABELS_MAX] = "";
		char text[VIGIE_TEXT_MAX];
		uint64_t sum = 0;

		for (size_t i = 0; i < VIGIE_FORWARD_BUCKETS; i++)
			sum += member->replies[rcode][i];
		if (sum == 0)
			continue;
		vigie_metrics_label(labels, sizeof(labels), "proxy_name", "forward");
		vigie_metrics_label(labels, sizeof(labels), "rcode",
				    rcode == VIGIE_FORWARD_RCODES - 1 ? "OTHER"
								      : vigie_rcode_text(rcode, text));
		vigie_metrics_label(labels, sizeof(labels), "to", member->text);
		vigie_metrics_add_histogram(metrics, "coredns_proxy_request_duration_seconds",
					    "Seconds until an upstream replied.", labels, &histogram);
	}
}

static void add_connections(struct vigie_metrics *metrics, const struct vigie_upstream_counts *member)
{
	static const char *const protocols[VIGIE_PROTOCOLS] = {"udp", "tcp", "tcp-tls", "https"};

	for (size_t i = 0; i < VIGIE_PROTOCOLS; i++) {
		char labels[LABELS_MAX] = "";

		if (member->sent[i] == 0)
			continue;
		vigie_metrics_label(labels, sizeof(labels), "proto", protocols[i]);
		vigie_metrics_label(labels, sizeof(labels), "proxy_name", "forward");
		vigie_metrics_label(labels, sizeof(labels), "to", member->text);
		vigie_metrics_add(metrics, "coredns_proxy_conn_cache_hits_total", VIGIE_COUNTER,
				  "Queries to an upstream by a connection that was open.", labels,
				  (double)member->reused[i]);
		vigie_metrics_add(metrics, "coredns_proxy_conn_cache_misses_total", VIGIE_COUNTER,
				  "Queries to an upstream that had a socket opened for them.", labels,
				  (double)(member->sent[i] - member->reused[i]));
		labels[0] = 0;
		vigie_metrics_label(labels, sizeof(labels), "proto", protocols[i]);
		vigie_metrics_label(labels, sizeof(labels), "to", member->text);
		vigie_metrics_add(metrics, "vigie_forward_queries_total", VIGIE_COUNTER,
				  "Queries sent to an upstream, retries and probes included.", labels,
				  (double)member->sent[i]);
	}
}

static void add_member(struct vigie_metrics *metrics, const struct vigie_upstream_counts *member)
{
	char labels[LABELS_MAX] = "";

	vigie_metrics_label(labels, sizeof(labels), "to", member->text);
	vigie_metrics_add(metrics, "vigie_forward_upstream_up", VIGIE_GAUGE_LEAST,
			  "Whether an upstream is asked: 0 while it only gets probes.", labels, member->up);
	vigie_metrics_add(metrics, "vigie_forward_rtt_seconds", VIGIE_GAUGE_GREATEST,
			  "Smoothed round-trip time of an upstream.", labels, member->srtt_us / 1e6);
	labels[0] = 0;
	vigie_metrics_label(labels, sizeof(labels), "proxy_name", "forward");
	vigie_metrics_label(labels, sizeof(labels), "to", member->text);
	vigie_metrics_add(metrics, "coredns_proxy_healthcheck_failures_total", VIGIE_COUNTER,
			  "Probes of an upstream that had no reply.", labels, (double)member->probes_failed);
	for (size_t i = 1; i < VIGIE_REPLY_FAULTS; i++) {
		labels[0] = 0;
		vigie_metrics_label(labels, sizeof(labels), "reason",
				    vigie_reply_fault_text((enum vigie_reply_fault)i));
		vigie_metrics_label(labels, sizeof(labels), "to", member->text);
		vigie_metrics_add(metrics, "vigie_forward_spurious_replies_total", VIGIE_COUNTER,
				  "Messages passed over because they are not the reply to what was asked.",
				  labels, (double)member->bad[i]);
	}
	add_connections(metrics, member);
	add_replies(metrics, member);
}

void forward_rule_metrics(const struct rule *rule, struct vigie_metrics *metrics)
{
	struct vigie_upstream_counts members[VIGIE_UPSTREAMS_MAX];
	struct vigie_group_counts counts;

	vigie_upstreams_count(rule->upstreams, &counts, members);
	for (size_t i = 0; i < counts.member_count; i++)
		add_member(metrics, &members[i]);
	vigie_metrics_add(metrics, "coredns_forward_healthcheck_broken_total", VIGIE_COUNTER,
			  "Questions that came while no upstream was up.", "", (double)counts.down);
	vigie_metrics_add(metrics, "coredns_forward_max_concurrent_rejects_total", VIGIE_COUNTER,
			  "Queries that were refused because max_concurrent others waited.", "",
			  (double)rule->rejected);
	vigie_metrics_add(metrics, "vigie_forward_scrubbed_replies_total", VIGIE_COUNTER,
			  "Replies of which records were left out: their owners were not asked for.", "",
			  (double)rule->scrubbed);
	vigie_metrics_add(metrics, "vigie_forward_inflight", VIGIE_GAUGE,
			  "Questions that upstreams are asked now; identical ones are one.", "",
			  (double)counts.under_way);
	vigie_metrics_add(metrics, "vigie_forward_waiting", VIGIE_GAUGE,
			  "Questions of clients that wait for upstreams now.", "", (double)counts.waiting);
}
