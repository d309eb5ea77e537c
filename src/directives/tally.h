/* Counters of one directive's instance. Each worker has a row of its own, which it alone writes and makes
 * when it first counts; rows are summed when somebody looks. */
#ifndef VIGIE_DIRECTIVES_TALLY_H
#define VIGIE_DIRECTIVES_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/directive.h"

struct tally {
	size_t width;                      /* counters of a row */
	uint64_t *rows[VIGIE_WORKERS_MAX]; /* atomic pointers; owned */
};

/* NULL when memory is out. */
struct tally *tally_new(size_t width);
void tally_free(struct tally *tally);

/* Counts one up in the request's worker. A row that there is no memory for stays at zero. */
void tally_count(struct tally *tally, const struct vigie_request *request, size_t which);

/* The sum of all workers, without a promise of the last few. Any thread. */
uint64_t tally_sum(const struct tally *tally, size_t which);

#endif
