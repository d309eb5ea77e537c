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

void vigie_answer_rotate(struct vigie_answer *answer, uint32_t seed)
{
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	struct record first = {0};
	size_t run = 0;

	for (unsigned i = 0; i <= answer->count[VIGIE_ANSWER]; i++) {
		struct record record;
		bool last = i == answer->count[VIGIE_ANSWER] ||
			    !record_read(&record, answer->buffer, answer->length, at);

		if (run > 0 && !last && same_set(answer->buffer, &first, &record)) {
			run++;
			at = record.end;
			continue;
		}
		if (run > 1) {
			size_t size = first.end - first.owner;
			size_t start = seed % run;
			uint8_t *records = answer->buffer + first.owner;

			/* A rotation is three reversals. */
			if (start > 0) {
				reverse(records, run, size);
				reverse(records, run - start, size);
				reverse(records + (run - start) * size, start, size);
			}
		}
		if (last)
			return;
		run = record.type == VIGIE_TYPE_A || record.type == VIGIE_TYPE_AAAA;
		first = record;
		at = record.end;
	}
}
