#include "proto_cut.h"

enum { LENGTH_SIZE = 4 };

void proto_cut_init(struct proto_cut *cut, proto_cut_frame *frame, void *argument)
{
	*cut = (struct proto_cut){.frame = frame, .argument = argument};
	vigie_buffer_init(&cut->piece, LENGTH_SIZE + PROTO_CUT_FRAME_MAX);
}

void proto_cut_fini(struct proto_cut *cut)
{
	vigie_buffer_fini(&cut->piece);
}

bool proto_cut_is_between(const struct proto_cut *cut)
{
	return cut->piece.length == 0;
}

static size_t read_length(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

/* How many of the next bytes belong to the piece that has begun: all of its length first, then its frame. */
static enum vigie_status wanted(const struct proto_cut *cut, size_t *count)
{
	size_t frame;

	*count = LENGTH_SIZE - cut->piece.length;
	if (cut->piece.length < LENGTH_SIZE)
		return VIGIE_OK;
	frame = read_length(cut->piece.data);
	*count = LENGTH_SIZE + frame - cut->piece.length;
	return frame <= PROTO_CUT_FRAME_MAX ? VIGIE_OK : VIGIE_ENOSPC;
}

enum vigie_status proto_cut_feed(struct proto_cut *cut, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t count;
		enum vigie_status status = wanted(cut, &count);

		if (status)
			return status;
		if (cut->piece.length == 0 && length >= LENGTH_SIZE &&
		    read_length(bytes) <= length - LENGTH_SIZE) {
			/* The usual case: it is here whole. */
			count = LENGTH_SIZE + read_length(bytes);
			status = cut->frame(cut->argument, bytes + LENGTH_SIZE, count - LENGTH_SIZE);
			if (status)
				return status;
			bytes += count;
			length -= count;
			continue;
		}
		count = count < length ? count : length;
		status = vigie_buffer_append(&cut->piece, bytes, count);
		bytes += count;
		length -= count;
		if (!status)
			status = wanted(cut, &count);
		if (!status && count == 0) {
			status = cut->frame(cut->argument, cut->piece.data + LENGTH_SIZE,
					    cut->piece.length - LENGTH_SIZE);
			cut->piece.length = 0;
		}
		if (status)
			return status;
	}
	return VIGIE_OK;
}
