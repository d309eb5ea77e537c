/* Any bytes as a cache file. What is loaded must answer its question. */
#include <urcu-qsbr.h>

#include "state_input.h"
#include "vigie/cache.h"
#include "vigie/clock.h"
#include "vigie/hash.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUNS = 256 };

static struct vigie_cache *cache;
static struct vigie_cache_part *part;

static int64_t wall(void)
{
	return 1000;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	vigie_hash_init();
	vigie_clock_set(NULL, wall);
	rcu_register_thread();
	return 0;
}

static void renew(void)
{
	if (cache) {
		vigie_cache_part_release(cache, part);
		vigie_cache_free(cache);
	}
	cache = vigie_cache_new(VIGIE_CACHE_BUDGET_MIN);
	require(cache);
	part = vigie_cache_part_acquire(cache, 0); /* an id that a fuzzer finds */
	require(part);
}

/* What is held answers its own question. */
static bool ask(void *argument, const struct vigie_cached *cached)
{
	uint8_t packet[512];
	uint8_t buffer[VIGIE_UDP_SIZE_EDNS];
	struct vigie_query query;
	struct vigie_answer answer;
	size_t length = vigie_cached_question(cached, packet, sizeof(packet));

	require(length > 0 && vigie_query_parse(&query, packet, length) == VIGIE_GATE_OK);
	require(vigie_cache_find(cache, part, &query) == cached);
	vigie_answer_begin(&answer, &query, buffer, sizeof(buffer));
	vigie_cached_write(cached, &answer, 1, 0, 60);
	require(vigie_answer_end(&answer) <= sizeof(buffer));
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	struct vigie_error error = {""};
	size_t cursor = 0;
	size_t count;
	char path[STATE_PATH_MAX];
	int file;

	if (runs++ % RUNS == 0)
		renew();
	file = state_input("vigiecch\0\0\0\1", 0, data, size, path);
	if (vigie_cache_load(cache, path, &count, &error))
		require(strstr(error.text, "is not used: ") != NULL);
	while (count > 0 && vigie_cache_walk(cache, &cursor, ask, NULL))
		;
	close(file);
	rcu_quiescent_state();
	return 0;
}
