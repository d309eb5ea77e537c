#include "transfer_stream.h"

#include <stdlib.h>
#include <string.h>

enum {
	MESSAGE_BYTES = 16000, /* a message ends behind this: pointers reach all of it */
	RECORD_FIXED = 10      /* bytes of type, class, TTL and RDLENGTH */
};

struct transfer_stream {
	struct vigie_stream stream; /* first: one is the other */
	struct vigie_zone *zone;
	struct vigie_zone_walk walk;
	struct vigie_zone_record record; /* the next one; its owner is NULL behind the last */
	struct vigie_zone_record soa;
	bool done;
	uint64_t records;
	transfer_ended *ended;
	void *argument;
};

/* Writes a record, its owner as a pointer when it is that of the record before. False: it does not fit. */
static bool put(struct vigie_answer *answer, const struct vigie_zone_record *record,
		const uint8_t **last_owner, uint16_t *last_offset)
{
	size_t owner_length = vigie_name_length(record->owner);
	uint16_t here = vigie_answer_offset(answer, answer->buffer + answer->length);
	bool known = *last_owner == record->owner && *last_offset > 0;
	uint8_t *rdata;

	if (answer->limit - answer->length < owner_length + RECORD_FIXED + record->rdlength)
		return false;
	if (known)
		rdata = vigie_answer_rr(answer, VIGIE_ANSWER, *last_offset, record->type, record->ttl,
					record->rdlength);
	else
		rdata = vigie_answer_rr_named(answer, VIGIE_ANSWER, record->owner, record->type, record->ttl,
					      record->rdlength);
	if (!rdata)
		return false;
	memcpy(rdata, record->rdata, record->rdlength);
	if (!known)
		*last_offset = here;
	*last_owner = record->owner;
	return true;
}

static bool next(struct vigie_stream *stream, struct vigie_answer *answer)
{
	struct transfer_stream *transfer = (struct transfer_stream *)stream;
	const uint8_t *last_owner = NULL;
	uint16_t last_offset = 0;

	if (transfer->done)
		return false;
	answer->flags |= VIGIE_FLAG_AA;
	while (answer->length < MESSAGE_BYTES) {
		const struct vigie_zone_record *record =
			transfer->record.owner ? &transfer->record : &transfer->soa;

		if (!put(answer, record, &last_owner, &last_offset))
			break; /* the next message has room */
		transfer->records++;
		if (!transfer->record.owner) {
			transfer->done = true; /* the SOA stood there for the second time */
			break;
		}
		if (!vigie_zone_next(transfer->zone, &transfer->walk, &transfer->record))
			transfer->record.owner = NULL;
	}
	return true;
}

static void stream_free(struct vigie_stream *stream)
{
	struct transfer_stream *transfer = (struct transfer_stream *)stream;

	transfer->ended(transfer->argument, transfer->zone, transfer->records, transfer->done);
	vigie_zone_unref(transfer->zone);
	free(transfer);
}

struct vigie_stream *transfer_stream_new(struct vigie_zone *zone, transfer_ended *ended, void *argument)
{
	struct transfer_stream *transfer = calloc(1, sizeof(*transfer));

	if (!transfer)
		return NULL;
	transfer->stream = (struct vigie_stream){.next = next, .free = stream_free};
	transfer->zone = zone;
	transfer->ended = ended;
	transfer->argument = argument;
	vigie_zone_next(zone, &transfer->walk, &transfer->record); /* the SOA: each zone has one */
	transfer->soa = transfer->record;
	return &transfer->stream;
}

void transfer_write_soa(const struct vigie_zone *zone, struct vigie_answer *answer)
{
	struct vigie_zone_walk walk = {0};
	struct vigie_zone_record record;
	const uint8_t *last_owner = NULL;
	uint16_t last_offset = 0;

	answer->flags |= VIGIE_FLAG_AA;
	if (vigie_zone_next(zone, &walk, &record))
		put(answer, &record, &last_owner, &last_offset);
}
