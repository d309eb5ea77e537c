/* What a run counted, and how long answers took. */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum {
	TALLY_STEPS = 64, /* buckets for each doubling of the latency: steps of at most 1/64 of it */
	TALLY_BUCKETS = 64 * TALLY_STEPS,
	TALLY_GAP_NS = 5000000 /* its loop does nothing that takes so long */
};

struct tally {
	uint64_t asked;
	uint64_t answered; /* in time, right or wrong */
	uint64_t wrong;    /* answered, but not as expected */
	uint64_t lost;     /* no answer in time */
	uint64_t late;     /* answers to queries given up, or never asked */
	uint64_t slow_ns;  /* what takes longer is slow; 0: nothing is */
	uint64_t slow;
	uint64_t longest_ns;
	uint64_t gaps; /* in which the generator itself stood still for longer than TALLY_GAP_NS */
	uint64_t longest_gap_ns;
	uint64_t latency[TALLY_BUCKETS];
};

uint64_t now_ns(void);

void tally_latency(struct tally *tally, uint64_t ns);

/* Prints one line of JSON: the counts, queries a second, CPU time of this process for each answer, latencies.
 */
void tally_print(const struct tally *tally, double seconds);

#endif
