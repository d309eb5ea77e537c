#include "vigie/answer.h"

#include "packet.h"

/* The query of a test, plain or with OPT_DO, and the answer that is written to it. */
struct fixture {
	struct packet packet;
	struct vigie_query query;
	struct vigie_answer answer;
	uint8_t buffer[VIGIE_MESSAGE_MAX];
};

static void begin(struct fixture *f, bool edns, size_t limit)
{
	put_header(&f->packet, VIGIE_FLAG_RD | VIGIE_FLAG_CD, 1, 0, 0, edns);
	put(&f->packet, BYTES(QUESTION));
	if (edns)
		put(&f->packet, BYTES(OPT_DO));
	assert_int_equal(parse(&f->query, &f->packet), VIGIE_GATE_OK);
	memset(f->buffer, 0xaa, sizeof(f->buffer));
	vigie_answer_begin(&f->answer, &f->query, f->buffer, limit);
}

static void expect_end(struct fixture *f, const uint8_t *bytes, size_t length)
{
	assert_int_equal(vigie_answer_end(&f->answer), length);
	assert_memory_equal(f->buffer, bytes, length);
}

static int setup(void **state)
{
	*state = malloc(sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512);
	expect_end(f, BYTES("\x12\x34\x81\x10\0\1\0\0\0\0\0\0" QUESTION));
	begin(f, true, 512);
	f->answer.flags = VIGIE_FLAG_AA | VIGIE_FLAG_RA | VIGIE_FLAG_AD;
	f->answer.rcode = VIGIE_RCODE_NXDOMAIN;
	expect_end(f, BYTES("\x12\x34\x85\xb3\0\1\0\0\0\0\0\1" QUESTION OPT_DO));
}

/* AD is for those who sent AD or DO (RFC 6840 section 5.8). */
static void test_ad(void **state)
{
	struct fixture *f = *state;

	for (unsigned asked = 0; asked < 2; asked++) {
		begin(f, false, 512);
		f->query.flags = (uint16_t)(f->query.flags | (asked ? VIGIE_FLAG_AD : 0));
		f->answer.flags = VIGIE_FLAG_AD;
		vigie_answer_end(&f->answer);
		assert_int_equal((f->buffer[3] & VIGIE_FLAG_AD) != 0, asked);
	}
}

static void test_records(void **state)
{
	struct fixture *f = *state;
	uint8_t *rdata;

	begin(f, true, 512);
	rdata = vigie_answer_rr(&f->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_A, 0x01020304, 4);
	memcpy(rdata, "\12\0\0\1", 4);
	rdata = vigie_answer_rr_named(&f->answer, VIGIE_AUTHORITY, (const uint8_t *)"\3Com", VIGIE_TYPE_NS, 5,
				      2);
	memcpy(rdata, "\xc0\x14", 2);
	assert_int_equal(vigie_answer_offset(&f->answer, rdata), 60);
	rdata = vigie_answer_rr(&f->answer, VIGIE_ADDITIONAL, 20, VIGIE_TYPE_TXT, 0, 1);
	*rdata = 0;
	expect_end(f,
		   BYTES("\x12\x34\x81\x10\0\1\0\1\0\1\0\2" QUESTION "\xc0\x0c\0\1\0\1\1\2\3\4\0\4\12\0\0\1"
			 "\3Com\0\0\2\0\1\0\0\0\5\0\2\xc0\x14"
			 "\xc0\x14\0\x10\0\1\0\0\0\0\0\1\0" OPT_DO));
}

/* 12 bits of rcode: the upper ones stand in OPT, which answers only who sent one. */
static void test_extended_rcode(void **state)
{
	struct fixture *f = *state;

	begin(f, true, 512);
	f->answer.rcode = 0xabc;
	expect_end(f, BYTES("\x12\x34\x81\x1c\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\4\xd0\xab\0\x80\0\0\0"));
	begin(f, false, 512);
	f->answer.rcode = 15;
	expect_end(f, BYTES("\x12\x34\x81\x1f\0\1\0\0\0\0\0\0" QUESTION));
	begin(f, false, 512);
	f->answer.rcode = 23; /* BADCOOKIE from upstream: without OPT it would read as 7 */
	expect_end(f, BYTES("\x12\x34\x81\x12\0\1\0\0\0\0\0\0" QUESTION));
}

