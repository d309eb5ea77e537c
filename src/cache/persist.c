/* The cache file: what was held, for the next start. Its body (state_file.h), integers with the most
 * significant byte first, for each answer:
 *
 *     8 bytes the part's id · 4 bytes age and 4 bytes lifetime in seconds
 *     2 bytes length · the question as a query · 2 bytes length · the answer as a reply to it
 *
 * So an answer comes back the way that it came in: as the reply of another server, which is judged, taken and
 * classified by the same code. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "store.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/reply.h"
#include "vigie/state_file.h"

enum { PERSIST_VERSION = 1, QUERY_MAX = 512, SEGMENT_TEXT_MAX = 64 * SEGMENT_SIZE };

static const struct vigie_state_kind persist_kind = {
	.magic = {'v', 'i', 'g', 'i', 'e', 'c', 'c', 'h'},
	.version = PERSIST_VERSION,
	.name = "cache file",
};

/* Each part says itself what its answers depend on. */
static const uint8_t nobody[VIGIE_STATE_OWNER];

struct head {
	uint64_t part;
	uint32_t age;
	uint32_t lifetime;
};

_Static_assert(sizeof(struct head) == 16, "no gaps");

struct writer {
	struct vigie_buffer text; /* of one segment: the file is written without the lock */
	uint64_t now_ms;
	uint8_t reply[VIGIE_MESSAGE_MAX];
};

static enum vigie_status append_message(struct vigie_buffer *text, const uint8_t *message, size_t length)
{
	uint16_t size = htobe16((uint16_t)length);
	enum vigie_status status = vigie_buffer_append(text, &size, sizeof(size));

	return status ? status : vigie_buffer_append(text, message, length);
}

/* Failures are not worth keeping. One that there is no memory for is left out. */
static bool write_entry(void *argument, const struct vigie_cached *cached)
{
	struct writer *writer = argument;
	uint64_t age = (vigie_cached_age_ms(cached, writer->now_ms) + 999) / 1000;
	struct head head = {htobe64(cached->part->id), htobe32((uint32_t)age), htobe32(cached->lifetime)};
	size_t start = writer->text.length;
	uint8_t packet[QUERY_MAX];
	struct vigie_query query;
	struct vigie_answer answer;
	size_t length;

	if (cached->kind == VIGIE_CACHED_FAILURE || age > VIGIE_CACHE_PERSIST_AGE_MAX)
		return false;
	length = vigie_cached_question(cached, packet, sizeof(packet));
	if (length == 0 || vigie_query_parse(&query, packet, length))
		return false;
	vigie_answer_begin(&answer, &query, writer->reply, sizeof(writer->reply));
	vigie_cached_write(cached, &answer, 0, 0, UINT32_MAX);
	if (vigie_buffer_append(&writer->text, &head, sizeof(head)) ||
	    append_message(&writer->text, packet, length) ||
	    append_message(&writer->text, writer->reply, vigie_answer_end(&answer)))
		writer->text.length = start;
	return false;
}

enum vigie_status vigie_cache_save(struct vigie_cache *cache, const char *path, struct vigie_error *error)
{
	struct vigie_state_out *out = vigie_state_create(&persist_kind, path, nobody, error);
	struct writer *writer;
	size_t cursor = 0;
	enum vigie_status status = VIGIE_OK;

	if (!out)
		return VIGIE_EIO;
	writer = malloc(sizeof(*writer));
	if (!writer) {
		vigie_state_spoil(out, ENOMEM);
		return vigie_state_seal(out, error);
	}
	vigie_buffer_init(&writer->text, SEGMENT_TEXT_MAX);
	writer->now_ms = vigie_clock_ms();
	while (!status && vigie_cache_walk(cache, &cursor, write_entry, writer)) {
		status = vigie_state_write(out, writer->text.data, writer->text.length);
		writer->text.length = 0;
	}
	vigie_buffer_fini(&writer->text);
	free(writer);
	status = vigie_state_seal(out, error);
	return status ? status : vigie_state_commit(out, error);
}

