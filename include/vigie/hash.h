/* The keyed hash of every table that an outsider can reach: SipHash-1-3 (Aumasson and Bernstein 2012) under a
 * key drawn at start. Without the key nobody can choose names that collide.
 *
 * It stands here because it must be inlined: a call into a library is more than the hash of a short name, and
 * none that Debian has in C has 1-3 (libsodium: 2-4; libhighwayhash is C++). docs/performance.md has the
 * figures. */
#ifndef VIGIE_HASH_H
#define VIGIE_HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Draws the process' key. Call once, before any thread starts; a second call does nothing. */
void vigie_hash_init(void);

struct vigie_sip {
	uint64_t a, b, c, d;
};

extern struct vigie_sip vigie_hash_start; /* what the key makes of the constants: where every hash begins */

static inline uint64_t vigie_sip_turn(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void vigie_sip_round(struct vigie_sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = vigie_sip_turn(s->b, 13) ^ s->a;
	s->d = vigie_sip_turn(s->d, 16) ^ s->c;
	s->a = vigie_sip_turn(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = vigie_sip_turn(s->b, 17) ^ s->c;
	s->d = vigie_sip_turn(s->d, 21) ^ s->a;
	s->c = vigie_sip_turn(s->c, 32);
}

static inline void vigie_sip_block(struct vigie_sip *s, uint64_t block)
{
	s->d ^= block;
	vigie_sip_round(s);
	s->a ^= block;
}

static inline uint64_t vigie_sip_read(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/* The hash of `length` bytes under the process' key. */
static inline __attribute__((always_inline)) uint64_t vigie_hash(const void *data, size_t length)
{
	struct vigie_sip s = vigie_hash_start;
	const uint8_t *at = (const uint8_t *)data;
	uint64_t last = 0;

	if (__builtin_expect(length >= 8, 1)) {
		const uint8_t *whole = at + (length & ~(size_t)7);

		/* The last eight bytes, without those of whole words: 64 bits less eight for each that is
		 * left. In two steps, for no shift is by 64 at once. */
		last = vigie_sip_read(at + length - 8) >> 1 >> (~(8 * length) & 63);
		do {
			vigie_sip_block(&s, vigie_sip_read(at));
			at += 8;
		} while (at < whole);
	} else {
		for (size_t i = 0; i < length; i++)
			last |= (uint64_t)at[i] << (8 * i);
	}
	vigie_sip_block(&s, last | (uint64_t)length << 56);
	s.c ^= 0xff;
	vigie_sip_round(&s);
	vigie_sip_round(&s);
	vigie_sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

/* The same hash in every process and version: for what is compared with what another process wrote, never for
 * a table. BLAKE2b, cut to 64 bits. */
uint64_t vigie_hash_stable(const void *data, size_t length);

#endif
