#include "vigie/hash.h"

#include <stdbool.h>

#include "vigie/random.h"

uint64_t vigie_hash_key[2];

void vigie_hash_init(void)
{
	static bool done;
	uint8_t key[16];

	if (done)
		return;
	vigie_random_bytes(key, sizeof(key));
	vigie_hash_key[0] = vigie_sip_read(key);
	vigie_hash_key[1] = vigie_sip_read(key + 8);
	done = true;
}
