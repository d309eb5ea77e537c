#include "vigie/answer.h"

#include <stdio.h>

#include "packet.h"

static uint8_t buffer[VIGIE_MESSAGE_MAX];
static struct packet packet;
static struct vigie_query query;
static struct vigie_answer answer;

static void begin(void)
{
	put_header(&packet, 0, 1, 0, 0, 0);
	put(&packet, BYTES(QUESTION));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	vigie_answer_begin(&answer, &query, buffer, sizeof(buffer));
}

/* A record whose RDATA's last byte tells it apart. */
static void add(uint16_t owner, uint16_t type, uint16_t rdlength, uint8_t mark)
{
	uint8_t *rdata = vigie_answer_rr(&answer, VIGIE_ANSWER, owner, type, 30, rdlength);

	assert_non_null(rdata);
	memset(rdata, 0, rdlength);
	rdata[rdlength - 1] = mark;
}

/* The marks in the order in which the records stand; each record must be whole. */
static const char *order(void)
{
	static char marks[1000];
	size_t at = VIGIE_HEADER_SIZE + QUESTION_LENGTH;
	size_t count = 0;

	while (at < answer.length) {
		assert_int_equal(buffer[at], 0xc0);
		at += 12 + (size_t)(buffer[at + 10] << 8 | buffer[at + 11]);
		assert_true(at <= answer.length);
		marks[count++] = (char)buffer[at - 1];
	}
	marks[count] = 0;
	assert_int_equal(count, answer.count[VIGIE_ANSWER]);
	return marks;
}

static const char *rotated(const char *marks, uint16_t type, uint16_t rdlength, uint32_t seed)
{
	begin();
	for (; *marks; marks++)
		add(VIGIE_OWNER_QUESTION, type, rdlength, (uint8_t)*marks);
	vigie_answer_rotate(&answer, seed);
	return order();
}

static void test_each_start(void **state)
{
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, 0), "abcde");
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, 1), "bcdea");
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, 2), "cdeab");
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, 4), "eabcd");
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, 5), "abcde");
	assert_string_equal(rotated("abcde", VIGIE_TYPE_A, 4, UINT32_MAX), "abcde");
	assert_string_equal(rotated("ab", VIGIE_TYPE_AAAA, 16, 1), "ba");
	assert_string_equal(rotated("a", VIGIE_TYPE_A, 4, 7), "a");
	assert_string_equal(rotated("", VIGIE_TYPE_A, 4, 7), "");
	assert_string_equal(rotated("abc", VIGIE_TYPE_TXT, 4, 1), "abc");
	assert_string_equal(rotated("abc", VIGIE_TYPE_SRV, 9, 1), "abc");
}

/* Every length, every seed: a rotation, so nothing is lost and nothing comes twice; each record is first
 * equally often. */
static void test_permutations(void **state)
{
	for (size_t count = 1; count <= 40; count++) {
		char marks[41] = {0};
		char twice[81];
		unsigned first[41] = {0};

		for (size_t i = 0; i < count; i++)
			marks[i] = (char)('A' + i);
		snprintf(twice, sizeof(twice), "%s%s", marks, marks);
		for (uint32_t seed = 0; seed < 3 * count; seed++) {
			const char *now = rotated(marks, VIGIE_TYPE_A, 4, seed);

			assert_non_null(strstr(twice, now));
			first[now[0] - 'A']++;
		}
		for (size_t i = 0; i < count; i++)
			assert_int_equal(first[i], 3);
	}
}

/* Only runs of one owner and one type turn; what stands before, between and behind them stays. */
static void test_runs(void **state)
{
	static const struct {
		uint32_t seed;
		const char *order;
	} orders[] = {{0, "1abc2de3fg4"}, {1, "1bca2ed3gf4"}, {2, "1cab2de3fg4"}, {5, "1cab2ed3gf4"}};

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		begin();
		add(12, VIGIE_TYPE_CNAME, 5, '1');
		for (uint8_t mark = 'a'; mark <= 'c'; mark++)
			add(20, VIGIE_TYPE_A, 4, mark);
		add(20, VIGIE_TYPE_TXT, 4, '2');
		add(20, VIGIE_TYPE_AAAA, 16, 'd');
		add(20, VIGIE_TYPE_AAAA, 16, 'e');
		add(20, VIGIE_TYPE_CNAME, 16, '3');
		add(20, VIGIE_TYPE_A, 4, 'f');
		add(20, VIGIE_TYPE_A, 4, 'g');
		add(20, VIGIE_TYPE_PTR, 4, '4');
		vigie_answer_rotate(&answer, orders[i].seed);
		assert_string_equal(order(), orders[i].order);
	}
}

/* Other owners, other types side by side, and RDATA of another length begin another run. */
static void test_borders(void **state)
{
	begin();
	add(12, VIGIE_TYPE_A, 4, 'a');
	add(12, VIGIE_TYPE_A, 4, 'b');
	add(20, VIGIE_TYPE_A, 4, 'c');
	add(20, VIGIE_TYPE_A, 4, 'd');
	add(20, VIGIE_TYPE_AAAA, 16, 'e');
	add(20, VIGIE_TYPE_AAAA, 16, 'f');
	add(20, VIGIE_TYPE_A, 4, 'g');
	add(20, VIGIE_TYPE_A, 8, 'h');
	vigie_answer_rotate(&answer, 1);
	assert_string_equal(order(), "badcfegh");
}

/* The other sections are left alone. */
static void test_other_sections(void **state)
{
	uint8_t before[VIGIE_UDP_SIZE_PLAIN];
	size_t start;

	begin();
	add(12, VIGIE_TYPE_A, 4, 'a');
	add(12, VIGIE_TYPE_A, 4, 'b');
	start = answer.length;
	for (uint8_t i = 0; i < 3; i++)
		memset(vigie_answer_rr(&answer, VIGIE_ADDITIONAL, 12, VIGIE_TYPE_A, 30, 4), i, 4);
	memcpy(before, buffer, answer.length);
	vigie_answer_rotate(&answer, 1);
	assert_memory_equal(buffer + start, before + start, answer.length - start);
	assert_memory_not_equal(buffer, before, start);
	assert_int_equal(answer.count[VIGIE_ANSWER], 2);
}

/* Owners that are spelled out, as in what was appended from another server. */
static void test_spelled_owners(void **state)
{
	static const uint8_t owner[] = "\4else\3org";

	begin();
	for (uint8_t i = 0; i < 3; i++)
		memset(vigie_answer_rr_named(&answer, VIGIE_ANSWER, owner, VIGIE_TYPE_A, 30, 4), i, 4);
	vigie_answer_rotate(&answer, 1);
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *record = buffer + VIGIE_HEADER_SIZE + QUESTION_LENGTH + 24 * i;

		assert_memory_equal(record, owner, sizeof(owner));
		assert_int_equal(record[23], (i + 1) % 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_start),     cmocka_unit_test(test_permutations),
		cmocka_unit_test(test_runs),           cmocka_unit_test(test_borders),
		cmocka_unit_test(test_other_sections), cmocka_unit_test(test_spelled_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
