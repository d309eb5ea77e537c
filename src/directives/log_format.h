/* How `log` writes a request: CoreDNS' formats with placeholders, or one JSON object. */
#ifndef VIGIE_DIRECTIVES_LOG_FORMAT_H
#define VIGIE_DIRECTIVES_LOG_FORMAT_H

#include "vigie/directive.h"

struct log_format;

/* What became of a request. */
enum log_class { LOG_SUCCESS, LOG_DENIAL, LOG_ERROR, LOG_CLASSES };

enum log_class log_class(const struct vigie_answer *answer);
const char *log_class_text(enum log_class class);

/* Cuts a format at its placeholders; NULL text: the common format, or JSON where the whole log is. Lives in
 * the arena. NULL when memory is out. Words in braces that are no placeholders stay as they are. */
const struct log_format *log_format_new(struct vigie_arena *arena, const char *text);

/* Writes a line to the log. */
void log_format_write(const struct log_format *format, struct vigie_request *request);

#endif
