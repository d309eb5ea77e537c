#include "packet.h"
#include "vigie/reply.h"

/* What was asked, and the reply to it, in memory of exactly their sizes. */
struct fixture {
	struct packet asked;
	struct packet reply;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void begin(struct fixture *f, unsigned flags, unsigned answers, unsigned authorities,
		  unsigned additionals)
{
	put_header(&f->asked, VIGIE_FLAG_RD, 1, 0, 0, 0);
	put(&f->asked, BYTES(QUESTION));
	put_header(&f->reply, VIGIE_FLAG_QR | flags, 1, answers, authorities, additionals);
	put(&f->reply, BYTES(QUESTION));
}

static enum vigie_reply_fault judge(const struct fixture *f)
{
	uint8_t *asked = exact(f->asked.bytes, f->asked.length);
	uint8_t *reply = exact(f->reply.bytes, f->reply.length);
	enum vigie_reply_fault fault = vigie_reply_judge(asked, reply, f->reply.length);

	free(asked);
	free(reply);
	return fault;
}

/* An A record of the question's name. */
static void put_a(struct fixture *f)
{
	put(&f->reply, BYTES("\xc0\x0c"));
	put_fixed(&f->reply, VIGIE_TYPE_A, 4);
	put(&f->reply, BYTES("\xc0\0\2\1"));
}

/* An OPT record with these options. */
static void put_opt(struct fixture *f, const uint8_t *options, size_t length)
{
	put(&f->reply, BYTES("\0\0\x29\4\xd0\0\0\0\0"));
	put_u16(&f->reply, (unsigned)length);
	put(&f->reply, options, length);
}

static void test_good(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, 1, 0, 1);
	put_a(f);
	put_opt(f, BYTES("\0\3\0\2ab"));
	assert_int_equal(judge(f), VIGIE_REPLY_GOOD);
}

/* RFC 5452 section 4: the id, the question, and the direction. */
static void test_what_makes_it_ours(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, 0, 0, 0);
	f->reply.bytes[1] ^= 1;
	assert_int_equal(judge(f), VIGIE_REPLY_ID);
	begin(f, 0, 0, 0, 0);
	f->reply.bytes[2] &= 0x7f;
	assert_int_equal(judge(f), VIGIE_REPLY_QUERY);
	begin(f, 0x2800, 0, 0, 0);
	assert_int_equal(judge(f), VIGIE_REPLY_QUERY);
	begin(f, 0, 0, 0, 0);
	f->reply.bytes[f->reply.length - 3] ^= 1;
	assert_int_equal(judge(f), VIGIE_REPLY_QUESTION);
	begin(f, 0, 0, 0, 0);
	f->reply.bytes[5] = 2;
	assert_int_equal(judge(f), VIGIE_REPLY_QUESTION);
	begin(f, 0, 0, 0, 0);
	f->reply.length -= 1;
	assert_int_equal(judge(f), VIGIE_REPLY_SHORT);
}

static void test_letters(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, 0, 0, 0);
	f->reply.bytes[13] ^= 0x20;
	assert_int_equal(judge(f), VIGIE_REPLY_CASE);
	/* The bit that tells capitals apart means something else in what is no letter. */
	f->reply.bytes[12] ^= 0x20;
	assert_int_equal(judge(f), VIGIE_REPLY_QUESTION);
}

static void test_an_error_without_question(void **state)
{
	struct fixture *f = *state;

	begin(f, VIGIE_RCODE_FORMERR, 0, 0, 0);
	f->reply.bytes[5] = 0;
	f->reply.length = VIGIE_HEADER_SIZE;
	assert_int_equal(judge(f), VIGIE_REPLY_BARE);
	f->reply.bytes[3] = 0;
	assert_int_equal(judge(f), VIGIE_REPLY_QUESTION);
}

static void test_records(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, 1, 0, 0);
	put_a(f);
	put(&f->reply, BYTES("\0"));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS); /* bytes trail */
	begin(f, 0, 1, 0, 0);
	put_a(f);
	f->reply.length -= 1;
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS);
	begin(f, 0, 9, 0, 0);
	put_a(f);
	assert_int_equal(judge(f), VIGIE_REPLY_SHORT); /* counts that the bytes cannot hold */
}

/* A record whose owner is these bytes, and one whose NS data is; both end the reply. */
static enum vigie_reply_fault judge_names(struct fixture *f, const uint8_t *name, size_t length, bool rdata)
{
	begin(f, 0, 1, 0, 0);
	if (rdata) {
		put(&f->reply, BYTES("\xc0\x0c"));
		put_fixed(&f->reply, VIGIE_TYPE_NS, (unsigned)length);
		put(&f->reply, name, length);
	} else {
		put(&f->reply, name, length);
		put_fixed(&f->reply, VIGIE_TYPE_A, 4);
		put(&f->reply, BYTES("\xc0\0\2\1"));
	}
	return judge(f);
}

