#include "vigie/answer.h"

#include "packet.h"
#include "vigie/reply.h"

/* The query of a test, the reply that another server gave to it, and the answer that becomes of it. */
struct fixture {
	struct packet packet;
	struct packet reply;
	struct vigie_query query;
	struct vigie_answer answer;
	uint8_t *buffer; /* of exactly the answer's limit */
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(((struct fixture *)*state)->buffer);
	free(*state);
	return 0;
}

/* The query and an empty answer to it; the reply is begun: header and question. */
static void begin(struct fixture *f, bool edns, size_t limit, unsigned flags, unsigned answers,
		  unsigned authorities, unsigned additionals)
{
	put_header(&f->packet, VIGIE_FLAG_RD, 1, 0, 0, edns);
	put(&f->packet, BYTES(QUESTION));
	if (edns)
		put(&f->packet, BYTES(OPT_DO));
	assert_int_equal(parse(&f->query, &f->packet), VIGIE_GATE_OK);
	free(f->buffer);
	f->buffer = malloc(limit);
	assert_non_null(f->buffer);
	vigie_answer_begin(&f->answer, &f->query, f->buffer, limit);
	put_header(&f->reply, VIGIE_FLAG_QR | flags, 1, answers, authorities, additionals);
	put(&f->reply, BYTES(QUESTION));
}

static bool check(const struct fixture *f, size_t length)
{
	uint8_t *reply = exact(f->reply.bytes, length);
	enum vigie_reply_fault fault = vigie_reply_judge(f->packet.bytes, reply, length);

	free(reply);
	/* Letters and records are test_judge's. */
	return fault == VIGIE_REPLY_GOOD || fault == VIGIE_REPLY_CASE || fault == VIGIE_REPLY_RECORDS;
}

static enum vigie_status take(struct fixture *f)
{
	uint8_t *reply = exact(f->reply.bytes, f->reply.length);
	enum vigie_status status;

	assert_true(check(f, f->reply.length));
	status = vigie_answer_take(&f->answer, reply, f->reply.length);
	free(reply);
	return status;
}

static enum vigie_status append_length(struct fixture *f, size_t length)
{
	uint8_t *reply = exact(f->reply.bytes, length);
	enum vigie_status status = vigie_answer_append(&f->answer, reply, length);

	free(reply);
	return status;
}

static enum vigie_status append(struct fixture *f)
{
	return append_length(f, f->reply.length);
}

static void expect_end(struct fixture *f, const uint8_t *bytes, size_t length)
{
	assert_int_equal(vigie_answer_end(&f->answer), length);
	assert_memory_equal(f->buffer, bytes, length);
}

static void test_check(void **state)
{
	static const struct {
		size_t at;
		const char *why;
	} bytes[] = {
		{0, "id"},        {1, "id"},        {2, "QR"},         {4, "QDCOUNT"},
		{5, "QDCOUNT"},   {12, "a length"}, {15, "a letter"},  {24, "the root"},
		{25, "the type"}, {26, "the type"}, {27, "the class"}, {28, "the class"},
	};
	struct fixture *f = *state;

	begin(f, false, 512, 0, 0, 0, 0);
	assert_true(check(f, f->reply.length));
	for (size_t i = 0; i < f->reply.length; i++)
		assert_false(check(f, i));
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		f->reply.bytes[bytes[i].at] ^= 0x81;
		if (check(f, f->reply.length))
			fail_msg("%s does not count", bytes[i].why);
		f->reply.bytes[bytes[i].at] ^= 0x81;
	}
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		f->reply.bytes[2] = (uint8_t)(0x80 | opcode << 3);
		assert_false(check(f, f->reply.length));
	}
	f->reply.bytes[2] = 0x87; /* AA, TC, RD */
	f->reply.bytes[3] = 0xff;
	assert_true(check(f, f->reply.length));
}

