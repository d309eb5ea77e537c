/* How much memory the cache may take when nobody says. */
#include <inttypes.h>
#include <stdio.h>

#include "vigie/cache.h"

enum {
	DEFAULT_MIN = 4 << 20,
	DEFAULT_MAX = 64 << 20, /* some 300,000 answers */
	PART = 4                /* a quarter of the limit */
};

/* The number in a file; UINT64_MAX when there is none ("max"). */
static uint64_t read_limit(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t limit = UINT64_MAX;

	if (!file)
		return UINT64_MAX;
	if (fscanf(file, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	fclose(file);
	return limit;
}

size_t vigie_cache_default_budget(void)
{
	uint64_t limit = read_limit("/sys/fs/cgroup/memory.max"); /* version 2 */
	uint64_t budget;

	if (limit == UINT64_MAX)
		limit = read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");
	budget = limit / PART;
	if (budget < DEFAULT_MIN)
		return DEFAULT_MIN;
	return budget > DEFAULT_MAX ? DEFAULT_MAX : (size_t)budget;
}
