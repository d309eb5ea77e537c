#include "warm.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "decode.h"
#include "encode_proto.h"

_Static_assert((int)VIGIE_WARM_OWNER == (int)VIGIE_STATE_OWNER, "who owns the file");

enum { FRAME_HEAD = 5 /* length and kind */ };

static const struct vigie_state_kind warm_kind = {
	.magic = {'v', 'i', 'g', 'i', 'e', 'w', 'r', 'm'},
	.version = WARM_VERSION,
	.name = "warm file",
};

struct writer {
	struct vigie_state_out *out;
	struct vigie_buffer buffer; /* one object */
	struct vigie_arena *arena;
};

static bool write_object(void *argument, enum vigie_kind kind, const union vigie_object *object)
{
	struct writer *writer = argument;
	uint8_t head[FRAME_HEAD] = {[4] = (uint8_t)kind};
	uint32_t length;

	vigie_arena_reset(writer->arena);
	writer->buffer.length = 0;
	if (vigie_buffer_append(&writer->buffer, head, sizeof(head)) ||
	    encode_event_proto(&writer->buffer, kind, object, writer->arena)) {
		vigie_state_spoil(writer->out, ENOMEM);
		return false;
	}
	length = htobe32((uint32_t)(writer->buffer.length - sizeof(length)));
	memcpy(writer->buffer.data, &length, sizeof(length));
	return vigie_state_write(writer->out, writer->buffer.data, writer->buffer.length) == VIGIE_OK;
}

struct vigie_state_out *warm_write(const char *path, const uint8_t owner[VIGIE_WARM_OWNER],
				   struct vigie_cluster *cluster, struct vigie_error *error)
{
	struct writer writer = {.out = vigie_state_create(&warm_kind, path, owner, error),
				.arena = vigie_arena_new()};
	static const uint8_t zero[4];

	vigie_buffer_init(&writer.buffer, WARM_OBJECT_MAX);
	if (!writer.out)
		goto done;
	if (!writer.arena || vigie_cluster_visit(cluster, write_object, &writer))
		vigie_state_spoil(writer.out, ENOMEM);
	vigie_state_write(writer.out, zero, sizeof(zero));
	if (vigie_state_seal(writer.out, error))
		writer.out = NULL;
done:
	vigie_buffer_fini(&writer.buffer);
	vigie_arena_free(writer.arena);
	return writer.out;
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

/* The objects, up to the length of zero. The sum was right, so what is wrong here was written wrong. */
static enum vigie_status read_objects(struct vigie_state_in *in, struct vigie_cluster *cluster,
				      struct vigie_arena *arena, struct vigie_buffer *buffer,
				      struct vigie_error *error)
{
	for (;;) {
		struct decoded_event event;
		uint32_t length;

		if (!vigie_state_read(in, &length, sizeof(length)))
			return vigie_state_refuse(in, "it ends too early", error);
		length = be32toh(length);
		if (length == 0)
			return VIGIE_OK;
		buffer->length = 0;
		if (length > WARM_OBJECT_MAX || vigie_buffer_reserve(buffer, length) ||
		    !vigie_state_read(in, buffer->data, length))
			return vigie_state_refuse(in, "an object in it is too long", error);
		vigie_arena_reset(arena);
		if (buffer->data[0] >= VIGIE_KINDS ||
		    decode_event_proto(&event, (enum vigie_kind)buffer->data[0], buffer->data + 1, length - 1,
				       arena))
			return vigie_state_refuse(in, "an object in it is malformed", error);
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
	struct vigie_state_in *in = vigie_state_open(&warm_kind, path, owner, error);
	struct vigie_arena *arena;
	struct vigie_buffer buffer;
	enum vigie_status status;

	if (!in)
		return VIGIE_EINVAL;
	arena = vigie_arena_new();
	vigie_buffer_init(&buffer, WARM_OBJECT_MAX);
	/* One from the future is used: a machine's clock may be wrong until it is on the network. */
	if (vigie_state_age(in) > 0 && (uint64_t)vigie_state_age(in) > age_max_s)
		status = vigie_state_refuse(in, "it is too old", error);
	else if (!arena)
		status = vigie_state_refuse(in, vigie_status_text(VIGIE_ENOMEM), error);
	else
		status = read_objects(in, cluster, arena, &buffer, error);
	vigie_cluster_publish(cluster);
	vigie_cluster_rest(cluster);
	vigie_state_close(in);
	vigie_buffer_fini(&buffer);
	vigie_arena_free(arena);
	return status;
}
