/* Any bytes as a cache file. When the first is odd, the others stand where the answers do, in a file whose
 * header and sum are right: else no input would come that far. What is loaded must answer its question. */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "vigie/cache.h"
#include "vigie/clock.h"
#include "vigie/hash.h"
#include "vigie/state_file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUNS = 256 };

static struct vigie_cache *cache;
static struct vigie_cache_part *part;

static void require(bool condition)
{
	if (!condition)
		abort();
}

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

static void put(int file, const void *bytes, size_t length)
{
	require(write(file, bytes, length) == (ssize_t)length);
}

static void put_whole(int file, const uint8_t *data, size_t size)
{
	static const uint8_t header[VIGIE_STATE_HEADER] = "vigiecch\0\0\0\1";
	crypto_generichash_state state;
	uint8_t sum[VIGIE_STATE_SUM];

	crypto_generichash_init(&state, NULL, 0, sizeof(sum));
	crypto_generichash_update(&state, header, sizeof(header));
	crypto_generichash_update(&state, data, size);
	crypto_generichash_final(&state, sum, sizeof(sum));
	put(file, header, sizeof(header));
	put(file, data, size);
	put(file, sum, sizeof(sum));
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
	int file = memfd_create("cache", 0);
	struct vigie_error error = {""};
	size_t cursor = 0;
	size_t count;
	char path[64];

	if (runs++ % RUNS == 0)
		renew();
	require(file >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (size > 0 && data[0] % 2)
		put_whole(file, data + 1, size - 1);
	else if (size > 0)
		put(file, data + 1, size - 1);
	if (vigie_cache_load(cache, path, &count, &error))
		require(strstr(error.text, "is not used: ") != NULL);
	while (count > 0 && vigie_cache_walk(cache, &cursor, ask, NULL))
		;
	close(file);
	rcu_quiescent_state();
	return 0;
}
