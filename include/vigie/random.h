/* Random numbers: the kernel's CSPRNG for whatever an outsider might want to guess (ids, ports, hash keys,
 * jitter). */
#ifndef VIGIE_RANDOM_H
#define VIGIE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void vigie_random_bytes(void *out, size_t length);

/* Uniform in [0, bound); 0 when bound is 0. */
uint32_t vigie_random_below(uint32_t bound);

/* Replaces the source (tests); NULL restores the kernel's. Not thread-safe: call it before threads start. */
void vigie_random_set(void (*bytes)(void *out, size_t length));

#endif
