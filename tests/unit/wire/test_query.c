#include "packet.h"

/* Begins a query for example.org, type A, with these record counts. */
static void put_query(struct packet *packet, unsigned answers, unsigned authorities, unsigned additionals)
{
	put_header(packet, VIGIE_FLAG_RD, 1, answers, authorities, additionals);
	put(packet, BYTES(QUESTION));
}

static enum vigie_gate gate_of(const struct packet *packet)
{
	struct vigie_query query;

	return parse(&query, packet);
}

static void test_plain(void **state)
{
	struct packet packet;
	struct vigie_query query;

	put_query(&packet, 0, 0, 0);
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	assert_ptr_equal(query.packet, packet.bytes);
	assert_int_equal(query.packet_length, packet.length);
	assert_int_equal(query.id, 0x1234);
	assert_int_equal(query.flags, VIGIE_FLAG_RD);
	assert_int_equal(query.type, VIGIE_TYPE_A);
	assert_int_equal(query.class, VIGIE_CLASS_IN);
	assert_false(query.edns);
	assert_false(query.edns_do);
	assert_int_equal(query.edns_size, VIGIE_UDP_SIZE_PLAIN);
	assert_int_equal(query.name.length, 13);
	assert_memory_equal(query.name.bytes, "\7example\3org", 13);
	assert_int_equal(vigie_query_question_length(&query), QUESTION_LENGTH);
	put_header(&packet, 0x0130, 1, 0, 0, 0); /* RD, AD, CD; the root, ANY, CH */
	put(&packet, BYTES("\0\0\xff\0\3"));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	assert_int_equal(query.flags, VIGIE_FLAG_RD | VIGIE_FLAG_AD | VIGIE_FLAG_CD);
	assert_int_equal(query.type, VIGIE_TYPE_ANY);
	assert_int_equal(query.class, VIGIE_CLASS_CH);
	assert_int_equal(query.name.length, 1);
}

static void test_length(void **state)
{
	struct packet packet;
	struct vigie_query query;

	put_query(&packet, 0, 0, 1);
	for (size_t i = 0; i < VIGIE_HEADER_SIZE; i++)
		assert_int_equal(parse_exact(&query, packet.bytes, i), VIGIE_GATE_SHORT);
	assert_int_equal(parse_exact(&query, packet.bytes, VIGIE_HEADER_SIZE), VIGIE_GATE_FORMAT);
	/* The longest message, filled up by a record of an unknown type; then one byte more. */
	put(&packet, BYTES("\0"));
	put_fixed(&packet, 65280, (unsigned)(VIGIE_MESSAGE_MAX - packet.length - 10));
	put_fill(&packet, 'x', VIGIE_MESSAGE_MAX - packet.length);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OK);
	put_fill(&packet, 'x', 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_SHORT);
}

static void test_response(void **state)
{
	struct packet packet;

	put_header(&packet, VIGIE_FLAG_QR, 1, 0, 0, 0);
	put(&packet, BYTES(QUESTION));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_RESPONSE);
	packet.bytes[2] = 0xff; /* whatever else is wrong with it */
	assert_int_equal(gate_of(&packet), VIGIE_GATE_RESPONSE);
	packet.length = VIGIE_HEADER_SIZE;
	assert_int_equal(gate_of(&packet), VIGIE_GATE_RESPONSE);
}

static void test_opcode(void **state)
{
	struct vigie_query query;
	struct packet packet;

	for (unsigned opcode = 1; opcode < 16; opcode++) {
		put_header(&packet, opcode << 11 | VIGIE_FLAG_RD, 1, 0, 0, 0);
		put(&packet, BYTES(QUESTION));
		assert_int_equal(parse(&query, &packet), VIGIE_GATE_OPCODE);
		assert_int_equal(query.id, 0x1234);
		assert_int_equal(query.flags, opcode << 11 | VIGIE_FLAG_RD);
		assert_int_equal(query.name.length, 0);
	}
	packet.length = VIGIE_HEADER_SIZE;
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OPCODE);
}

static void test_qdcount(void **state)
{
	static const unsigned counts[] = {0, 2, 256, 65535};
	struct vigie_query query;
	struct packet packet;

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		put_header(&packet, 0, counts[i], 0, 0, 0);
		put(&packet, BYTES(QUESTION QUESTION));
		assert_int_equal(parse(&query, &packet), VIGIE_GATE_QDCOUNT);
		assert_int_equal(query.name.length, 0);
	}
}

