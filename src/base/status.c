#include "vigie/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *vigie_status_text(enum vigie_status status)
{
	switch (status) {
	case VIGIE_OK:
		return "ok";
	case VIGIE_ENOMEM:
		return "out of memory";
	case VIGIE_EINVAL:
		return "malformed";
	case VIGIE_ENOENT:
		return "not found";
	case VIGIE_EEXIST:
		return "exists already";
	case VIGIE_ENOSPC:
		return "a limit was reached";
	case VIGIE_EIO:
		return "input or output failed";
	case VIGIE_ETIMEOUT:
		return "timed out";
	}
	return "unknown status";
}

enum vigie_status vigie_error_set(struct vigie_error *error, enum vigie_status status, const char *format,
				  ...)
{
	if (error) {
		va_list args;

		va_start(args, format);
		vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
	}
	return status;
}

enum vigie_status vigie_error_memory(struct vigie_error *error)
{
	return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
}
