/* Time. Monotonic everywhere but in what people read; replaceable, so that a test runs a year in a
 * millisecond. */
#ifndef VIGIE_CLOCK_H
#define VIGIE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME: never goes back, counts a suspended machine's sleep. */
uint64_t vigie_clock_ms(void);

/* The same clock in microseconds. */
uint64_t vigie_clock_us(void);

/* Seconds since 1970 by the wall clock: for the SOA serial and for log lines only. */
int64_t vigie_clock_wall(void);

/* The same with its fraction, for durations that another machine began. */
double vigie_clock_wall_precise(void);

/* Replaces both clocks (tests); NULL restores the system's. Not thread-safe: call it before threads start. */
void vigie_clock_set(uint64_t (*ms)(void), int64_t (*wall)(void));

#endif