static void test_check_case(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 0, 0, 0);
	memcpy(f->reply.bytes + 12, "\7EXAMPLE\3org", 12);
	assert_true(check(f, f->reply.length));
	memcpy(f->reply.bytes + 12, "\7example\3oRg", 12);
	assert_true(check(f, f->reply.length));
	memcpy(f->reply.bytes + 12, "\7exampl%\3org", 12);
	assert_false(check(f, f->reply.length)); /* 'e' and '%' differ by more than the case bit alone */
	memcpy(f->reply.bytes + 12, "\13example#org", 12);
	assert_false(check(f, f->reply.length));
}

/* A record takes eleven bytes at least: counts that the rest cannot hold are a lie. */
static void test_check_counts(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 1, 0, 0);
	assert_false(check(f, f->reply.length));
	put_fill(&f->reply, 0, 10);
	assert_false(check(f, f->reply.length));
	put_fill(&f->reply, 0, 1);
	assert_true(check(f, f->reply.length));
	for (size_t at = 7; at <= 11; at += 2) {
		f->reply.bytes[7] = f->reply.bytes[9] = f->reply.bytes[11] = 0;
		f->reply.bytes[at] = 2;
		assert_false(check(f, f->reply.length));
		f->reply.bytes[at] = 1;
		assert_true(check(f, f->reply.length));
	}
	memset(f->reply.bytes + 6, 0xff, 6);
	put_fill(&f->reply, 0, VIGIE_MESSAGE_MAX - f->reply.length);
	assert_false(check(f, f->reply.length));
	memset(f->reply.bytes + 6, 0, 6);
	assert_true(check(f, f->reply.length));
	put_fill(&f->reply, 0, 1);
	assert_false(check(f, f->reply.length));
}

/* A CNAME whose target's owner points into its RDATA, a SOA, an additional A record and OPT. */
#define CNAME_RR "\xc0\x0c\0\5\0\1\0\0\0\36\0\7\4else\xc0\x14"
#define A_RR "\xc0\x29\0\1\0\1\0\0\0\36\0\4\12\0\0\1"
#define NS_RR "\xc0\x14\0\2\0\1\0\0\0\36\0\5\2ns\xc0\x14"
#define GLUE_RR "\xc0\x4c\0\1\0\1\0\0\0\36\0\4\12\0\0\2"

static void put_reply(struct fixture *f)
{
	put(&f->reply, BYTES(CNAME_RR A_RR NS_RR GLUE_RR));
}

static void test_take(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, VIGIE_FLAG_RA | VIGIE_FLAG_AD | VIGIE_FLAG_CD, 2, 1, 1);
	put_reply(f);
	f->reply.bytes[13] ^= 0x20; /* the question is echoed as the client asked it */
	assert_int_equal(take(f), VIGIE_OK);
	/* AD is left out: the client sent neither AD nor DO. */
	expect_end(f, BYTES("\x12\x34\x81\x80\0\1\0\2\0\1\0\1" QUESTION CNAME_RR A_RR NS_RR GLUE_RR));
	begin(f, true, 512, VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_RCODE_NXDOMAIN, 2, 1, 2);
	put_reply(f);
	put(&f->reply, BYTES("\0\0\x29\x10\0\xab\0\0\0\0\0")); /* 4,096 bytes, extended rcode 0xab */
	assert_int_equal(take(f), VIGIE_OK);
	assert_int_equal(f->answer.rcode, 0xab3);
	f->answer.rcode = VIGIE_RCODE_NXDOMAIN;
	expect_end(f, BYTES("\x12\x34\x87\3\0\1\0\2\0\1\0\2" QUESTION CNAME_RR A_RR NS_RR GLUE_RR OPT_DO));
	/* What was in the answer before is forgotten. */
	begin(f, false, 512, 0, 0, 0, 0);
	assert_non_null(vigie_answer_rr(&f->answer, VIGIE_ANSWER, 12, 1, 0, 0));
	f->answer.rcode = VIGIE_RCODE_REFUSED;
	assert_int_equal(take(f), VIGIE_OK);
	expect_end(f, BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" QUESTION));
}

