#include "vigie/answer.h"

#include "packet.h"

static uint8_t buffer[VIGIE_MESSAGE_MAX];
static struct packet packet;
static struct vigie_query query;
static struct vigie_answer answer;

enum {
	FIRST = VIGIE_HEADER_SIZE + QUESTION_LENGTH,
	RECORD = 16, /* bytes of an A record */
	RECORDS = 5  /* two answers, one authority, two additional ones */
};

static void begin(bool edns)
{
	static const enum vigie_section sections[RECORDS] = {VIGIE_ANSWER, VIGIE_ANSWER, VIGIE_AUTHORITY,
							     VIGIE_ADDITIONAL, VIGIE_ADDITIONAL};

	put_header(&packet, 0, 1, 0, 0, edns);
	put(&packet, BYTES(QUESTION));
	if (edns)
		put(&packet, BYTES(OPT_DO));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	vigie_answer_begin(&answer, &query, buffer, sizeof(buffer));
	for (int i = 0; i < RECORDS; i++)
		memset(vigie_answer_rr(&answer, sections[i], VIGIE_OWNER_QUESTION, VIGIE_TYPE_A, 30, 4), i,
		       4);
}

/* For every limit: whole records, from the first on, and TC unless only additional ones are missing. */
static void test_every_limit(void **state)
{
	for (size_t limit = FIRST; limit <= FIRST + RECORDS * RECORD + 3; limit++) {
		size_t fit = (limit - FIRST) / RECORD < RECORDS ? (limit - FIRST) / RECORD : RECORDS;
		unsigned kept;

		begin(false);
		vigie_answer_cut(&answer, limit);
		kept = (unsigned)answer.count[0] + answer.count[1] + answer.count[2];
		assert_int_equal(kept, fit);
		assert_int_equal(answer.length, FIRST + fit * RECORD);
		assert_int_equal((answer.flags & VIGIE_FLAG_TC) != 0, fit < 3);
		assert_int_equal(vigie_answer_end(&answer), FIRST + fit * RECORD);
		assert_int_equal(buffer[7] + buffer[9] + buffer[11], fit);
	}
}

/* OPT and its options stay within the size that the limit was made of. */
static void test_options(void **state)
{
	begin(true);
	vigie_answer_explain(&answer, VIGIE_EDE_OTHER,
			     "a text that is longer than what is left behind the records");
	vigie_answer_cut(&answer, FIRST + RECORDS * RECORD + 10);
	assert_int_equal(vigie_answer_end(&answer), FIRST + RECORDS * RECORD + 11 + 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_limit),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
