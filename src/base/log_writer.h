/* The thread that writes log lines, so that a slow or blocked standard output holds nobody up. */
#ifndef VIGIE_BASE_LOG_WRITER_H
#define VIGIE_BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>

/* Hands whole lines over, or loses and counts them when this thread's buffer is full. False: no writer runs,
 * the caller writes itself. */
bool log_writer_put(const char *lines, size_t length);

#endif