/* A record of the question's name, or of another one, with a TTL and four bytes of RDATA. */
#define SET_RR(owner, type, ttl, last) owner "\0" type "\0\1\0\0\0" ttl "\0\4\12\0\0" last
#define POINTER "\xc0\x0c"
#define SPELLED "\7EXAMPLE\3org\0"

static void test_take_levels_ttls(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 6, 0, 2);
	put(&f->reply, BYTES(SET_RR(POINTER, "\1", "\74", "\1") SET_RR(SPELLED, "\1", "\36", "\2")
				     SET_RR(POINTER, "\1", "\74", "\3")));
	put(&f->reply, BYTES(SET_RR("\1a" POINTER, "\1", "\5", "\4"))); /* another name */
	/* Signatures keep the TTLs of what they sign. */
	put(&f->reply, BYTES(SET_RR(POINTER, "\56", "\74", "\5") SET_RR(POINTER, "\56", "\7", "\6")));
	put(&f->reply, BYTES(SET_RR(POINTER, "\1", "\1", "\7")
				     SET_RR(POINTER, "\1", "\2", "\10"))); /* another section */
	assert_int_equal(take(f), VIGIE_OK);
	expect_end(f,
		   BYTES("\x12\x34\x81\0\0\1\0\6\0\0\0\2" QUESTION SET_RR(POINTER, "\1", "\36", "\1")
				 SET_RR(SPELLED, "\1", "\36", "\2") SET_RR(POINTER, "\1", "\36", "\3") SET_RR(
					 "\1a" POINTER, "\1", "\5", "\4") SET_RR(POINTER, "\56", "\74", "\5")
					 SET_RR(POINTER, "\56", "\7", "\6") SET_RR(POINTER, "\1", "\1", "\7")
						 SET_RR(POINTER, "\1", "\1", "\10")));
}

static void test_take_opt_in_the_middle(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 2, 1, 3);
	put_reply(f);
	put(&f->reply, BYTES(OPT_DO A_RR));
	assert_int_equal(take(f), VIGIE_OK);
	expect_end(f, BYTES("\x12\x34\x81\0\0\1\0\2\0\1\0\1" QUESTION CNAME_RR A_RR NS_RR GLUE_RR));
	begin(f, false, 512, 0, 2, 1, 2);
	put(&f->reply, BYTES(CNAME_RR A_RR NS_RR OPT_DO GLUE_RR));
	assert_int_equal(take(f), VIGIE_OK);
	expect_end(f, BYTES("\x12\x34\x81\0\0\1\0\2\0\1\0\0" QUESTION CNAME_RR A_RR NS_RR));
	/* In another section it would cut that short. */
	begin(f, false, 512, 0, 2, 0, 0);
	put(&f->reply, BYTES(OPT_DO A_RR));
	assert_int_equal(take(f), VIGIE_EINVAL);
	begin(f, false, 512, 0, 1, 1, 0);
	put(&f->reply, BYTES(A_RR OPT_DO));
	assert_int_equal(take(f), VIGIE_EINVAL);
	assert_int_equal(f->answer.length, VIGIE_HEADER_SIZE + QUESTION_LENGTH);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 0);
}

/* A reply of 30 records in the answer section and one more behind them, of 16 bytes each but the first. */
static void put_many(struct fixture *f, unsigned first)
{
	put(&f->reply, BYTES("\xc0\x0c"));
	put_fixed(&f->reply, VIGIE_TYPE_TXT, first);
	put_fill(&f->reply, 'x', first);
	for (unsigned i = 0; i < 29; i++)
		put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
	put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\2"));
}