struct reader {
	struct vigie_cache *cache;
	struct vigie_state_in *in;
	uint64_t now_ms;
	uint64_t file_age; /* seconds */
	size_t count;
	struct vigie_cache_reply shape;
	uint8_t query[QUERY_MAX];
	uint8_t reply[VIGIE_MESSAGE_MAX];
	uint8_t answer[VIGIE_MESSAGE_MAX];
};

static bool read_message(struct vigie_state_in *in, uint8_t *message, size_t size, size_t *length)
{
	uint16_t bytes;

	if (!vigie_state_read(in, &bytes, sizeof(bytes)))
		return false;
	*length = be16toh(bytes);
	return *length >= VIGIE_HEADER_SIZE && *length <= size && vigie_state_read(in, message, *length);
}

/* Holds it, unless something newer is held or nobody would ask for it. False when it is malformed. */
static bool take(struct reader *reader, const struct head *head, size_t query_length, size_t reply_length)
{
	struct vigie_cache_part *part = vigie_cache_part_find(reader->cache, be64toh(head->part));
	uint64_t age = reader->file_age + be32toh(head->age);
	uint32_t lifetime = be32toh(head->lifetime);
	struct vigie_query query;
	struct vigie_answer answer;

	if (vigie_query_parse(&query, reader->query, query_length) ||
	    vigie_reply_judge(reader->query, reader->reply, reply_length))
		return false;
	vigie_answer_begin(&answer, &query, reader->answer, sizeof(reader->answer));
	if (vigie_answer_take(&answer, reader->reply, reply_length))
		return false;
	if (!part || age > VIGIE_CACHE_PERSIST_AGE_MAX || lifetime > VIGIE_CACHE_PERSIST_AGE_MAX ||
	    vigie_cache_find(reader->cache, part, &query))
		return true;
	vigie_cache_classify(&answer, &reader->shape);
	/* It may have been stored before this machine was started: times go round then, ages don't. */
	if (reader->shape.cacheable && reader->shape.kind != VIGIE_CACHED_FAILURE &&
	    vigie_cache_put(reader->cache, part, &answer, &reader->shape, lifetime,
			    reader->now_ms - age * 1000) == VIGIE_OK)
		reader->count++;
	return true;
}

static enum vigie_status read_entries(struct reader *reader, struct vigie_error *error)
{
	struct head head;

	while (vigie_state_read(reader->in, &head, sizeof(head))) {
		size_t query_length;
		size_t reply_length;

		if (!read_message(reader->in, reader->query, sizeof(reader->query), &query_length) ||
		    !read_message(reader->in, reader->reply, sizeof(reader->reply), &reply_length) ||
		    !take(reader, &head, query_length, reply_length))
			return vigie_state_refuse(reader->in, "an answer in it is malformed", error);
		rcu_quiescent_state(); /* so that room can be made for the next one */
	}
	return VIGIE_OK;
}

enum vigie_status vigie_cache_load(struct vigie_cache *cache, const char *path, size_t *count,
				   struct vigie_error *error)
{
	struct vigie_state_in *in = vigie_state_open(&persist_kind, path, nobody, error);
	struct reader *reader = NULL;
	enum vigie_status status;

	*count = 0;
	if (!in)
		return VIGIE_EINVAL;
	if (vigie_state_age(in) < 0) {
		status = vigie_state_refuse(in, "it is from the future: the clock was set back", error);
	} else if (vigie_state_age(in) > VIGIE_CACHE_PERSIST_AGE_MAX) {
		status = vigie_state_refuse(in, "it is too old", error);
	} else if (!(reader = malloc(sizeof(*reader)))) {
		status = vigie_state_refuse(in, vigie_status_text(VIGIE_ENOMEM), error);
	} else {
		reader->cache = cache;
		reader->in = in;
		reader->now_ms = vigie_clock_ms();
		reader->file_age = (uint64_t)vigie_state_age(in);
		reader->count = 0;
		status = read_entries(reader, error);
		*count = reader->count;
	}
	vigie_state_close(in);
	free(reader);
	return status;
}
