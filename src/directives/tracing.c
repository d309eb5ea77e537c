#include "vigie/trace.h"

#include <stdarg.h>
#include <stdio.h>

void vigie_trace_line(struct vigie_trace *trace, const char *format, ...)
{
	va_list arguments;
	int length;

	if (!trace || trace->count == VIGIE_TRACE_LINES_MAX)
		return;
	va_start(arguments, format);
	length = vsnprintf(trace->lines[trace->count], sizeof(trace->lines[0]), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	trace->length[trace->count++] =
		(uint8_t)(length > VIGIE_TRACE_LINE_MAX ? VIGIE_TRACE_LINE_MAX : length);
}
