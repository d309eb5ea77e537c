/* One log line as it is written: CoreDNS' shape, or a JSON object. */
#ifndef VIGIE_BASE_LOG_LINE_H
#define VIGIE_BASE_LOG_LINE_H

#include <stddef.h>

#include "vigie/log.h"

/* Writes the line with its end, at most VIGIE_LOG_LINE_MAX bytes, and returns its length. Control characters
 * become "?": a name from the network must not forge a line or move a cursor. A text that is too long is cut.
 */
size_t log_line(char line[static VIGIE_LOG_LINE_MAX], enum vigie_log_level level, const char *component,
		const char *text);

#endif