/* A question that cannot be read is not kept; type and class end every packet here. */
static void expect_bad_name(const uint8_t *name, size_t length)
{
	struct vigie_query query;
	struct packet packet;

	put_header(&packet, 0, 1, 0, 0, 0);
	put(&packet, name, length);
	put(&packet, BYTES("\0\1\0\1"));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_FORMAT);
	assert_int_equal(query.name.length, 0);
}

static void test_question(void **state)
{
	struct vigie_query query;
	struct packet packet;
	uint8_t name[300];

	expect_bad_name(BYTES("\xc0\x0c"));      /* a pointer to itself */
	expect_bad_name(BYTES("\3www\xc0\x0c")); /* a loop */
	expect_bad_name(BYTES("\3www\xc0\0"));   /* into the header */
	expect_bad_name(BYTES("\3www\xc0"));     /* cut */
	expect_bad_name(BYTES("\x41\0"));        /* RFC 2673 */
	expect_bad_name(BYTES("\x80\0"));
	expect_bad_name(BYTES("\77xxx\0")); /* a label that runs out of the packet */
	expect_bad_name(BYTES("\3www"));    /* no root */
	memset(name, 1, sizeof(name));
	name[256] = 0;
	expect_bad_name(name, 257);
	put_header(&packet, 0, 1, 0, 0, 0);
	name[254] = 0;
	put(&packet, name, 255);
	put(&packet, BYTES("\0\1\0\1"));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	assert_int_equal(query.name.length, VIGIE_NAME_MAX);
	/* Cut in its type and class. */
	for (size_t i = 1; i <= 4; i++) {
		assert_int_equal(parse_exact(&query, packet.bytes, packet.length - i), VIGIE_GATE_FORMAT);
		assert_int_equal(query.name.length, 0);
	}
}

static void test_edns(void **state)
{
	static const struct {
		unsigned sent;
		unsigned used;
	} sizes[] = {{0, 512}, {511, 512}, {512, 512}, {513, 513}, {1232, 1232}, {65535, 65535}};
	struct vigie_query query;
	struct packet packet;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		put_query(&packet, 0, 0, 1);
		put(&packet, BYTES("\0\0\x29"));
		put_u16(&packet, sizes[i].sent);
		put(&packet, BYTES("\0\0\0\0\0\0"));
		assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
		assert_true(query.edns);
		assert_false(query.edns_do);
		assert_int_equal(query.edns_size, sizes[i].used);
	}
	put_query(&packet, 0, 0, 1);
	put(&packet, BYTES(OPT_DO));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	assert_true(query.edns_do);
	/* All other bits of the TTL but the version are ignored. */
	put_query(&packet, 0, 0, 1);
	put(&packet, BYTES("\0\0\x29\4\xd0\xff\0\x7f\xff\0\0"));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	assert_false(query.edns_do);
}

static void test_version(void **state)
{
	struct vigie_query query;
	struct packet packet;

	for (unsigned version = 1; version < 256; version++) {
		put_query(&packet, 0, 0, 1);
		put(&packet, BYTES(OPT_DO));
		packet.bytes[packet.length - 5] = (uint8_t)version;
		assert_int_equal(parse(&query, &packet), VIGIE_GATE_VERSION);
		assert_true(query.edns && query.edns_do);
		assert_int_equal(query.edns_size, 1232);
		assert_int_equal(query.name.length, 13);
		assert_int_equal(query.type, VIGIE_TYPE_A);
	}
	put_fill(&packet, 0, 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
}

static void test_opt_in_its_place(void **state)
{
	static const uint8_t other[] = "\0\0\1\0\1\0\0\0\36\0\4\1\2\3\4"; /* an A record of the root */
	struct vigie_query query;
	struct packet packet;

	put_query(&packet, 0, 0, 2);
	put(&packet, BYTES(OPT_DO OPT_DO));
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_FORMAT);
	assert_int_equal(query.name.length, 13); /* the question is kept */
	put_query(&packet, 1, 0, 0);
	put(&packet, BYTES(OPT_DO));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
	put_query(&packet, 0, 1, 0);
	put(&packet, BYTES(OPT_DO));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
	put_query(&packet, 0, 1, 1); /* the last of the authority section, an honest one behind it */
	put(&packet, BYTES(OPT_DO));
	put(&packet, other, sizeof(other) - 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
	put_query(&packet, 0, 0, 2);
	put(&packet, BYTES(OPT_DO));
	put(&packet, other, sizeof(other) - 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OK);
	put_query(&packet, 0, 0, 2);
	put(&packet, other, sizeof(other) - 1);
	put(&packet, BYTES(OPT_DO));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OK);
}