/* The largest record that fits and the smallest that does not, in each section, with and without OPT. */
static void test_limit(void **state)
{
	static const size_t limits[] = {512, 513, 1232, 65535};
	struct fixture *f = *state;

	for (size_t i = 0; i < 4; i++) {
		for (int edns = 0; edns <= 1; edns++) {
			for (int section = VIGIE_ANSWER; section < VIGIE_SECTIONS; section++) {
				size_t room = limits[i] - VIGIE_HEADER_SIZE - QUESTION_LENGTH -
					      (edns ? 11 : 0) - 12;
				uint16_t flags = section == VIGIE_ADDITIONAL ? 0 : VIGIE_FLAG_TC;

				begin(f, edns, limits[i]);
				assert_null(vigie_answer_rr(&f->answer, (enum vigie_section)section, 12, 1, 0,
							    (uint16_t)(room + 1)));
				assert_int_equal(f->answer.flags, flags);
				assert_int_equal(f->answer.length, VIGIE_HEADER_SIZE + QUESTION_LENGTH);
				assert_int_equal(f->answer.count[section], 0);
				assert_non_null(vigie_answer_rr(&f->answer, (enum vigie_section)section, 12,
								1, 0, (uint16_t)room));
				assert_int_equal(f->answer.flags, flags);
				assert_int_equal(f->answer.count[section], 1);
				assert_null(vigie_answer_rr_named(&f->answer, VIGIE_ADDITIONAL,
								  (const uint8_t *)"", 1, 0, 0));
				assert_int_equal(vigie_answer_end(&f->answer), limits[i]);
				if (limits[i] < sizeof(f->buffer))
					assert_int_equal(f->buffer[limits[i]], 0xaa);
			}
		}
	}
}

/* The same for owners that are spelled out. */
static void test_limit_named(void **state)
{
	static const uint8_t owner[] = "\5owner\7example";
	struct fixture *f = *state;
	size_t room = 512 - VIGIE_HEADER_SIZE - QUESTION_LENGTH - sizeof(owner) - 10;

	begin(f, false, 512);
	assert_null(vigie_answer_rr_named(&f->answer, VIGIE_ADDITIONAL, owner, 1, 0, (uint16_t)(room + 1)));
	assert_int_equal(f->answer.flags, 0);
	assert_non_null(vigie_answer_rr_named(&f->answer, VIGIE_ADDITIONAL, owner, 1, 0, (uint16_t)room));
	assert_int_equal(vigie_answer_end(&f->answer), 512);
	begin(f, false, 512);
	assert_null(vigie_answer_rr_named(&f->answer, VIGIE_ANSWER, owner, 1, 0, (uint16_t)(room + 1)));
	assert_int_equal(f->answer.flags, VIGIE_FLAG_TC);
}

/* The longest question leaves room for OPT even in the smallest answer. */
static void test_longest_question(void **state)
{
	struct fixture *f = *state;
	struct packet *packet = &f->packet;

	put_header(packet, 0, 1, 0, 0, 1);
	put_fill(packet, 1, 254);
	put(packet, BYTES("\0\0\1\0\1" OPT_DO));
	assert_int_equal(parse(&f->query, packet), VIGIE_GATE_OK);
	vigie_answer_begin(&f->answer, &f->query, f->buffer, 512);
	assert_null(vigie_answer_rr(&f->answer, VIGIE_ANSWER, 12, 1, 0, 300));
	assert_int_equal(vigie_answer_end(&f->answer), packet->length);
	assert_memory_equal(f->buffer + 12, packet->bytes + 12, packet->length - 12);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512);
	vigie_answer_rr(&f->answer, VIGIE_ANSWER, 12, 1, 0, 4);
	assert_null(vigie_answer_rr(&f->answer, VIGIE_AUTHORITY, 12, 1, 0, 1000));
	f->answer.rcode = VIGIE_RCODE_NXDOMAIN;
	f->answer.rotated = true;
	vigie_answer_reset(&f->answer);
	assert_false(f->answer.rotated);
	expect_end(f, BYTES("\x12\x34\x81\x10\0\1\0\0\0\0\0\0" QUESTION));
}

