/* The answer to a rewritten query becomes one to the query that the client sent. */
#include <string.h>

#include "record_writer.h"
#include "rewrite.h"
#include "vigie/record.h"
#include "vigie/bytes.h"

/* The new name, and all below it, becomes the old one again. */
static void name_back(const char *renamed, const char *original, char *text)
{
	char mapped[2 * VIGIE_NAME_TEXT_MAX];
	size_t length = strlen(text);
	size_t suffix = strlen(renamed);
	size_t before = length - suffix;

	if (length < suffix || strcmp(text + before, renamed) != 0 || (before > 0 && text[before - 1] != '.'))
		return;
	memcpy(mapped, text, before);
	strcpy(mapped + before, original);
	if (strlen(mapped) < VIGIE_NAME_TEXT_MAX)
		strcpy(text, mapped);
}

/* Changes a name of the answer (VIGIE_NAME_TEXT_MAX bytes) as the rules that applied say: the last first. */
static void map_text(const struct rewrite_work *work, bool value, char *text)
{
	char mapped[VIGIE_NAME_TEXT_MAX];

	for (size_t i = work->applied_count; i-- > 0;) {
		const struct rewrite_rule *rule = work->applied[i].rule;
		size_t name = work->applied[i].name;

		for (size_t b = rule->back_count; b-- > 0;) {
			const struct rewrite_back *back = &rule->backs[b];

			if ((value ? back->values : back->owners) &&
			    name_match(&back->match, text, back->to, mapped))
				strcpy(text, mapped);
		}
		if (rule->automatic)
			name_back(work->names[name + 1], work->names[name], text);
	}
}

/* The same with a name as it is in messages; what would be no name stays. */
static void map_name(const struct rewrite_work *work, bool value, struct vigie_name *name)
{
	char text[VIGIE_NAME_TEXT_MAX];
	struct vigie_name mapped;

	vigie_name_to_text(name->bytes, text);
	map_text(work, value, text);
	if (vigie_name_from_text(&mapped, text) == VIGIE_OK)
		*name = mapped;
}

static uint32_t map_ttl(const struct rewrite_work *work, uint32_t ttl)
{
	for (size_t i = work->applied_count; i-- > 0;) {
		const struct rewrite_rule *rule = work->applied[i].rule;

		if (rule->field == REWRITE_TTL && ttl < rule->ttl_least)
			ttl = rule->ttl_least;
		else if (rule->field == REWRITE_TTL && ttl > rule->ttl_most)
			ttl = rule->ttl_most;
	}
	return ttl;
}

static uint16_t map_rcode(const struct rewrite_work *work, uint16_t rcode)
{
	for (size_t i = work->applied_count; i-- > 0;) {
		const struct rewrite_rule *rule = work->applied[i].rule;

		if (rule->field == REWRITE_RCODE && rcode == rule->number_from)
			rcode = rule->number_to;
	}
	return rcode;
}

/* Whether a rule sends the chain elsewhere at a CNAME record with this target; the target is the new one
 * then. */
static bool map_cname(const struct rewrite_work *work, struct vigie_name *target)
{
	char text[VIGIE_NAME_TEXT_MAX];
	char mapped[VIGIE_NAME_TEXT_MAX];

	vigie_name_to_text(target->bytes, text);
	for (size_t i = work->applied_count; i-- > 0;) {
		const struct rewrite_rule *rule = work->applied[i].rule;
		struct vigie_name name;

		if (rule->field != REWRITE_CNAME || !name_match(&rule->match, text, rule->to, mapped) ||
		    vigie_name_from_text(&name, mapped))
			continue;
		*target = name;
		return true;
	}
	return false;
}

struct writer {
	const struct rewrite_work *work;
	struct record_writer records;
	struct vigie_record_walk walk;
	struct vigie_name target; /* of a rewritten CNAME; length 0: none yet */
};

/* Writes a record with its names changed. False when it is malformed. */
static bool copy_record(struct writer *writer, const struct vigie_record *record)
{
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	struct vigie_name owner;
	struct vigie_name value;
	const uint8_t *rdata;
	size_t length = vigie_record_rdata(&writer->walk, record, scratch, &rdata);
	size_t at;
	size_t old_length = 0;
	uint8_t *to;

	if (length == SIZE_MAX || !vigie_record_name(&writer->walk, record->owner, &owner))
		return false;
	map_name(writer->work, false, &owner);
	at = record_target(record->type, rdata, length);
	value.length = 0;
	if (at < length) {
		if (vigie_name_from_wire(&value, rdata + at, length - at))
			return false;
		old_length = value.length;
		map_name(writer->work, true, &value);
		if (record->type == VIGIE_TYPE_CNAME && record->section == VIGIE_ANSWER &&
		    map_cname(writer->work, &value))
			writer->target = value;
	} else {
		at = 0;
	}
	to = record_writer_add(&writer->records, record, &owner, map_ttl(writer->work, record->ttl),
			       length - old_length + value.length);
	if (!to)
		return true; /* it does not fit: TC is set */
	memcpy(to, rdata, at);
	memcpy(to + at, value.bytes, value.length);
	memcpy(to + at + value.length, rdata + at + old_length, length - at - old_length);
	return true;
}

/* Whether names of the answer may change. */
static bool changes_names(const struct rewrite_work *work)
{
	for (size_t i = 0; i < work->applied_count; i++) {
		enum rewrite_field field = work->applied[i].rule->field;

		if (field == REWRITE_NAME || field == REWRITE_CNAME)
			return true;
	}
	return false;
}

/* The question is the same but for its type and class: the records can be taken as they stand. */
static enum vigie_status take(const struct rewrite_work *work, const uint8_t *reply, size_t length,
			      struct vigie_answer *answer)
{
	enum vigie_status status = vigie_answer_take(answer, reply, length);
	struct vigie_record_walk walk;
	struct vigie_record record;

	if (status)
		return status;
	vigie_record_walk_answer(&walk, answer);
	while (vigie_record_next(&walk, &record))
		write_u32(answer->buffer + record.fixed + 4, map_ttl(work, record.ttl));
	answer->rcode = map_rcode(work, answer->rcode);
	return VIGIE_OK;
}

enum vigie_status rewrite_answer(const struct rewrite_work *work, const uint8_t *reply, size_t length,
				 struct vigie_answer *answer, struct vigie_name *target)
{
	struct writer writer = {.work = work, .records.answer = answer};
	uint16_t rcode = vigie_reply_rcode(reply);
	struct vigie_record record;

	target->length = 0;
	if (!changes_names(work))
		return take(work, reply, length, answer);
	vigie_answer_reset(answer);
	/* What is signed is another name: AD stays behind. */
	answer->flags = vigie_reply_flags(reply) & (VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_FLAG_RA);
	vigie_record_walk_message(&writer.walk, reply, length);
	while (vigie_record_next(&writer.walk, &record)) {
		if (record.type == VIGIE_TYPE_OPT) {
			rcode = (uint16_t)(record.ttl >> 24 << 4 | rcode);
			continue;
		}
		if (!copy_record(&writer, &record))
			return VIGIE_EINVAL;
		if (writer.target.length > 0)
			break;
	}
	if (writer.target.length == 0 && writer.walk.left[VIGIE_ANSWER] + writer.walk.left[VIGIE_AUTHORITY] +
							 writer.walk.left[VIGIE_ADDITIONAL] >
						 0)
		return VIGIE_EINVAL;
	answer->rcode = map_rcode(work, rcode);
	*target = writer.target;
	return VIGIE_OK;
}
