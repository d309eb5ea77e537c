#include "vigie/axfr.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/bytes.h"
#include "vigie/record.h"
#include "vigie/text.h"
#include "zone.h"

struct vigie_axfr {
	struct vigie_name origin;
	uint16_t id;
	struct vigie_zone_builder *builder;
	size_t soa_length; /* 0: nothing came yet */
	uint8_t soa[VIGIE_RDATA_SCRATCH];
	bool done;
};

struct vigie_axfr *vigie_axfr_new(const struct vigie_name *origin, uint16_t id)
{
	struct vigie_axfr *axfr = calloc(1, sizeof(*axfr));

	if (!axfr)
		return NULL;
	axfr->origin = *origin;
	axfr->id = id;
	axfr->builder = vigie_zone_builder_new(origin);
	if (axfr->builder)
		return axfr;
	free(axfr);
	return NULL;
}

void vigie_axfr_free(struct vigie_axfr *axfr)
{
	if (!axfr)
		return;
	vigie_zone_builder_free(axfr->builder);
	free(axfr);
}

bool vigie_axfr_done(const struct vigie_axfr *axfr)
{
	return axfr->done;
}

struct vigie_zone_builder *vigie_axfr_builder(struct vigie_axfr *axfr)
{
	struct vigie_zone_builder *builder = axfr->builder;

	axfr->builder = NULL;
	return builder;
}

/* Whether the header is that of an answer without an error. */
static enum vigie_status check_header(const uint8_t *message, size_t length, uint16_t id,
				      struct vigie_error *error)
{
	char text[VIGIE_TEXT_MAX];
	uint16_t flags;

	if (length < VIGIE_HEADER_SIZE)
		return vigie_error_set(error, VIGIE_EINVAL, "a message is too short");
	flags = vigie_reply_flags(message);
	if (read_u16(message) != id || (flags & (VIGIE_FLAG_QR | 0x7800)) != VIGIE_FLAG_QR)
		return vigie_error_set(error, VIGIE_EINVAL, "a message is not an answer to the question");
	if (vigie_reply_rcode(message) != VIGIE_RCODE_NOERROR)
		return vigie_error_set(error, VIGIE_EINVAL, "the primary answers %s",
				       vigie_rcode_text(vigie_reply_rcode(message), text));
	if (flags & VIGIE_FLAG_TC)
		return vigie_error_set(error, VIGIE_EINVAL, "a message is truncated");
	return VIGIE_OK;
}

/* The SOA begins the transfer and, the same once more, ends it. */
static enum vigie_status take_soa(struct vigie_axfr *axfr, const uint8_t *rdata, size_t length,
				  struct vigie_error *error)
{
	if (axfr->soa_length == 0) {
		if (length > sizeof(axfr->soa))
			return vigie_error_set(error, VIGIE_EINVAL, "the SOA record is malformed");
		memcpy(axfr->soa, rdata, length);
		axfr->soa_length = length;
		return VIGIE_OK;
	}
	/* The serial at least: some primaries write a name in other letters the second time. */
	if (length < 20 || axfr->soa_length < 20 ||
	    memcmp(axfr->soa + axfr->soa_length - 20, rdata + length - 20, 4) != 0)
		return vigie_error_set(error, VIGIE_EINVAL, "the zone changed during the transfer");
	axfr->done = true;
	return VIGIE_OK;
}

static enum vigie_status take_record(struct vigie_axfr *axfr, const struct vigie_record_walk *walk,
				     const struct vigie_record *record, struct vigie_error *error)
{
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	char text[VIGIE_NAME_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];
	struct vigie_name owner;
	const uint8_t *rdata;
	size_t length = vigie_record_rdata(walk, record, scratch, &rdata);
	enum vigie_status status;

	if (length > UINT16_MAX || !vigie_record_name(walk, record->owner, &owner))
		return vigie_error_set(error, VIGIE_EINVAL, "a record is malformed");
	if (record->class != VIGIE_CLASS_IN)
		return vigie_error_set(error, VIGIE_EINVAL, "a record is not of class IN");
	if (axfr->done)
		return vigie_error_set(error, VIGIE_EINVAL, "there are records behind the last SOA");
	if (record->type == VIGIE_TYPE_SOA && vigie_name_equal(owner.bytes, axfr->origin.bytes)) {
		status = take_soa(axfr, rdata, length, error);
		if (status || axfr->done)
			return status;
	} else if (axfr->soa_length == 0) {
		return vigie_error_set(error, VIGIE_EINVAL, "the transfer does not begin with the SOA");
	}
	status = vigie_zone_builder_add(axfr->builder, owner.bytes, record->type, record->ttl, rdata, length);
	if (status == VIGIE_ENOENT)
		return VIGIE_OK;
	if (status == VIGIE_EINVAL)
		return vigie_error_set(error, status, "%s of '%.256s' is malformed",
				       vigie_type_text(record->type, type),
				       vigie_name_to_text(owner.bytes, text));
	if (status)
		return vigie_error_set(error, status, "%s",
				       status == VIGIE_ENOSPC ? "the zone is too large"
							      : vigie_status_text(status));
	return VIGIE_OK;
}

enum vigie_status vigie_axfr_take(struct vigie_axfr *axfr, const uint8_t *message, size_t length,
				  struct vigie_error *error)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	enum vigie_status status = check_header(message, length, axfr->id, error);

	if (status)
		return status;
	vigie_record_walk_message(&walk, message, length);
	while (walk.left[VIGIE_ANSWER] > 0 && !status) {
		if (!vigie_record_next(&walk, &record))
			return vigie_error_set(error, VIGIE_EINVAL, "a record is malformed");
		status = take_record(axfr, &walk, &record, error);
	}
	if (!status && axfr->soa_length == 0)
		return vigie_error_set(error, VIGIE_EINVAL, "the primary's answer is empty");
	return status;
}

enum vigie_status vigie_axfr_serial(const struct vigie_name *origin, uint16_t id, const uint8_t *message,
				    size_t length, uint32_t *serial, struct vigie_error *error)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	enum vigie_status status = check_header(message, length, id, error);

	if (status)
		return status;
	vigie_record_walk_message(&walk, message, length);
	while (walk.left[VIGIE_ANSWER] > 0 && vigie_record_next(&walk, &record)) {
		uint8_t scratch[VIGIE_RDATA_SCRATCH];
		const uint8_t *rdata;
		struct vigie_name owner;
		struct vigie_soa soa;
		size_t rdlength = vigie_record_rdata(&walk, &record, scratch, &rdata);

		if (record.type != VIGIE_TYPE_SOA || rdlength > UINT16_MAX ||
		    !vigie_record_name(&walk, record.owner, &owner) ||
		    !vigie_name_equal(owner.bytes, origin->bytes) ||
		    vigie_soa_from_rdata(&soa, rdata, rdlength) != VIGIE_OK)
			continue;
		*serial = soa.serial;
		return VIGIE_OK;
	}
	return vigie_error_set(error, VIGIE_EINVAL, "the primary's answer holds no SOA");
}