static void test_offsets(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 65535);
	assert_int_equal(vigie_answer_offset(&f->answer, f->buffer + VIGIE_OWNER_QUESTION), 12);
	assert_int_equal(vigie_answer_offset(&f->answer, f->buffer + VIGIE_POINTER_MAX), 0x3fff);
	assert_int_equal(vigie_answer_offset(&f->answer, f->buffer + VIGIE_POINTER_MAX + 1), 0);
	assert_int_equal(vigie_answer_offset(&f->answer, f->buffer + 65534), 0);
	/* An owner at the last offset that a pointer reaches. */
	assert_non_null(vigie_answer_rr(&f->answer, VIGIE_ANSWER, VIGIE_POINTER_MAX, 1, 0, 0));
	assert_memory_equal(f->buffer + 29, "\xff\xff\0\1\0\1", 6);
}

static void expect_refusal(const uint8_t *packet, size_t packet_length, enum vigie_gate gate,
			   const uint8_t *bytes, size_t length)
{
	struct vigie_query query;
	uint8_t buffer[512];

	memset(buffer, 0xaa, sizeof(buffer));
	assert_int_equal(parse_exact(&query, packet, packet_length), gate);
	assert_int_equal(vigie_answer_refusal(&query, gate, buffer, sizeof(buffer)), length);
	assert_memory_equal(buffer, bytes, length);
}

static void test_silence(void **state)
{
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), VIGIE_GATE_SHORT, BYTES(""));
	expect_refusal(BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" QUESTION), VIGIE_GATE_RESPONSE, BYTES(""));
}

static void test_refusals(void **state)
{
	/* Opcode NOTIFY: it is echoed, with RD and CD, but not AA, AD or the rcode. */
	expect_refusal(BYTES("\x12\x34\x25\x3f\0\1\0\0\0\0\0\0" QUESTION), VIGIE_GATE_OPCODE,
		       BYTES("\x12\x34\xa1\x14\0\0\0\0\0\0\0\0"));
	expect_refusal(BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0" QUESTION QUESTION), VIGIE_GATE_QDCOUNT,
		       BYTES("\x12\x34\x81\1\0\0\0\0\0\0\0\0"));
	/* A question that can be read, and one that cannot. */
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION "x"), VIGIE_GATE_FORMAT,
		       BYTES("\x12\x34\x81\1\0\1\0\0\0\0\0\0" QUESTION));
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"), VIGIE_GATE_FORMAT,
		       BYTES("\x12\x34\x81\1\0\0\0\0\0\0\0\0"));
	/* Two OPT records: the answer has one. */
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\2" QUESTION OPT_DO OPT_DO), VIGIE_GATE_FORMAT,
		       BYTES("\x12\x34\x81\1\0\1\0\0\0\0\0\1" QUESTION OPT_DO));
	/* One with a name, and one in another section. */
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\1" QUESTION "\1a" OPT_DO), VIGIE_GATE_FORMAT,
		       BYTES("\x12\x34\x81\1\0\1\0\0\0\0\0\1" QUESTION OPT_PLAIN));
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\1\0\0" QUESTION OPT_DO), VIGIE_GATE_FORMAT,
		       BYTES("\x12\x34\x81\1\0\1\0\0\0\0\0\1" QUESTION OPT_DO));
	/* One behind what is no question, or no query. */
	expect_refusal(BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\1" QUESTION QUESTION OPT_DO), VIGIE_GATE_QDCOUNT,
		       BYTES("\x12\x34\x81\1\0\0\0\0\0\0\0\1" OPT_PLAIN));
	expect_refusal(BYTES("\x12\x34\x79\0\0\0\0\0\0\0\0\1" OPT_DO), VIGIE_GATE_OPCODE,
		       BYTES("\x12\x34\xf9\4\0\0\0\0\0\0\0\1" OPT_PLAIN));
	expect_refusal(BYTES("\x12\x34\x29\0\0\1\0\1\0\0\0\1" QUESTION), VIGIE_GATE_OPCODE,
		       BYTES("\x12\x34\xa9\4\0\0\0\0\0\0\0\0"));
	expect_refusal(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\4\xd0\0\7\x80\0\0\0"),
		       VIGIE_GATE_VERSION,
		       BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\4\xd0\1\0\x80\0\0\0"));
}

