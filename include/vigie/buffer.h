/* A byte buffer that grows up to a stated limit. Ours because every reader of untrusted input needs that
 * limit. */
#ifndef VIGIE_BUFFER_H
#define VIGIE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/status.h"

struct vigie_buffer {
	uint8_t *data;   /* owned; NULL while empty */
	size_t length;   /* bytes in use */
	size_t capacity; /* bytes allocated */
	size_t limit;    /* `capacity` never passes this */
};

void vigie_buffer_init(struct vigie_buffer *buffer, size_t limit);

/* Frees the memory; the buffer is empty and may be used again. */
void vigie_buffer_fini(struct vigie_buffer *buffer);

/* Makes room for `extra` more bytes behind `length`. VIGIE_ENOSPC beyond the limit, VIGIE_ENOMEM; unchanged
 * then. */
enum vigie_status vigie_buffer_reserve(struct vigie_buffer *buffer, size_t extra);

/* Appends bytes. Errors as vigie_buffer_reserve. */
enum vigie_status vigie_buffer_append(struct vigie_buffer *buffer, const void *data, size_t length);

/* Drops the first `length` bytes (at most all). */
void vigie_buffer_consume(struct vigie_buffer *buffer, size_t length);

/* Appends a whole file and behind it a zero byte, which `length` does not count but the limit does.
 * VIGIE_EIO (errno is set), VIGIE_ENOSPC beyond the limit, VIGIE_ENOMEM; what was read until then stays. */
enum vigie_status vigie_buffer_read_file(struct vigie_buffer *buffer, const char *path);

#endif
