#include "tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The position of the highest bit, then the six bits behind it. */
static size_t bucket_of(uint64_t ns)
{
	unsigned top;

	if (ns < TALLY_STEPS)
		return (size_t)ns;
	top = 63U - (unsigned)__builtin_clzll(ns);
	return (top - 5) * TALLY_STEPS + ((ns >> (top - 6)) & (TALLY_STEPS - 1));
}

static double bucket_us(size_t bucket)
{
	if (bucket < TALLY_STEPS)
		return (double)bucket / 1000;
	return (double)((TALLY_STEPS + bucket % TALLY_STEPS) << (bucket / TALLY_STEPS - 1)) / 1000;
}

void tally_latency(struct tally *tally, uint64_t ns)
{
	tally->latency[bucket_of(ns)]++;
	tally->slow += tally->slow_ns > 0 && ns > tally->slow_ns;
	if (ns > tally->longest_ns)
		tally->longest_ns = ns;
}

static double percentile(const struct tally *tally, double part)
{
	double sum = 0;

	for (size_t i = 0; i < TALLY_BUCKETS; i++) {
		sum += (double)tally->latency[i];
		if (tally->latency[i] > 0 && sum >= (double)tally->answered * part)
			return bucket_us(i);
	}
	return 0;
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void tally_print(const struct tally *tally, double seconds)
{
	struct rusage usage;
	double answered = tally->answered ? (double)tally->answered : 1;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"asked\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", \"late\": %" PRIu64
	       ", \"seconds\": %.3f, \"qps\": %.0f, \"generator_cpu_us\": %.3f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"longest_us\": %.1f, \"slow\": "
	       "%" PRIu64 ", \"gaps\": %" PRIu64 ", \"longest_gap_us\": %.1f}\n",
	       tally->asked, tally->answered, tally->wrong, tally->lost, tally->late, seconds,
	       (double)tally->answered / seconds,
	       (seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)) * 1e6 / answered,
	       percentile(tally, 0.5), percentile(tally, 0.99), percentile(tally, 0.999),
	       (double)tally->longest_ns / 1000, tally->slow, tally->gaps,
	       (double)tally->longest_gap_ns / 1000);
}
