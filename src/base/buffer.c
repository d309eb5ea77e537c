#include "vigie/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 256, READ_STEP = 16384 };

void vigie_buffer_init(struct vigie_buffer *buffer, size_t limit)
{
	*buffer = (struct vigie_buffer){.limit = limit};
}

void vigie_buffer_fini(struct vigie_buffer *buffer)
{
	free(buffer->data);
	vigie_buffer_init(buffer, buffer->limit);
}

enum vigie_status vigie_buffer_reserve(struct vigie_buffer *buffer, size_t extra)
{
	size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
	uint8_t *data;

	if (buffer->capacity - buffer->length >= extra)
		return VIGIE_OK;
	if (extra > buffer->limit - buffer->length)
		return VIGIE_ENOSPC;
	while (capacity - buffer->length < extra && capacity <= buffer->limit / 2)
		capacity *= 2;
	if (capacity > buffer->limit || capacity - buffer->length < extra)
		capacity = buffer->limit;
	data = realloc(buffer->data, capacity);
	if (!data)
		return VIGIE_ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return VIGIE_OK;
}

enum vigie_status vigie_buffer_append(struct vigie_buffer *buffer, const void *data, size_t length)
{
	enum vigie_status status = vigie_buffer_reserve(buffer, length);

	if (status || length == 0)
		return status;
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	return VIGIE_OK;
}

void vigie_buffer_consume(struct vigie_buffer *buffer, size_t length)
{
	if (length >= buffer->length) {
		buffer->length = 0;
		return;
	}
	buffer->length -= length;
	memmove(buffer->data, buffer->data + length, buffer->length);
}

/* Reads to the file's end; one byte is kept free for the terminator. */
static enum vigie_status read_all(struct vigie_buffer *buffer, int file)
{
	for (;;) {
		size_t left = buffer->limit - buffer->length;
		enum vigie_status status;
		ssize_t got;

		if (left == 0)
			return VIGIE_ENOSPC;
		/* At the limit one byte more is asked for, in the terminator's place: it must not come. */
		if (left > 1 && buffer->capacity - buffer->length < 2)
			status = vigie_buffer_reserve(buffer, left < READ_STEP ? left : READ_STEP);
		else
			status = vigie_buffer_reserve(buffer, 1);
		if (status)
			return status;
		got = read(file, buffer->data + buffer->length,
			   left > 1 ? buffer->capacity - buffer->length - 1 : 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return VIGIE_EIO;
		if (got == 0)
			return VIGIE_OK;
		if (left == 1)
			return VIGIE_ENOSPC;
		buffer->length += (size_t)got;
	}
}

enum vigie_status vigie_buffer_read_file(struct vigie_buffer *buffer, const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	enum vigie_status status;
	int saved;

	if (file < 0)
		return VIGIE_EIO;
	status = read_all(buffer, file);
	saved = errno;
	close(file);
	errno = saved;
	if (!status)
		buffer->data[buffer->length] = 0;
	return status;
}
