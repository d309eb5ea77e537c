/* The keyed hash of every table that an outsider can reach: SipHash (libsodium's), under a key drawn at
 * start. Without the key nobody can choose names that collide. */
#ifndef VIGIE_HASH_H
#define VIGIE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draws the process' key. Call once, before any thread starts; a second call does nothing. */
void vigie_hash_init(void);

/* The hash of `length` bytes under the process' key. */
uint64_t vigie_hash(const void *data, size_t length);

/* The same hash in every process and version: for what is compared with what another process wrote, never for
 * a table. BLAKE2b, cut to 64 bits. */
uint64_t vigie_hash_stable(const void *data, size_t length);

#endif
