#include "vigie/random.h"

#include <stdlib.h>

static void kernel_bytes(void *out, size_t length)
{
	arc4random_buf(out, length); /* glibc 2.36: getrandom(2), never fails */
}

static void (*bytes_source)(void *out, size_t length) = kernel_bytes;

void vigie_random_bytes(void *out, size_t length)
{
	bytes_source(out, length);
}

uint32_t vigie_random_below(uint32_t bound)
{
	uint32_t value;
	uint32_t biased; /* numbers from the source below this would make small results more likely */

	if (bound == 0)
		return 0;
	biased = -bound % bound;
	do
		vigie_random_bytes(&value, sizeof(value));
	while (value < biased);
	return value % bound;
}

void vigie_random_set(void (*bytes)(void *out, size_t length))
{
	bytes_source = bytes ? bytes : kernel_bytes;
}
