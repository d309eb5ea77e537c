/* What a reply says for a cache: RFC 2308, section by section. */
#include "reply.h"

static struct reply reply;

static void begin(const char *name, uint16_t type)
{
	reply_begin(&reply, name, type, "", VIGIE_MESSAGE_MAX);
}

static void assert_kept(enum vigie_cached_kind kind, uint32_t ttl)
{
	assert_true(reply_classify(&reply)->cacheable);
	assert_int_equal(reply.shape.kind, kind);
	assert_int_equal(reply.shape.ttl, ttl);
}

static void assert_not_kept(void)
{
	assert_false(reply_classify(&reply)->cacheable);
}

static void test_answers(void **state)
{
	begin("www.example.org.", VIGIE_TYPE_A);
	reply_address(&reply, "www.example.org.", 300, 1);
	reply_address(&reply, "WWW.Example.ORG.", 200, 2);
	reply_name(&reply, VIGIE_AUTHORITY, "example.org.", VIGIE_TYPE_NS, 100, "ns.example.org.");
	assert_kept(VIGIE_CACHED_ANSWER, 100); /* the least of all sections */
	assert_int_equal(reply.shape.count, 3);
	reply.answer.flags |= VIGIE_FLAG_TC;
	assert_not_kept();
}

static void test_chains(void **state)
{
	begin("a.org.", VIGIE_TYPE_A);
	reply_name(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_CNAME, 30, "b.org.");
	reply_name(&reply, VIGIE_ANSWER, "b.org.", VIGIE_TYPE_CNAME, 20, "c.org.");
	assert_not_kept(); /* it leads nowhere, and there is no SOA */
	reply_address(&reply, "c.org.", 40, 1);
	assert_kept(VIGIE_CACHED_ANSWER, 20);

	begin("a.org.", VIGIE_TYPE_A); /* in another order */
	reply_address(&reply, "c.org.", 40, 1);
	reply_name(&reply, VIGIE_ANSWER, "b.org.", VIGIE_TYPE_CNAME, 20, "c.org.");
	reply_name(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_CNAME, 30, "b.org.");
	assert_kept(VIGIE_CACHED_ANSWER, 20);

	begin("a.org.", VIGIE_TYPE_A); /* a circle */
	reply_name(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_CNAME, 30, "b.org.");
	reply_name(&reply, VIGIE_ANSWER, "b.org.", VIGIE_TYPE_CNAME, 30, "a.org.");
	assert_not_kept();

	begin("a.org.", VIGIE_TYPE_CNAME); /* the CNAME itself is what was asked for */
	reply_name(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_CNAME, 30, "b.org.");
	assert_kept(VIGIE_CACHED_ANSWER, 30);

	begin("a.org.", VIGIE_TYPE_ANY);
	reply_address(&reply, "a.org.", 40, 1);
	assert_kept(VIGIE_CACHED_ANSWER, 40);
}

/* VIGIE_CACHE_CHAIN_MAX links are followed, one more is no answer. */
static void test_long_chain(void **state)
{
	for (unsigned links = VIGIE_CACHE_CHAIN_MAX; links <= VIGIE_CACHE_CHAIN_MAX + 1; links++) {
		char owner[] = "a.org.";
		char target[] = "a.org.";

		begin("a.org.", VIGIE_TYPE_A);
		for (unsigned i = 0; i < links; i++) {
			owner[0] = (char)('a' + i);
			target[0] = (char)('b' + i);
			reply_name(&reply, VIGIE_ANSWER, owner, VIGIE_TYPE_CNAME, 30, target);
		}
		reply_address(&reply, target, 30, 1);
		assert_int_equal(reply_classify(&reply)->cacheable, links == VIGIE_CACHE_CHAIN_MAX);
	}
}

