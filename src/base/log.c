#include "vigie/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "log_writer.h"

static atomic_int lowest = VIGIE_LOG_INFO;

static const char *const level_text[] = {
	[VIGIE_LOG_DEBUG] = "DEBUG", [VIGIE_LOG_INFO] = "INFO",   [VIGIE_LOG_WARNING] = "WARNING",
	[VIGIE_LOG_ERROR] = "ERROR", [VIGIE_LOG_FATAL] = "FATAL",
};

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
	char line[VIGIE_LOG_LINE_MAX];
	size_t length;
	va_list args;
	int wrote;

	if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	length = (size_t)snprintf(line, sizeof(line), "[%s] %s%s%s", level_text[level],
				  component ? "plugin/" : "", component ? component : "",
				  component ? ": " : "");
	va_start(args, format);
	wrote = vsnprintf(line + length, sizeof(line) - length, format, args);
	va_end(args);
	if (wrote < 0)
		return;
	length += (size_t)wrote;
	if (length > sizeof(line) - 1)
		length = sizeof(line) - 1;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?'; /* a name from the network must not forge a line or move a cursor */
	}
	line[length++] = '\n';
	vigie_log_lines(line, length);
}
