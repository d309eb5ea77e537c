/* What a query met on its way through a chain, written down while it is traced: `dig CH TXT
 * trace.NAME.vigie`, and `vigie ctl trace NAME`. Other queries have no trace, and pay for none. */
#ifndef VIGIE_TRACE_H
#define VIGIE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/request.h"

enum {
	VIGIE_TRACE_LINES_MAX = 64, /* more are left out */
	VIGIE_TRACE_LINE_MAX = 255  /* bytes of a line, which becomes a TXT string; more are cut */
};

struct vigie_trace {
	size_t count;
	uint8_t length[VIGIE_TRACE_LINES_MAX];
	char lines[VIGIE_TRACE_LINES_MAX][VIGIE_TRACE_LINE_MAX + 1];
};

/* Adds a line; nothing when `trace` is NULL. */
void vigie_trace_line(struct vigie_trace *trace, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What a directive has to say of this request beyond its verdict: "hit, 12 of 30 s left", "10.0.0.1:53 in 3
 * ms". It is evaluated for traced requests only. */
#define vigie_request_note(request, directive, ...)                                                          \
	do {                                                                                                 \
		if ((request)->trace)                                                                        \
			vigie_trace_line((request)->trace, "  " directive ": " __VA_ARGS__);                 \
	} while (0)

#endif