static void test_take_cuts(void **state)
{
	/* Header and question are 29 bytes, 29 records 464: a first one of 19 fills 512. */
	struct fixture *f = *state;

	begin(f, false, 512, 0, 30, 0, 1);
	put_many(f, 7);
	assert_int_equal(take(f), VIGIE_OK);
	assert_int_equal(f->answer.flags, 0); /* the additional record is left out silently */
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 30);
	assert_int_equal(f->answer.count[VIGIE_ADDITIONAL], 0);
	assert_int_equal(vigie_answer_end(&f->answer), 512);
	begin(f, false, 512, 0, 30, 1, 0);
	put_many(f, 7);
	assert_int_equal(take(f), VIGIE_OK);
	assert_int_equal(f->answer.flags, VIGIE_FLAG_TC);
	assert_int_equal(f->answer.count[VIGIE_AUTHORITY], 0);
	begin(f, false, 512, 0, 30, 0, 1);
	put_many(f, 8);
	assert_int_equal(take(f), VIGIE_OK);
	assert_int_equal(f->answer.flags, VIGIE_FLAG_TC);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 29);
	assert_int_equal(f->answer.count[VIGIE_ADDITIONAL], 0);
	/* The room for OPT, and the extended rcode of an OPT behind the cut. */
	begin(f, true, 512, 0, 30, 0, 2);
	put_many(f, 7);
	put(&f->reply, BYTES("\0\0\x29\x10\0\1\0\0\0\0\0"));
	assert_int_equal(take(f), VIGIE_OK);
	assert_int_equal(f->answer.rcode, 16);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 29);
	assert_int_equal(f->answer.flags, VIGIE_FLAG_TC);
	assert_int_equal(vigie_answer_end(&f->answer), 512 - 16 + 11);
}

static void test_take_malformed(void **state)
{
	struct fixture *f = *state;

	for (size_t cut = 1; cut < 60; cut++) {
		uint8_t *reply;

		begin(f, false, 512, 0, 2, 1, 1);
		put_reply(f);
		f->reply.length -= cut;
		reply = exact(f->reply.bytes, f->reply.length);
		assert_int_equal(vigie_answer_take(&f->answer, reply, f->reply.length), VIGIE_EINVAL);
		free(reply);
		expect_end(f, BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" QUESTION));
	}
}

/* Where names may be compressed in RDATA: bytes before them, and how many they are. */
static void expect_expanded(struct fixture *f, unsigned type, size_t plain, unsigned names, size_t tail)
{
	struct packet expected;

	begin(f, false, 65535, 0, 1, 0, 0);
	put(&f->reply, BYTES("\1b\xc0\x0c"));
	put_fixed(&f->reply, type, (unsigned)(plain + 4 * names + tail));
	put_fill(&f->reply, 0xc0, plain);
	for (unsigned i = 0; i < names; i++)
		put(&f->reply, BYTES("\1a\xc0\x0c"));
	put_fill(&f->reply, 0xc0, tail);
	assert_int_equal(append(f), VIGIE_OK);

	put_header(&expected, VIGIE_FLAG_QR | VIGIE_FLAG_RD, 1, 1, 0, 0);
	put(&expected, BYTES(QUESTION "\1b\7eXaMpLe\3ORG\0"));
	put_fixed(&expected, type, (unsigned)(plain + 15 * names + tail));
	put_fill(&expected, 0xc0, plain);
	for (unsigned i = 0; i < names; i++)
		put(&expected, BYTES("\1a\7eXaMpLe\3ORG\0"));
	put_fill(&expected, 0xc0, tail);
	expect_end(f, expected.bytes, expected.length);
}

static void test_append_types(void **state)
{
	static const uint8_t one_name[] = {2, 3, 4, 5, 7, 8, 9, 12, 39};
	static const unsigned none[] = {1, 10, 11, 13, 16, 28, 43, 46, 48, 64, 65, 257, 65280};

	for (size_t i = 0; i < sizeof(one_name); i++)
		expect_expanded(*state, one_name[i], 0, 1, 0);
	expect_expanded(*state, 6, 0, 2, 20); /* SOA */
	expect_expanded(*state, 14, 0, 2, 0);
	expect_expanded(*state, 17, 0, 2, 0);
	expect_expanded(*state, 15, 2, 1, 0); /* MX */
	expect_expanded(*state, 18, 2, 1, 0);
	expect_expanded(*state, 21, 2, 1, 0);
	expect_expanded(*state, 33, 6, 1, 0); /* SRV */
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		expect_expanded(*state, none[i], 0, 0, 0);
		expect_expanded(*state, none[i], 0, 0, 300);
	}
}

