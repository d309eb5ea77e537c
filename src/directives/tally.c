#include "tally.h"

#include <stdlib.h>
#include <string.h>

enum {
	LINE = 64 /* bytes of a cache line: no two workers write the same one */
};

struct tally *tally_new(size_t width)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (tally)
		tally->width = width;
	return tally;
}

void tally_free(struct tally *tally)
{
	for (size_t i = 0; tally && i < VIGIE_WORKERS_MAX; i++)
		free(tally->rows[i]);
	free(tally);
}

static uint64_t *make_row(struct tally *tally, unsigned worker)
{
	size_t size = (tally->width * sizeof(uint64_t) + LINE - 1) / LINE * LINE;
	uint64_t *row = aligned_alloc(LINE, size);

	if (!row)
		return NULL;
	memset(row, 0, size);
	__atomic_store_n(&tally->rows[worker], row, __ATOMIC_RELEASE);
	return row;
}

void tally_count(struct tally *tally, const struct vigie_request *request, size_t which)
{
	unsigned worker = request->worker->index;
	uint64_t *row = tally->rows[worker];

	if (!row)
		row = make_row(tally, worker);
	if (row)
		__atomic_store_n(&row[which], row[which] + 1, __ATOMIC_RELAXED);
}

uint64_t tally_sum(const struct tally *tally, size_t which)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < VIGIE_WORKERS_MAX; i++) {
		const uint64_t *row = __atomic_load_n(&tally->rows[i], __ATOMIC_ACQUIRE);

		if (row)
			sum += __atomic_load_n(&row[which], __ATOMIC_RELAXED);
	}
	return sum;
}