static void test_opt_owner(void **state)
{
	struct packet packet;

	put_query(&packet, 0, 0, 1);
	put(&packet, BYTES("\1a" OPT_DO));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
	put_query(&packet, 0, 0, 1);
	put(&packet, BYTES("\xc0\x18\0\x29\4\xd0\0\0\0\0\0\0")); /* a pointer to the question's root */
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
}

/* `count` options of `length` bytes each, the last one cut by `cut` bytes. */
static enum vigie_gate gate_of_options(unsigned count, unsigned length, unsigned cut)
{
	struct packet packet;

	put_query(&packet, 0, 0, 1);
	put(&packet, BYTES("\0\0\x29\4\xd0\0\0\0\0"));
	put_u16(&packet, count * (4 + length) - cut);
	for (unsigned i = 0; i < count; i++) {
		put_u16(&packet, 65001);
		put_u16(&packet, length);
		put_fill(&packet, 'x', length);
	}
	packet.length -= cut;
	return gate_of(&packet);
}

static void test_options(void **state)
{
	struct packet packet;

	assert_int_equal(gate_of_options(1, 0, 0), VIGIE_GATE_OK);
	assert_int_equal(gate_of_options(1, 1200, 0), VIGIE_GATE_OK);
	assert_int_equal(gate_of_options(VIGIE_EDNS_OPTIONS_MAX, 0, 0), VIGIE_GATE_OK);
	assert_int_equal(gate_of_options(VIGIE_EDNS_OPTIONS_MAX, 100, 0), VIGIE_GATE_OK);
	assert_int_equal(gate_of_options(VIGIE_EDNS_OPTIONS_MAX + 1, 0, 0), VIGIE_GATE_FORMAT);
	for (unsigned cut = 1; cut < 12; cut++)
		assert_int_equal(gate_of_options(2, 8, cut), VIGIE_GATE_FORMAT);
	assert_int_equal(gate_of_options(2, 8, 12), VIGIE_GATE_OK); /* the second is gone */
	put_query(&packet, 0, 0, 1);                                /* a client's cookie, RFC 7873 */
	put(&packet, BYTES("\0\0\x29\4\xd0\0\0\0\0\0\x0c\0\x0a\0\x08"
			   "cookie!!"));
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OK);
}

/* What stands behind the question is stepped over: IXFR brings a SOA (RFC 1995), TSIG comes last. */
static void test_records(void **state)
{
	struct packet packet;

	put_header(&packet, 0, 1, 0, 1, 2);
	put(&packet, BYTES("\7example\3org\0\0\xfb\0\1"));
	put(&packet, BYTES("\xc0\x0c"));
	put_fixed(&packet, VIGIE_TYPE_SOA, 24);
	put(&packet, BYTES("\xc0\x0c\xc0\x0c"));
	put_fill(&packet, 7, 20);
	put(&packet, BYTES(OPT_DO));
	put(&packet, BYTES("\3key\xc0\x0c"));
	put_fixed(&packet, VIGIE_TYPE_TSIG, 100);
	put_fill(&packet, 7, 100);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_OK);
}

static void test_counts_that_lie(void **state)
{
	static const unsigned counts[][3] = {{1, 0, 0}, {0, 1, 0},    {0, 0, 2},
					     {1, 0, 1}, {0, 0, 0},    {65535, 65535, 65535},
					     {0, 1, 1}, {0, 0, 65535}};
	struct vigie_query query;
	struct packet packet;

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		put_query(&packet, counts[i][0], counts[i][1], counts[i][2]);
		put(&packet, BYTES(OPT_DO));
		assert_int_equal(parse(&query, &packet), VIGIE_GATE_FORMAT);
		assert_int_equal(query.name.length, 13);
	}
	put_query(&packet, 0, 0, 0);
	put_fill(&packet, 0, 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
	put_query(&packet, 0, 0, 1);
	assert_int_equal(gate_of(&packet), VIGIE_GATE_FORMAT);
}