/* A record with this RDATA behind a good one: VIGIE_EINVAL, and the good one stays. The RDATA begins at
 * offset 57. */
static void expect_malformed(struct fixture *f, unsigned type, const uint8_t *rdata, size_t length)
{
	begin(f, false, 512, 0, 2, 0, 0);
	put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
	put(&f->reply, BYTES("\xc0\x0c"));
	put_fixed(&f->reply, type, (unsigned)length);
	put(&f->reply, rdata, length);
	assert_int_equal(f->reply.length, 57 + length);
	assert_int_equal(append(f), VIGIE_EINVAL);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 1);
	assert_int_equal(f->answer.length, 29 + 27); /* its owner is spelled out */
}

static void test_append_malformed(void **state)
{
	expect_malformed(*state, 5, BYTES(""));
	expect_malformed(*state, 5, BYTES("\xc0\x39"));         /* to itself */
	expect_malformed(*state, 5, BYTES("\xc0\x3a\0"));       /* forward */
	expect_malformed(*state, 5, BYTES("\xff\xff"));         /* out of the packet */
	expect_malformed(*state, 5, BYTES("\1a\xc0\x39"));      /* a loop */
	expect_malformed(*state, 6, BYTES("\xc0\x3b\xc0\x39")); /* a loop of two */
	expect_malformed(*state, 5, BYTES("\xc0"));             /* cut pointer */
	expect_malformed(*state, 5, BYTES("\1a\xc0"));
	expect_malformed(*state, 5, BYTES("\1a"));    /* no end */
	expect_malformed(*state, 5, BYTES("\2a"));    /* cut label */
	expect_malformed(*state, 5, BYTES("\x40\0")); /* label types that nobody has */
	expect_malformed(*state, 5, BYTES("\x80\0"));
	expect_malformed(*state, 6, BYTES("\1a\0")); /* one name of two */
	expect_malformed(*state, 15, BYTES("\0"));   /* cut before the name */
	expect_malformed(*state, 15, BYTES("\0\12"));
	expect_malformed(*state, 33, BYTES("\0\0\0\0\0"));
	expect_malformed(*state, 33, BYTES("\0\0\0\0\0\1"));
	expect_malformed(*state, VIGIE_TYPE_OPT, BYTES(""));
}

/* More behind a name than any type has. */
static void test_append_long_tail(void **state)
{
	uint8_t rdata[600] = "\xc0\x0c";

	expect_malformed(*state, 5, rdata, sizeof(rdata));
}

static void test_append_envelope(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 1, 0, 0);
	put(&f->reply, BYTES("\xc0\x0c\0\1\0\3\0\0\0\36\0\0")); /* class CH */
	assert_int_equal(append(f), VIGIE_EINVAL);
	begin(f, false, 512, 0, 1, 0, 0);
	put(&f->reply, BYTES(CNAME_RR));
	for (size_t i = 0; i < f->reply.length; i++)
		assert_int_equal(append_length(f, i), VIGIE_EINVAL);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 0);
	f->reply.bytes[5] = 0;
	assert_int_equal(append(f), VIGIE_EINVAL);
	f->reply.bytes[5] = 2;
	assert_int_equal(append(f), VIGIE_EINVAL);
	f->reply.bytes[5] = 1;
	assert_int_equal(append(f), VIGIE_OK);
}

