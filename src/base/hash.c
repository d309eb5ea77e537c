#include "vigie/hash.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

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

uint64_t vigie_hash_stable(const void *data, size_t length)
{
	uint8_t digest[crypto_generichash_BYTES_MIN];
	uint64_t hash;

	crypto_generichash(digest, sizeof(digest), data, length, NULL, 0);
	memcpy(&hash, digest, sizeof(hash));
	return hash;
}
