#include "vigie/hash.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "vigie/random.h"

/* SipHash-2-4: libsodium has no 1-3. What the extra rounds cost is measured with the hot path. */
static uint8_t key[crypto_shorthash_siphash24_KEYBYTES];

void vigie_hash_init(void)
{
	static bool done;

	if (done)
		return;
	vigie_random_bytes(key, sizeof(key));
	done = true;
}

uint64_t vigie_hash(const void *data, size_t length)
{
	uint64_t hash;

	crypto_shorthash_siphash24((uint8_t *)&hash, data, length, key);
	return hash;
}

uint64_t vigie_hash_stable(const void *data, size_t length)
{
	uint8_t digest[crypto_generichash_BYTES_MIN];
	uint64_t hash;

	crypto_generichash(digest, sizeof(digest), data, length, NULL, 0);
	memcpy(&hash, digest, sizeof(hash));
	return hash;
}
