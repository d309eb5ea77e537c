#include <string.h>

#include "bytes.h"
#include "record.h"
#include "vigie/record.h"

void vigie_record_walk_message(struct vigie_record_walk *walk, const uint8_t *message, size_t length)
{
	size_t at = VIGIE_HEADER_SIZE;

	*walk = (struct vigie_record_walk){.message = message, .length = length, .at = length};
	if (length < VIGIE_HEADER_SIZE)
		return;
	for (int section = 0; section < VIGIE_SECTIONS; section++)
		walk->left[section] = read_u16(message + 6 + 2 * section);
	if (read_u16(message + 4) > 0) {
		at = record_skip_name(message, length, at);
		at = at > 0 && length - at >= 4 ? at + 4 : length;
	}
	walk->at = at;
}

void vigie_record_walk_answer(struct vigie_record_walk *walk, const struct vigie_answer *answer)
{
	*walk = (struct vigie_record_walk){
		.message = answer->buffer,
		.length = answer->length,
		.at = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query),
	};
	for (int section = 0; section < VIGIE_SECTIONS; section++)
		walk->left[section] = answer->count[section];
}

bool vigie_record_next(struct vigie_record_walk *walk, struct vigie_record *record)
{
	int section = VIGIE_ANSWER;
	struct record found;

	while (section < VIGIE_SECTIONS && walk->left[section] == 0)
		section++;
	if (section == VIGIE_SECTIONS || !record_read(&found, walk->message, walk->length, walk->at))
		return false;
	walk->left[section]--;
	walk->at = found.end;
	*record = (struct vigie_record){
		.section = (enum vigie_section)section,
		.owner = found.owner,
		.fixed = found.fixed,
		.rdata = found.rdata,
		.end = found.end,
		.ttl = found.ttl,
		.type = found.type,
		.class = found.class,
		.rdlength = found.rdlength,
	};
	return true;
}

bool vigie_record_name(const struct vigie_record_walk *walk, size_t at, struct vigie_name *name)
{
	uint8_t wire[VIGIE_NAME_MAX];

	return record_copy_name(walk->message, walk->length, at, walk->length, wire, NULL) > 0 &&
	       vigie_name_from_wire(name, wire, sizeof(wire)) == VIGIE_OK;
}

size_t vigie_record_rdata(const struct vigie_record_walk *walk, const struct vigie_record *record,
			  uint8_t *scratch, const uint8_t **rdata)
{
	const struct record found = {.type = record->type,
				     .rdata = record->rdata,
				     .end = record->end,
				     .rdlength = record->rdlength};

	return record_expand_rdata(walk->message, walk->length, &found, scratch, rdata);
}

size_t vigie_query_options(const struct vigie_query *query, const uint8_t **options)
{
	struct vigie_record_walk walk;
	struct vigie_record record;

	*options = query->packet;
	if (!query->edns)
		return 0;
	vigie_record_walk_message(&walk, query->packet, query->packet_length);
	while (vigie_record_next(&walk, &record)) {
		if (record.type != VIGIE_TYPE_OPT)
			continue;
		*options = query->packet + record.rdata;
		return record.rdlength;
	}
	return 0;
}