static void test_owners(void **state)
{
	static const struct {
		const char *owner;
		size_t length;
		enum vigie_gate gate;
	} owners[] = {
		{"", 1, VIGIE_GATE_OK},         {"\1a\xc0\x0c", 4, VIGIE_GATE_OK},
		{"\xff\xff", 2, VIGIE_GATE_OK}, /* nobody follows it */
		{"\x40", 2, VIGIE_GATE_FORMAT}, {"\x80", 2, VIGIE_GATE_FORMAT},
		{"\77", 1, VIGIE_GATE_FORMAT},
	};
	struct packet packet;

	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
		put_query(&packet, 0, 0, 1);
		put(&packet, (const uint8_t *)owners[i].owner, owners[i].length);
		put_fixed(&packet, VIGIE_TYPE_A, 4);
		put(&packet, BYTES("\1\2\3\4"));
		assert_int_equal(gate_of(&packet), owners[i].gate);
	}
	/* 255 bytes, and 256. */
	for (unsigned last = 61; last <= 62; last++) {
		put_query(&packet, 0, 0, 1);
		for (unsigned i = 0; i < 4; i++) {
			put_fill(&packet, i < 3 ? 63 : (uint8_t)last, 1);
			put_fill(&packet, 'x', i < 3 ? 63 : last);
		}
		put(&packet, BYTES("\0"));
		put_fixed(&packet, VIGIE_TYPE_A, 4);
		put(&packet, BYTES("\1\2\3\4"));
		assert_int_equal(gate_of(&packet), last == 61 ? VIGIE_GATE_OK : VIGIE_GATE_FORMAT);
	}
}

/* A packet with a record of each section and options: each beginning of it is refused, each byte of it may be
 * anything, and nothing beyond its end is read. */
static void test_truncation_and_noise(void **state)
{
	struct vigie_query query;
	struct packet packet;

	put_query(&packet, 1, 1, 2);
	put(&packet, BYTES("\xc0\x0c"));
	put_fixed(&packet, VIGIE_TYPE_A, 4);
	put(&packet, BYTES("\1\2\3\4"));
	put(&packet, BYTES("\2ns\xc0\x0c"));
	put_fixed(&packet, VIGIE_TYPE_NS, 2);
	put(&packet, BYTES("\xc0\x0c"));
	put(&packet, BYTES("\0\0\x29\4\xd0\0\0\0\0\0\x10\0\x0a\0\x08"
			   "cookie!!\xfd\xe9\0\0"));
	put(&packet, BYTES("\3key\0"));
	put_fixed(&packet, VIGIE_TYPE_TSIG, 9);
	put_fill(&packet, 7, 9);
	assert_int_equal(parse(&query, &packet), VIGIE_GATE_OK);
	for (size_t i = 0; i < packet.length; i++) {
		enum vigie_gate gate = parse_exact(&query, packet.bytes, i);

		assert_int_equal(gate, i < VIGIE_HEADER_SIZE ? VIGIE_GATE_SHORT : VIGIE_GATE_FORMAT);
		assert_int_equal(query.name.length,
				 i < VIGIE_HEADER_SIZE + QUESTION_LENGTH ? 0 : QUESTION_LENGTH - 4);
	}
	for (size_t i = 0; i < packet.length; i++) {
		uint8_t was = packet.bytes[i];

		for (unsigned byte = 0; byte < 256; byte++) {
			packet.bytes[i] = (uint8_t)byte;
			assert_in_range(gate_of(&packet), VIGIE_GATE_OK, VIGIE_GATES - 1);
		}
		packet.bytes[i] = was;
	}
}

static void test_gate_texts(void **state)
{
	for (int a = VIGIE_GATE_OK; a < VIGIE_GATES; a++) {
		assert_string_not_equal(vigie_gate_text((enum vigie_gate)a), "unknown");
		for (int b = VIGIE_GATE_OK; b < a; b++)
			assert_string_not_equal(vigie_gate_text((enum vigie_gate)a),
						vigie_gate_text((enum vigie_gate)b));
	}
	assert_string_equal(vigie_gate_text(VIGIE_GATES), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_opcode),
		cmocka_unit_test(test_qdcount),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_edns),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_opt_in_its_place),
		cmocka_unit_test(test_opt_owner),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_counts_that_lie),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_truncation_and_noise),
		cmocka_unit_test(test_gate_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
