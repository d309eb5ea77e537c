#include "log_line.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vigie/clock.h"

enum { ESCAPED_MAX = 6 /* bytes that one of the text's becomes in JSON */ };

static atomic_bool as_json;

static const char *const texts[] = {
	[VIGIE_LOG_DEBUG] = "DEBUG", [VIGIE_LOG_INFO] = "INFO",   [VIGIE_LOG_WARNING] = "WARNING",
	[VIGIE_LOG_ERROR] = "ERROR", [VIGIE_LOG_FATAL] = "FATAL",
};

static const char *const words[] = {
	[VIGIE_LOG_DEBUG] = "debug", [VIGIE_LOG_INFO] = "info",   [VIGIE_LOG_WARNING] = "warning",
	[VIGIE_LOG_ERROR] = "error", [VIGIE_LOG_FATAL] = "fatal",
};

void vigie_log_set_json(bool json)
{
	atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

bool vigie_log_is_json(void)
{
	return atomic_load_explicit(&as_json, memory_order_relaxed);
}

const char *vigie_log_time(char text[static VIGIE_LOG_TIME_TEXT])
{
	time_t now = (time_t)vigie_clock_wall();
	struct tm tm;

	if (!gmtime_r(&now, &tm) || strftime(text, VIGIE_LOG_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = 0;
	return text;
}

static char printable(char byte)
{
	return (unsigned char)byte < ' ' || byte == 0x7f ? '?' : byte;
}

static size_t write_text(char *line, enum vigie_log_level level, const char *component, const char *text)
{
	size_t length = (size_t)snprintf(line, VIGIE_LOG_LINE_MAX, "[%s] %s%s%s", texts[level],
					 component ? "plugin/" : "", component ? component : "",
					 component ? ": " : "");

	while (*text && length < VIGIE_LOG_LINE_MAX - 1)
		line[length++] = printable(*text++);
	return length;
}

/* Bytes beyond ASCII are escaped one by one: JSON must be UTF-8, and nobody says that they are. */
static size_t write_json(char *line, enum vigie_log_level level, const char *component, const char *text)
{
	char when[VIGIE_LOG_TIME_TEXT];
	size_t room = VIGIE_LOG_LINE_MAX - strlen("\"}\n");
	size_t length = (size_t)snprintf(
		line, VIGIE_LOG_LINE_MAX, "{\"time\":\"%s\",\"level\":\"%s\"%s%s%s,\"msg\":\"",
		vigie_log_time(when), words[level], component ? ",\"plugin\":\"" : "",
		component ? component : "", component ? "\"" : "");

	for (; *text && length + ESCAPED_MAX <= room; text++) {
		char byte = printable(*text);

		if ((unsigned char)byte > '~')
			length += (size_t)sprintf(line + length, "\\u00%02x", (unsigned char)byte);
		else
			length += (size_t)sprintf(line + length, byte == '"' || byte == '\\' ? "\\%c" : "%c",
						  byte);
	}
	line[length++] = '"';
	line[length++] = '}';
	return length;
}

size_t log_line(char line[static VIGIE_LOG_LINE_MAX], enum vigie_log_level level, const char *component,
		const char *text)
{
	size_t length = vigie_log_is_json() ? write_json(line, level, component, text)
					    : write_text(line, level, component, text);

	line[length++] = '\n';
	return length;
}