/* Pointers lead back to a name (RFC 1035 section 4.1.4), wherever a name may be compressed. */
static void test_names(void **state)
{
	struct fixture *f = *state;

	for (int rdata = 0; rdata < 2; rdata++) {
		assert_int_equal(judge_names(f, BYTES("\1a\xc0\x0c"), rdata), VIGIE_REPLY_GOOD);
		assert_int_equal(judge_names(f, BYTES("\xc0\xf0"), rdata), VIGIE_REPLY_RECORDS); /* forward */
		assert_int_equal(judge_names(f, BYTES("\xff\xff"), rdata), VIGIE_REPLY_RECORDS); /* outside */
		assert_int_equal(judge_names(f, BYTES("\xc0\4"), rdata),
				 VIGIE_REPLY_RECORDS); /* into the header */
	}
	/* To itself: the owner, and the data, which stands 12 bytes behind it. */
	begin(f, 0, 0, 0, 0);
	{
		uint8_t self[] = {0xc0, (uint8_t)f->reply.length};
		uint8_t data[] = {0xc0, (uint8_t)(f->reply.length + 12)};

		assert_int_equal(judge_names(f, self, 2, false), VIGIE_REPLY_RECORDS);
		assert_int_equal(judge_names(f, data, 2, true), VIGIE_REPLY_RECORDS);
	}
	/* MX needs two bytes before its name. */
	begin(f, 0, 1, 0, 0);
	put(&f->reply, BYTES("\xc0\x0c"));
	put_fixed(&f->reply, VIGIE_TYPE_MX, 1);
	put(&f->reply, BYTES("\0"));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS);
}

/* Pointers to pointers to pointers: the work is bounded. */
static void test_a_staircase_of_pointers(void **state)
{
	struct fixture *f = *state;
	size_t at;

	for (unsigned steps = 120; steps <= 130; steps += 10) {
		begin(f, 0, 2, 0, 0);
		put(&f->reply, BYTES("\xc0\x0c"));
		put_fixed(&f->reply, VIGIE_TYPE_TXT, 2 * steps);
		at = f->reply.length;
		put(&f->reply, BYTES("\xc0\x0c"));
		for (unsigned i = 1; i < steps; i++)
			put_u16(&f->reply, 0xc000U + (unsigned)at + 2 * i - 2);
		put_u16(&f->reply, 0xc000U + (unsigned)at + 2 * steps - 2);
		put_fixed(&f->reply, VIGIE_TYPE_A, 4);
		put(&f->reply, BYTES("\xc0\0\2\1"));
		assert_int_equal(judge(f), steps < VIGIE_LABELS_MAX ? VIGIE_REPLY_GOOD : VIGIE_REPLY_RECORDS);
	}
}

static void test_opt(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, 0, 0, 2);
	put_opt(f, BYTES(""));
	put_opt(f, BYTES(""));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS); /* one alone (RFC 6891 section 6.1.1) */
	begin(f, 0, 1, 0, 0);
	put_opt(f, BYTES(""));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS); /* in the additional section */
	begin(f, 0, 0, 0, 1);
	put_opt(f, BYTES("\0\3\0\7ab"));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS); /* an option longer than its record */
	begin(f, 0, 0, 0, 1);
	put_opt(f, BYTES("\0\3\0"));
	assert_int_equal(judge(f), VIGIE_REPLY_RECORDS);
}

static void test_extended_error(void **state)
{
	struct fixture *f = *state;
	struct vigie_reply_edns edns;

	begin(f, VIGIE_RCODE_SERVFAIL, 1, 0, 1);
	put_a(f);
	put_opt(f, BYTES("\0\3\0\1x\0\17\0\6\0\7late"));
	f->reply.bytes[f->reply.length - 21] = 1; /* the upper bits of the rcode */
	assert_int_equal(judge(f), VIGIE_REPLY_GOOD);
	vigie_reply_edns(&edns, f->reply.bytes, f->reply.length);
	assert_true(edns.edns && edns.explained);
	assert_int_equal(edns.rcode, 0x12);
	assert_int_equal(edns.info, 7);
	assert_int_equal(edns.text_length, 4);
	assert_memory_equal(edns.text, "late", 4);
	begin(f, VIGIE_RCODE_REFUSED, 0, 0, 0);
	vigie_reply_edns(&edns, f->reply.bytes, f->reply.length);
	assert_true(!edns.edns && !edns.explained && edns.rcode == VIGIE_RCODE_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_makes_it_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_letters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_error_without_question, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_staircase_of_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extended_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
