#include "vigie/hash.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "vigie/random.h"

struct vigie_sip vigie_hash_start;

void vigie_hash_init(void)
{
	static bool done;
	uint8_t key[16];

	if (done)
		return;
	vigie_random_bytes(key, sizeof(key));
	vigie_hash_start = (struct vigie_sip){
		.a = vigie_sip_read(key) ^ 0x736f6d6570736575,
		.b = vigie_sip_read(key + 8) ^ 0x646f72616e646f6d,
		.c = vigie_sip_read(key) ^ 0x6c7967656e657261,
		.d = vigie_sip_read(key + 8) ^ 0x7465646279746573,
	};
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
