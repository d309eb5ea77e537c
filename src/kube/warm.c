#include "warm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "decode.h"
#include "encode_proto.h"
#include "vigie/clock.h"

static const uint8_t warm_magic[8] = {'v', 'i', 'g', 'i', 'e', 'w', 'r', 'm'};

enum {
	WRITE_STEP = 65536,
	FRAME_HEAD = 5 /* length and kind */
};

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Writing. */

struct writer {
	int file;
	int number; /* errno of what failed */
	struct vigie_buffer buffer;
	struct vigie_arena *arena;
	crypto_generichash_state sum;
};

static bool flush(struct writer *writer)
{
	size_t at = 0;

	crypto_generichash_update(&writer->sum, writer->buffer.data, writer->buffer.length);
	while (at < writer->buffer.length) {
		ssize_t wrote = write(writer->file, writer->buffer.data + at, writer->buffer.length - at);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0) {
			writer->number = errno;
			return false;
		}
		at += (size_t)wrote;
	}
	writer->buffer.length = 0;
	return true;
}

static bool write_object(void *argument, enum vigie_kind kind, const union vigie_object *object)
{
	struct writer *writer = argument;
	size_t start = writer->buffer.length;
	uint8_t head[FRAME_HEAD] = {[4] = (uint8_t)kind};

	vigie_arena_reset(writer->arena);
	if (vigie_buffer_append(&writer->buffer, head, sizeof(head)) ||
	    encode_event_proto(&writer->buffer, kind, object, writer->arena)) {
		writer->number = ENOMEM;
		return false;
	}
	put_u32(writer->buffer.data + start, (uint32_t)(writer->buffer.length - start - 4));
	return writer->buffer.length < WRITE_STEP || flush(writer);
}

static bool write_all(struct writer *writer, const uint8_t owner[VIGIE_WARM_OWNER],
		      struct vigie_cluster *cluster)
{
	uint8_t header[WARM_HEADER_SIZE];
	uint8_t sum[WARM_SUM_SIZE];
	uint64_t now = (uint64_t)vigie_clock_wall();
	static const uint8_t zero[4];

	memcpy(header, warm_magic, sizeof(warm_magic));
	put_u32(header + 8, WARM_VERSION);
	put_u32(header + 12, (uint32_t)(now >> 32));
	put_u32(header + 16, (uint32_t)now);
	memcpy(header + 20, owner, VIGIE_WARM_OWNER);
	if (vigie_buffer_append(&writer->buffer, header, sizeof(header)))
		return false;
	if (vigie_cluster_visit(cluster, write_object, writer) ||
	    vigie_buffer_append(&writer->buffer, zero, sizeof(zero)) || !flush(writer))
		return false;
	crypto_generichash_final(&writer->sum, sum, sizeof(sum));
	return vigie_buffer_append(&writer->buffer, sum, sizeof(sum)) == VIGIE_OK && flush(writer);
}

static enum vigie_status cannot_write(const char *path, int number, struct vigie_error *error)
{
	return vigie_error_set(error, VIGIE_EIO, "cannot write the warm file '%s': %s", path,
			       strerror(number));
}

static void forget(struct warm_file *written)
{
	if (written->file >= 0)
		close(written->file);
	free(written->path);
	free(written->new_path);
	*written = (struct warm_file){.file = -1};
}

enum vigie_status warm_write(struct warm_file *written, const char *path,
			     const uint8_t owner[VIGIE_WARM_OWNER], struct vigie_cluster *cluster,
			     struct vigie_error *error)
{
	struct writer writer = {.file = -1, .number = ENOMEM, .arena = vigie_arena_new()};
	bool good = false;

	*written = (struct warm_file){.file = -1, .path = strdup(path)};
	vigie_buffer_init(&writer.buffer, WARM_OBJECT_MAX + WRITE_STEP);
	crypto_generichash_init(&writer.sum, NULL, 0, WARM_SUM_SIZE);
	if (!writer.arena || !written->path || asprintf(&written->new_path, "%s.new", path) < 0)
		goto done;
	writer.file = open(written->new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	written->file = writer.file;
	if (writer.file < 0) {
		writer.number = errno;
		goto done;
	}
	good = write_all(&writer, owner, cluster);
	if (!good)
		unlink(written->new_path);
done:
	if (!good)
		forget(written);
	vigie_buffer_fini(&writer.buffer);
	vigie_arena_free(writer.arena);
	return good ? VIGIE_OK : cannot_write(path, writer.number, error);
}

enum vigie_status warm_commit(struct warm_file *written, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	if (fsync(written->file) || rename(written->new_path, written->path)) {
		status = cannot_write(written->path, errno, error);
		unlink(written->new_path);
	}
	forget(written);
	return status;
}

/* A field of what tells owners apart, with its length: "a" and "bc" are not "ab" and "c". */
static void add_field(crypto_generichash_state *state, const char *text)
{
	uint64_t length = text ? strlen(text) : UINT64_MAX;

	crypto_generichash_update(state, (const uint8_t *)&length, sizeof(length));
	if (text)
		crypto_generichash_update(state, (const uint8_t *)text, strlen(text));
}

void vigie_warm_owner(uint8_t owner[VIGIE_WARM_OWNER], const struct vigie_kube_config *config,
		      const struct vigie_watch_options *watch, const struct vigie_cluster_options *options)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, VIGIE_WARM_OWNER);
	add_field(&state, config->server);
	add_field(&state, watch->selector);
	add_field(&state, watch->namespace_selector);
	for (size_t i = 0; i < options->namespace_count; i++)
		add_field(&state, options->namespaces[i]);
	for (int kind = 0; kind < VIGIE_KINDS; kind++)
		add_field(&state, watch->kinds[kind] ? "yes" : "no");
	add_field(&state, options->endpoint_pod_names ? "yes" : "no");
	crypto_generichash_final(&state, owner, VIGIE_WARM_OWNER);
}

