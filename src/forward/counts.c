/* What is counted of upstreams, for metrics. */
#include <string.h>

#include "upstream.h"

static void count_one(struct upstream *upstream, struct vigie_upstream_counts *counts)
{
	memcpy(counts->text, upstream->target.text, sizeof(counts->text));
	counts->up = !upstream->health.open;
	counts->srtt_us = upstream->health.srtt_us;
	counts->probes_failed = upstream->counters.probes_failed;
	for (size_t i = 0; i < VIGIE_PROTOCOLS; i++) {
		counts->sent[i] = upstream->counters.sent[i];
		counts->reused[i] = upstream->counters.reused[i];
	}
	for (size_t i = 0; i < VIGIE_REPLY_FAULTS; i++)
		counts->bad[i] = upstream->counters.bad[i];
	for (size_t i = 0; i < VIGIE_FORWARD_RCODES; i++) {
		counts->took_us[i] = upstream->counters.took_us[i];
		for (size_t k = 0; k < VIGIE_FORWARD_BUCKETS; k++)
			counts->replies[i][k] = upstream->counters.replies[i][k];
	}
}

void vigie_upstreams_count(struct vigie_upstreams *group, struct vigie_group_counts *counts,
			   struct vigie_upstream_counts *members)
{
	struct upstream_set *set = upstream_set_get(group);

	*counts = (struct vigie_group_counts){
		.under_way = group->under_way,
		.waiting = group->waiting,
		.down = group->down,
		.member_count = set ? set->count : 0,
	};
	for (size_t i = 0; i < counts->member_count; i++)
		count_one(set->list[i], &members[i]);
	upstream_set_release(set);
}

void upstream_count_reply(struct upstream *upstream, uint16_t rcode, uint64_t took_us)
{
	size_t row = rcode < VIGIE_FORWARD_RCODES - 1 ? rcode : VIGIE_FORWARD_RCODES - 1;
	size_t bucket = 0;

	while (bucket < VIGIE_FORWARD_BUCKETS - 1 && took_us > (uint64_t)VIGIE_FORWARD_BUCKET_US << bucket)
		bucket++;
	atomic_fetch_add_explicit(&upstream->counters.replies[row][bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&upstream->counters.took_us[row], took_us, memory_order_relaxed);
}
