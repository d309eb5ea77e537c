/* Log lines in CoreDNS' shape, because people grep for them: "[INFO] plugin/kubernetes: text".
 *
 * One write(2) to standard output for each line; control characters become "?", so that a name from the
 * network cannot forge a line. */
#ifndef VIGIE_LOG_H
#define VIGIE_LOG_H

#include <stdbool.h>

enum vigie_log_level { VIGIE_LOG_DEBUG, VIGIE_LOG_INFO, VIGIE_LOG_WARNING, VIGIE_LOG_ERROR, VIGIE_LOG_FATAL };

/* `component` is the directive's name ("kubernetes" gives "plugin/kubernetes: "), or NULL for the process
 * itself. A line longer than 2,048 bytes is cut. Safe from any thread. */
void vigie_log(enum vigie_log_level level, const char *component, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The lowest level that is written; VIGIE_LOG_INFO at start. */
void vigie_log_set_level(enum vigie_log_level level);

#endif
