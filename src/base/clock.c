#include "vigie/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*ms_source)(void);
static int64_t (*wall_source)(void);

uint64_t vigie_clock_us(void)
{
	struct timespec now;

	if (ms_source)
		return ms_source() * 1000;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t vigie_clock_ms(void)
{
	return vigie_clock_us() / 1000;
}

int64_t vigie_clock_wall(void)
{
	return wall_source ? wall_source() : (int64_t)time(NULL);
}

double vigie_clock_wall_precise(void)
{
	struct timespec now;

	if (wall_source)
		return (double)wall_source();
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void vigie_clock_set(uint64_t (*ms)(void), int64_t (*wall)(void))
{
	ms_source = ms;
	wall_source = wall;
}
