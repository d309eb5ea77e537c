/* Log lines in CoreDNS' shape, because people grep for them: "[INFO] plugin/kubernetes: text". Or, when that
 * is asked for, JSON objects with the keys time, level, plugin (unless it is the process itself) and msg.
 *
 * Lines go to a thread that writes them to standard output: no caller waits for a terminal, pipe or disk.
 * Each thread has room for VIGIE_LOG_BUFFER bytes; what comes when that is full is lost and counted. Control
 * characters become "?", so that a name from the network cannot forge a line. */
#ifndef VIGIE_LOG_H
#define VIGIE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/status.h"

enum {
	VIGIE_LOG_LINE_MAX = 2048,    /* bytes of a line with its end; a longer one is cut */
	VIGIE_LOG_BUFFER = 256 << 10, /* bytes that wait to be written, of one thread */
	VIGIE_LOG_STOP_SECONDS = 1,   /* that vigie_log_stop waits for a reader of them */
	VIGIE_LOG_TIME_TEXT = 32      /* bytes of a time as text, with its terminator */
};

enum vigie_log_level { VIGIE_LOG_DEBUG, VIGIE_LOG_INFO, VIGIE_LOG_WARNING, VIGIE_LOG_ERROR, VIGIE_LOG_FATAL };

/* `component` is the directive's name ("kubernetes" gives "plugin/kubernetes: "), or NULL for the process
 * itself. A line longer than VIGIE_LOG_LINE_MAX is cut. Safe from any thread. */
void vigie_log(enum vigie_log_level level, const char *component, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for what has no level in CoreDNS' shape: a line as it is; VIGIE_LOG_INFO in JSON. */
void vigie_log_plain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes lines as they are, each with its end: the caller has seen to control characters. Safe from any
 * thread. */
void vigie_log_lines(const char *lines, size_t length);

/* Starts the thread that writes. Before it and after its stop, lines are written by the caller. VIGIE_EIO
 * when there is no thread to be had. */
enum vigie_status vigie_log_start(void);

/* Writes what waits and ends the thread; no other thread may log any more. */
void vigie_log_stop(void);

/* Lines that were lost since the process began. */
uint64_t vigie_log_lost(void);

/* Whether lines are JSON objects; not at the start. */
void vigie_log_set_json(bool json);
bool vigie_log_is_json(void);

/* The time as lines in JSON have it, UTC; returns `text`. */
const char *vigie_log_time(char text[static VIGIE_LOG_TIME_TEXT]);

/* The lowest level that is written; VIGIE_LOG_INFO at start. */
void vigie_log_set_level(enum vigie_log_level level);
enum vigie_log_level vigie_log_level(void);

#endif