static void test_query_write(void **state)
{
	static const uint8_t name[] = "\7eXaMpLe\3ORG";
	uint8_t buffer[64];
	size_t length;

	length = vigie_query_write(buffer, sizeof(buffer), 0xabcd, VIGIE_FLAG_RD, name, VIGIE_TYPE_A,
				   VIGIE_CLASS_IN, false, true);
	assert_int_equal(length, 29);
	assert_memory_equal(buffer, "\xab\xcd\1\0\0\1\0\0\0\0\0\0" QUESTION, length);
	length = vigie_query_write(buffer, 40, 0xabcd, VIGIE_FLAG_RD | VIGIE_FLAG_CD, name, VIGIE_TYPE_A,
				   VIGIE_CLASS_IN, true, true);
	assert_int_equal(length, 40);
	assert_memory_equal(buffer, "\xab\xcd\1\x10\0\1\0\0\0\0\0\1" QUESTION OPT_DO, length);
	vigie_query_write(buffer, 40, 0, 0, name, VIGIE_TYPE_A, VIGIE_CLASS_IN, true, false);
	assert_memory_equal(buffer + 29, "\0\0\x29\4\xd0\0\0\0\0\0\0", 11);
	buffer[39] = buffer[28] = 0xaa;
	assert_int_equal(vigie_query_write(buffer, 39, 0, 0, name, 1, 1, true, false), 0);
	assert_int_equal(vigie_query_write(buffer, 28, 0, 0, name, 1, 1, false, false), 0);
	assert_int_equal(vigie_query_write(buffer, 0, 0, 0, name, 1, 1, false, false), 0);
	assert_int_equal(buffer[39], 0xaa);
	assert_int_equal(buffer[28], 0xaa);
}

static void test_explained(void **state)
{
	struct fixture *f = *state;

	begin(f, true, 512);
	vigie_answer_explain(&f->answer, VIGIE_EDE_STALE, "why");
	f->answer.nsid = "me";
	expect_end(f, BYTES("\x12\x34\x81\x10\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\4\xd0\0\0\x80\0\0\xf"
			    "\0\3\0\2me\0\xf\0\5\0\3why"));
	begin(f, false, 512); /* nothing without EDNS */
	vigie_answer_explain(&f->answer, VIGIE_EDE_STALE, "why");
	f->answer.nsid = "me";
	expect_end(f, BYTES("\x12\x34\x81\x10\0\1\0\0\0\0\0\0" QUESTION));
}

/* Room for records is what is left for options: the text goes first, then the code. */
static void test_explained_in_little_room(void **state)
{
	struct fixture *f = *state;
	const size_t rdata = 512 - QUESTION_LENGTH - VIGIE_HEADER_SIZE - 12 - 11;

	for (size_t left = 0; left < 12; left++) {
		uint8_t *record;
		size_t length;

		begin(f, true, 512);
		record = vigie_answer_rr(&f->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_TXT, 0,
					 (uint16_t)(rdata - left));
		assert_non_null(record);
		memset(record, 0, rdata - left);
		vigie_answer_explain(&f->answer, VIGIE_EDE_OTHER, "why");
		length = vigie_answer_end(&f->answer);
		assert_int_equal(length, 512 - left + (left < 6 ? 0 : left < 9 ? 6 : 9));
		assert_int_equal(f->buffer[512], 0xaa);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extended_rcode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_question, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explained, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explained_in_little_room, setup, teardown),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_query_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
