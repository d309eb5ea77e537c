#include <string.h>

#include "bytes.h"
#include "record.h"
#include "vigie/answer.h"

/* Reverses `count` records of `size` bytes each. */
static void reverse(uint8_t *records, size_t count, size_t size)
{
	uint8_t *first = records;
	uint8_t *last = records + (count - 1) * size;

	for (; first < last; first += size, last -= size) {
		for (size_t i = 0; i < size; i++) {
			uint8_t byte = first[i];

			first[i] = last[i];
			last[i] = byte;
		}
	}
}

static bool same_set(const uint8_t *message, const struct record *a, const struct record *b)
{
	size_t owner = a->fixed - a->owner;

	return a->type == b->type && a->class == b->class && a->rdlength == b->rdlength &&
	       b->fixed - b->owner == owner && memcmp(message + a->owner, message + b->owner, owner) == 0;
}

void vigie_answer_arrange(struct vigie_answer *answer,
			  void (*arrange)(void *argument, const struct vigie_answer *answer,
					  const struct vigie_run *run),
			  void *argument)
{
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	struct record first = {0};
	size_t count = 0;

	for (unsigned i = 0; i <= answer->count[VIGIE_ANSWER]; i++) {
		struct record record;
		bool last = i == answer->count[VIGIE_ANSWER] ||
			    !record_read(&record, answer->buffer, answer->length, at);

		if (count > 0 && !last && same_set(answer->buffer, &first, &record)) {
			count++;
			at = record.end;
			continue;
		}
		if (count > 1) {
			const struct vigie_run run = {.records = answer->buffer + first.owner,
						      .count = count,
						      .size = first.end - first.owner,
						      .type = first.type,
						      .rdlength = first.rdlength,
						      .owner = (uint16_t)first.owner};

			arrange(argument, answer, &run);
		}
		if (last)
			return;
		count = record.type == VIGIE_TYPE_A || record.type == VIGIE_TYPE_AAAA;
		first = record;
		at = record.end;
	}
}

static void rotate(void *argument, const struct vigie_answer *answer, const struct vigie_run *run)
{
	const uint32_t *seed = argument;
	size_t start = *seed % run->count;

	if (start == 0)
		return;
	/* A rotation is three reversals. */
	reverse(run->records, run->count, run->size);
	reverse(run->records, run->count - start, run->size);
	reverse(run->records + (run->count - start) * run->size, start, run->size);
}

void vigie_answer_rotate(struct vigie_answer *answer, uint32_t seed)
{
	vigie_answer_arrange(answer, rotate, &seed);
}

enum vigie_status vigie_answer_name(const struct vigie_answer *answer, uint16_t offset,
				    struct vigie_name *name)
{
	uint8_t wire[VIGIE_NAME_MAX];
	size_t length = record_copy_name(answer->buffer, answer->length, offset, answer->length, wire, NULL);

	return length > 0 ? vigie_name_from_wire(name, wire, length) : VIGIE_EINVAL;
}
