#include "record.h"

#include <string.h>

#include "bytes.h"
#include "vigie/record.h"

enum {
	POINTER = 0xc0 /* the two top bits of a label's length byte */
};

size_t record_skip_name(const uint8_t *message, size_t length, size_t at)
{
	size_t start = at;

	while (at < length) {
		uint8_t label = message[at];

		if ((label & POINTER) == POINTER)
			return at + 2 <= length ? at + 2 : 0;
		if (label > VIGIE_LABEL_MAX)
			return 0;
		at += 1U + label;
		if (at - start > VIGIE_NAME_MAX)
			return 0;
		if (label == 0)
			return at;
	}
	return 0;
}

bool record_read(struct record *record, const uint8_t *message, size_t length, size_t at)
{
	record->owner = at;
	record->fixed = record_skip_name(message, length, at);
	if (record->fixed == 0 || length - record->fixed < RECORD_FIXED)
		return false;
	record->type = read_u16(message + record->fixed);
	record->class = read_u16(message + record->fixed + 2);
	record->ttl = read_u32(message + record->fixed + 4);
	record->rdlength = read_u16(message + record->fixed + 8);
	record->rdata = record->fixed + RECORD_FIXED;
	record->end = record->rdata + record->rdlength;
	return record->end <= length;
}

size_t record_copy_name(const uint8_t *message, size_t length, size_t at, size_t end, uint8_t *name,
			size_t *next)
{
	size_t written = 0;
	size_t before = at; /* a pointer must lead to before where the part that holds it began: no loop is
			       possible */
	bool jumped = false;
	unsigned pointers = 0; /* each leads to a label at least, or names with thousands would take time */

	for (;;) {
		size_t bound = jumped ? length : end;
		uint8_t label;

		if (at >= bound)
			return 0;
		label = message[at];
		if ((label & POINTER) == POINTER) {
			size_t target;

			if (bound - at < 2)
				return 0;
			target = read_u16(message + at) & 0x3fffU;
			if (target >= before || target < VIGIE_HEADER_SIZE || ++pointers > VIGIE_LABELS_MAX)
				return 0;
			if (!jumped && next)
				*next = at + 2;
			jumped = true;
			at = before = target;
			continue;
		}
		if (label > VIGIE_LABEL_MAX || bound - at < 1U + label ||
		    written + 1U + label > VIGIE_NAME_MAX)
			return 0;
		memcpy(name + written, message + at, 1U + label);
		written += 1U + label;
		at += 1U + label;
		if (label == 0) {
			if (!jumped && next)
				*next = at;
			return written;
		}
	}
}

/* How many plain bytes and names the RDATA of a type begins with, where compression is allowed (RFC 3597
 * section 4). What follows the names is plain. Other types are copied as they are. */
static void rdata_shape(uint16_t type, size_t *plain, int *names)
{
	*plain = 0;
	*names = 0;
	switch (type) {
	case VIGIE_TYPE_NS:
	case 3: /* MD */
	case 4: /* MF */
	case VIGIE_TYPE_CNAME:
	case 7: /* MB */
	case 8: /* MG */
	case 9: /* MR */
	case VIGIE_TYPE_PTR:
	case VIGIE_TYPE_DNAME:
		*names = 1;
		break;
	case VIGIE_TYPE_SOA:
	case 14: /* MINFO */
	case 17: /* RP */
		*names = 2;
		break;
	case VIGIE_TYPE_MX:
	case 18: /* AFSDB */
	case 21: /* RT */
		*plain = 2;
		*names = 1;
		break;
	case VIGIE_TYPE_SRV:
		*plain = 6;
		*names = 1;
		break;
	}
}

size_t record_expand_rdata(const uint8_t *message, size_t length, const struct record *record,
			   uint8_t *scratch, const uint8_t **rdata)
{
	size_t at = record->rdata;
	size_t written;
	size_t plain;
	int names;

	rdata_shape(record->type, &plain, &names);
	*rdata = message + record->rdata;
	if (names == 0)
		return record->rdlength;
	if (record->rdlength < plain)
		return SIZE_MAX;
	memcpy(scratch, message + at, plain);
	at += plain;
	written = plain;
	while (names-- > 0) {
		size_t name = record_copy_name(message, length, at, record->end, scratch + written, &at);

		if (name == 0)
			return SIZE_MAX;
		written += name;
	}
	if (record->end - at > VIGIE_RDATA_SCRATCH - written)
		return SIZE_MAX;
	memcpy(scratch + written, message + at, record->end - at);
	*rdata = scratch;
	return written + record->end - at;
}
