/* Any bytes as a state file (state_file.h). When the first is odd, the others stand where the records do, in
 * a file whose header and sum are right: else no input would come that far. */
#ifndef VIGIE_FUZZ_STATE_INPUT_H
#define VIGIE_FUZZ_STATE_INPUT_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vigie/state_file.h"

enum { STATE_PATH_MAX = 64 };

static inline void require(bool condition)
{
	if (!condition)
		abort();
}

/* Writes a part of the file, and sums it up when `sum` is not NULL. */
static inline void put_part(int file, crypto_generichash_state *sum, const void *bytes, size_t length)
{
	require(write(file, bytes, length) == (ssize_t)length);
	if (sum)
		crypto_generichash_update(sum, bytes, length);
}

/* The file of an input: to be closed. `start` is its magic and version, 12 bytes; `end` bytes of 0 stand
 * behind the records. */
static inline int state_input(const char *start, size_t end, const uint8_t *data, size_t size,
			      char path[STATE_PATH_MAX])
{
	uint8_t header[VIGIE_STATE_HEADER] = {0};
	uint8_t zeros[4] = {0};
	uint8_t sum[VIGIE_STATE_SUM];
	crypto_generichash_state state;
	int file = memfd_create("state", 0);

	require(file >= 0 && end <= sizeof(zeros));
	snprintf(path, STATE_PATH_MAX, "/proc/self/fd/%d", file);
	if (size > 0 && data[0] % 2) {
		memcpy(header, start, 12);
		crypto_generichash_init(&state, NULL, 0, sizeof(sum));
		put_part(file, &state, header, sizeof(header));
		put_part(file, &state, data + 1, size - 1);
		put_part(file, &state, zeros, end);
		crypto_generichash_final(&state, sum, sizeof(sum));
		put_part(file, NULL, sum, sizeof(sum));
	} else if (size > 0) {
		put_part(file, NULL, data + 1, size - 1);
	}
	return file;
}

#endif
