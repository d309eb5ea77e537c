#include "record.h"
#include "vigie/answer.h"

void vigie_answer_cut(struct vigie_answer *answer, size_t limit)
{
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);

	if (limit < answer->limit)
		answer->limit = limit;
	if (answer->length <= limit)
		return;
	for (int section = 0; section < VIGIE_SECTIONS; section++) {
		unsigned count = answer->count[section];

		answer->count[section] = 0;
		for (unsigned i = 0; i < count; i++) {
			struct record record;

			if (!record_read(&record, answer->buffer, answer->length, at) || record.end > limit) {
				if (section != VIGIE_ADDITIONAL)
					answer->flags |= VIGIE_FLAG_TC;
				answer->length = at;
				while (++section < VIGIE_SECTIONS)
					answer->count[section] = 0;
				return;
			}
			answer->count[section]++;
			at = record.end;
		}
	}
}
