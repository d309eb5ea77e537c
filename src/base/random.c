#include "vigie/random.h"

#include <stdlib.h>
#include <string.h>

enum {
	STOCK = 512,
	STOCKED_MAX = 64 /* bytes asked for at once that come out of the stock */
};

/* What the kernel gave a thread and nobody has had yet: a query by UDP needs some bytes five times, and a
 * system call costs as much as fifty bytes. */
static _Thread_local struct {
	size_t left;
	uint8_t bytes[STOCK];
} stock;

static void kernel_bytes(void *out, size_t length)
{
	/* glibc 2.36: getrandom(2), never fails */
	if (length > STOCKED_MAX) {
		arc4random_buf(out, length);
		return;
	}
	if (stock.left < length) {
		arc4random_buf(stock.bytes, STOCK);
		stock.left = STOCK;
	}
	stock.left -= length;
	memcpy(out, stock.bytes + stock.left, length);
	explicit_bzero(stock.bytes + stock.left, length); /* memory that leaks tells of no id or port */
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