/* Records of another name answer nothing. */
static void test_foreign(void **state)
{
	begin("www.example.org.", VIGIE_TYPE_A);
	reply_address(&reply, "bank.test.", 300, 1);
	assert_not_kept();
	begin("www.example.org.", VIGIE_TYPE_AAAA);
	reply_address(&reply, "www.example.org.", 300, 1); /* of another type */
	assert_not_kept();
}

static void test_negative(void **state)
{
	begin("no.example.org.", VIGIE_TYPE_A);
	reply.answer.rcode = VIGIE_RCODE_NXDOMAIN;
	assert_not_kept(); /* nobody says for how long */
	reply_soa(&reply, "example.org.", 60, 7);
	assert_kept(VIGIE_CACHED_NXDOMAIN, 7); /* MINIMUM */
	begin("no.example.org.", VIGIE_TYPE_A);
	reply.answer.rcode = VIGIE_RCODE_NXDOMAIN;
	reply_soa(&reply, "example.org.", 5, 7);
	assert_kept(VIGIE_CACHED_NXDOMAIN, 5); /* the SOA's own TTL */

	begin("www.example.org.", VIGIE_TYPE_MX);
	assert_not_kept(); /* empty */
	reply_name(&reply, VIGIE_AUTHORITY, "org.", VIGIE_TYPE_NS, 60, "ns.example.org.");
	assert_not_kept(); /* a referral */
	reply_soa(&reply, "example.org.", 60, 7);
	assert_kept(VIGIE_CACHED_NODATA, 7);

	begin("a.org.", VIGIE_TYPE_MX); /* a CNAME to a name without the type */
	reply_name(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_CNAME, 30, "b.org.");
	reply_soa(&reply, "org.", 60, 70);
	assert_kept(VIGIE_CACHED_NODATA, 30);
	reply.answer.rcode = VIGIE_RCODE_NXDOMAIN; /* or to none at all (RFC 2308 section 2.1) */
	assert_kept(VIGIE_CACHED_NXDOMAIN, 30);
}

static void test_failures(void **state)
{
	static const uint16_t rcodes[] = {VIGIE_RCODE_SERVFAIL, VIGIE_RCODE_NOTIMP, VIGIE_RCODE_REFUSED,
					  VIGIE_RCODE_FORMERR};

	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++) {
		begin("www.example.org.", VIGIE_TYPE_A);
		reply.answer.rcode = rcodes[i];
		assert_true(reply_classify(&reply)->cacheable);
		assert_int_equal(reply.shape.kind, VIGIE_CACHED_FAILURE);
	}
}

static void test_clamp(void **state)
{
	begin("www.example.org.", VIGIE_TYPE_A);
	reply_address(&reply, "www.example.org.", 1, 1);
	reply_address(&reply, "www.example.org.", 50, 1);
	reply_address(&reply, "www.example.org.", 4000000000, 1);
	reply_classify(&reply);
	vigie_cache_clamp(&reply.answer, &reply.shape, 5, 60);
	assert_memory_equal(reply.buffer + reply.shape.at[0], "\0\0\0\5", 4);
	assert_memory_equal(reply.buffer + reply.shape.at[1], "\0\0\0\62", 4);
	assert_memory_equal(reply.buffer + reply.shape.at[2], "\0\0\0\74", 4);
}

static void test_too_many_records(void **state)
{
	for (unsigned count = VIGIE_CACHE_RECORDS_MAX; count <= VIGIE_CACHE_RECORDS_MAX + 1; count++) {
		begin("a.", VIGIE_TYPE_A);
		for (unsigned i = 0; i < count; i++)
			reply_address(&reply, "a.", 60, i);
		assert_int_equal(reply_classify(&reply)->cacheable, count == VIGIE_CACHE_RECORDS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),    cmocka_unit_test(test_chains),
		cmocka_unit_test(test_long_chain), cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_negative),   cmocka_unit_test(test_failures),
		cmocka_unit_test(test_clamp),      cmocka_unit_test(test_too_many_records),
	};

	return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