static void test_append_bad_owner(void **state)
{
	struct fixture *f = *state;

	begin(f, false, 512, 0, 1, 0, 0);
	put(&f->reply, BYTES("\xc0\x1d\0\1\0\1\0\0\0\36\0\0")); /* the owner is at 29 = 0x1d */
	assert_int_equal(append(f), VIGIE_EINVAL);
	begin(f, false, 512, 0, 1, 0, 0);
	put(&f->reply, BYTES("\1a\xc0\x1d\0\1\0\1\0\0\0\36\0\0"));
	assert_int_equal(append(f), VIGIE_EINVAL);
}

/* A name put together of 63-byte labels and pointers: 255 bytes are a name, 256 are not. */
static void test_append_long_names(void **state)
{
	struct fixture *f = *state;

	for (unsigned last = 48; last <= 50; last++) {
		size_t before;

		begin(f, false, 65535, 0, 2, 0, 0);
		put(&f->reply, BYTES("\0"));
		put_fixed(&f->reply, VIGIE_TYPE_TXT, 2 * 64 + 2);
		before = f->reply.length; /* 40: two labels, and the question's name of 13 bytes */
		assert_int_equal(before, 40);
		put_fill(&f->reply, 63, 64);
		put_fill(&f->reply, 63, 64);
		put(&f->reply, BYTES("\xc0\x0c"));
		put_fill(&f->reply, 63, 64);
		put_fill(&f->reply, (uint8_t)last, 1 + last);
		put(&f->reply, BYTES("\xc0\x28"));
		put_fixed(&f->reply, VIGIE_TYPE_A, 0);
		/* 2 * 64 + 13 + 64 + 1 + last */
		assert_int_equal(append(f), last == 49 || last == 48 ? VIGIE_OK : VIGIE_EINVAL);
		assert_int_equal(f->answer.count[VIGIE_ANSWER], last == 50 ? 1 : 2);
	}
}

static void test_append_cuts(void **state)
{
	struct fixture *f = *state;

	/* 29 bytes; each A record with its owner of 13 bytes takes 27: 17 of them end at 488. */
	begin(f, false, 512, VIGIE_FLAG_RA, 18, 0, 0);
	for (unsigned i = 0; i < 18; i++)
		put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
	assert_int_equal(append(f), VIGIE_OK);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 17);
	assert_int_equal(f->answer.flags, VIGIE_FLAG_TC);
	begin(f, false, 29 + 18 * 27, VIGIE_FLAG_RA, 18, 0, 0);
	for (unsigned i = 0; i < 18; i++)
		put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
	assert_int_equal(append(f), VIGIE_OK);
	assert_int_equal(f->answer.count[VIGIE_ANSWER], 18);
	assert_int_equal(f->answer.flags, 0);
	begin(f, false, 512, VIGIE_FLAG_TC, 0, 0, 0);
	f->answer.flags = VIGIE_FLAG_AA;
	assert_int_equal(append(f), VIGIE_OK);
	assert_int_equal(f->answer.flags, VIGIE_FLAG_AA | VIGIE_FLAG_TC);
}

/* What was written before stays in front: the CNAME of one server, what another says of its target. */
static void test_append_behind(void **state)
{
	struct fixture *f = *state;
	uint8_t *rdata;

	begin(f, false, 512, 0, 1, 1, 0);
	put(&f->reply, BYTES("\xc0\x0c\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
	put(&f->reply, BYTES("\xc0\x0c\0\2\0\1\0\0\0\36\0\2\xc0\x0c")); /* authority: not asked for */
	rdata = vigie_answer_rr(&f->answer, VIGIE_ANSWER, 12, VIGIE_TYPE_CNAME, 5, 1);
	*rdata = 0;
	assert_int_equal(append(f), VIGIE_OK);
	expect_end(f, BYTES("\x12\x34\x81\0\0\1\0\2\0\0\0\0" QUESTION "\xc0\x0c\0\5\0\1\0\0\0\5\0\1\0"
			    "\7eXaMpLe\3ORG\0\0\1\0\1\0\0\0\36\0\4\12\0\0\1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_case, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_levels_ttls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_opt_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_cuts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_long_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_envelope, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_bad_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_cuts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_behind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