/* Reading. */

struct reader {
	FILE *file;
	const char *path;
	struct vigie_error *error;
};

static enum vigie_status refuse(struct reader *reader, const char *reason)
{
	return vigie_error_set(reader->error, VIGIE_EINVAL, "the warm file '%s' is not used: %s",
			       reader->path, reason);
}

/* That every byte is as it was written. */
static enum vigie_status check_sum(struct reader *reader, long size)
{
	crypto_generichash_state state;
	uint8_t bytes[4096];
	uint8_t wanted[WARM_SUM_SIZE];
	uint8_t sum[WARM_SUM_SIZE];
	long left = size - WARM_SUM_SIZE;

	crypto_generichash_init(&state, NULL, 0, sizeof(sum));
	while (left > 0) {
		size_t step = left < (long)sizeof(bytes) ? (size_t)left : sizeof(bytes);

		if (fread(bytes, step, 1, reader->file) != 1)
			return refuse(reader, "it cannot be read");
		crypto_generichash_update(&state, bytes, step);
		left -= (long)step;
	}
	crypto_generichash_final(&state, sum, sizeof(sum));
	if (fread(wanted, sizeof(wanted), 1, reader->file) != 1 || memcmp(sum, wanted, sizeof(sum)) != 0)
		return refuse(reader, "it is damaged");
	return VIGIE_OK;
}

static enum vigie_status check_header(struct reader *reader, const uint8_t owner[VIGIE_WARM_OWNER],
				      uint64_t age_max_s)
{
	uint64_t now = (uint64_t)vigie_clock_wall();
	uint8_t header[WARM_HEADER_SIZE];
	uint64_t then;

	if (fread(header, sizeof(header), 1, reader->file) != 1 ||
	    memcmp(header, warm_magic, sizeof(warm_magic)) != 0)
		return refuse(reader, "it is none");
	if (get_u32(header + 8) != WARM_VERSION)
		return refuse(reader, "another version of vigie wrote it");
	if (memcmp(header + 20, owner, VIGIE_WARM_OWNER) != 0)
		return refuse(reader, "it is of another cluster, or was written with other options");
	then = (uint64_t)get_u32(header + 12) << 32 | get_u32(header + 16);
	if (now > then && now - then > age_max_s)
		return refuse(reader, "it is too old");
	return VIGIE_OK;
}

/* The objects, up to the length of zero. The sum was right, so what is wrong here was written wrong. */
static enum vigie_status read_objects(struct reader *reader, struct vigie_cluster *cluster,
				      struct vigie_arena *arena, struct vigie_buffer *buffer)
{
	for (;;) {
		struct decoded_event event;
		uint8_t head[4];
		uint32_t length;

		if (fread(head, sizeof(head), 1, reader->file) != 1)
			return refuse(reader, "it ends too early");
		length = get_u32(head);
		if (length == 0)
			return VIGIE_OK;
		buffer->length = 0;
		if (length > WARM_OBJECT_MAX || vigie_buffer_reserve(buffer, length) ||
		    fread(buffer->data, length, 1, reader->file) != 1)
			return refuse(reader, "an object in it is too long");
		vigie_arena_reset(arena);
		if (buffer->data[0] >= VIGIE_KINDS ||
		    decode_event_proto(&event, (enum vigie_kind)buffer->data[0], buffer->data + 1, length - 1,
				       arena))
			return refuse(reader, "an object in it is malformed");
		/* An object that is refused alone is as if it were not there: the list will bring it. */
		if (!event.status && event.type == EVENT_PUT)
			decode_put(cluster, (enum vigie_kind)buffer->data[0], &event.object);
		decode_event_fini(&event);
		rcu_quiescent_state();
	}
}

enum vigie_status vigie_warm_read(const char *path, const uint8_t owner[VIGIE_WARM_OWNER], uint64_t age_max_s,
				  struct vigie_cluster *cluster, struct vigie_error *error)
{
	struct reader reader = {.file = fopen(path, "re"), .path = path, .error = error};
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_buffer buffer;
	enum vigie_status status;
	long size;

	vigie_buffer_init(&buffer, WARM_OBJECT_MAX);
	if (!reader.file) {
		status = refuse(&reader, strerror(errno));
		goto done;
	}
	if (!arena || fseek(reader.file, 0, SEEK_END) || (size = ftell(reader.file)) < 0) {
		status = refuse(&reader, "it cannot be read");
		goto done;
	}
	rewind(reader.file);
	status = size < WARM_HEADER_SIZE + 4 + WARM_SUM_SIZE ? refuse(&reader, "it is none")
							     : check_header(&reader, owner, age_max_s);
	rewind(reader.file);
	if (!status)
		status = check_sum(&reader, size);
	if (!status && fseek(reader.file, WARM_HEADER_SIZE, SEEK_SET))
		status = refuse(&reader, "it cannot be read");
	if (!status)
		status = read_objects(&reader, cluster, arena, &buffer);
	vigie_cluster_publish(cluster);
done:
	if (reader.file)
		fclose(reader.file);
	vigie_buffer_fini(&buffer);
	vigie_arena_free(arena);
	return status;
}
