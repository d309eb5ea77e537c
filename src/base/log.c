#include "vigie/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log_line.h"
#include "log_writer.h"

static atomic_int lowest = VIGIE_LOG_INFO;

void vigie_log_set_level(enum vigie_log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

enum vigie_log_level vigie_log_level(void)
{
	return (enum vigie_log_level)atomic_load_explicit(&lowest, memory_order_relaxed);
}

void vigie_log_lines(const char *lines, size_t length)
{
	if (log_writer_put(lines, length))
		return;
	/* A log that cannot be written must not stop DNS. */
	if (write(STDOUT_FILENO, lines, length) < 0)
		return;
}

void vigie_log(enum vigie_log_level level, const char *component, const char *format, ...)
{
	char text[VIGIE_LOG_LINE_MAX];
	char line[VIGIE_LOG_LINE_MAX];
	va_list args;
	int wrote;

	if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	va_start(args, format);
	wrote = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (wrote >= 0)
		vigie_log_lines(line, log_line(line, level, component, text));
}

void vigie_log_plain(const char *format, ...)
{
	char text[VIGIE_LOG_LINE_MAX];
	size_t length;
	va_list args;
	int wrote;

	va_start(args, format);
	wrote = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (wrote < 0)
		return;
	if (vigie_log_is_json()) {
		vigie_log(VIGIE_LOG_INFO, NULL, "%s", text);
		return;
	}
	length = strlen(text);
	text[length] = '\n'; /* in the place of the terminator */
	vigie_log_lines(text, length + 1);
}
