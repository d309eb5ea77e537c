/* What HTTP says of a DNS message, and what its age does to it. */
#include "doh_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The bytes of a string literal, and how many: its final zero is not one of them. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

#define HEAD(answers, authorities, additionals)                                                              \
	"\0\0\x81\x80\0\1\0" answers "\0" authorities "\0" additionals "\1a\0\0\1\0\1"
#define RECORD(ttl) "\xc0\xc\0\1\0\1" ttl "\0\4\xc0\0\2\1"
#define OPT "\0\0\x29\4\xd0\1\0\x80\0\0\0"

static void test_content_type(void **state)
{
	static const char *const good[] = {
		"application/dns-message",           "APPLICATION/DNS-Message",
		"application/dns-message;a=b",       "application/dns-message ; a=b",
		"application/dns-message\t;charset", "application/dns-message \t",
	};
	static const char *const bad[] = {
		"",
		"text/html",
		"application/dns-messages",
		"application/dns-message x",
		"application/dns-messag",
		" application/dns-message",
		"application/dns-message,text/html",
		"application/dns-json",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(doh_is_message(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(doh_is_message(bad[i]));
	assert_false(doh_is_message(NULL));
}

static void test_age_header(void **state)
{
	static const struct {
		const char *text;
		uint32_t age;
	} cases[] = {
		{"0", 0},
		{"25", 25},
		{" 25\t", 25},
		{"4294967295", UINT32_MAX},
		{"4294967296", UINT32_MAX},
		{"99999999999999999999999999999999", UINT32_MAX},
		{"", 0},
		{" ", 0},
		{"-5", 0},
		{"+5", 0},
		{"soon", 0},
		{"25s", 0},
		{"2 5", 0},
		{"0x10", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(doh_read_age(cases[i].text), cases[i].age);
}

/* Ages a copy in memory of exactly that size: the address sanitizer sees what is touched behind it. */
static void assert_aged(const uint8_t *message, size_t length, uint32_t age, const uint8_t *aged,
			size_t aged_length)
{
	uint8_t *copy = malloc(length);

	assert_int_equal(length, aged_length);
	assert_non_null(copy);
	memcpy(copy, message, length);
	doh_age(copy, length, age);
	assert_memory_equal(copy, aged, length);
	free(copy);
}

/* All records of all sections, but for OPT, whose flags stand in the TTL's place; none goes below zero. */
static void test_ttls(void **state)
{
	assert_aged(BYTES(HEAD("\2", "\1", "\2") RECORD("\0\0\1\x2c") RECORD("\0\0\0\12") RECORD("\0\1\0\0")
				  OPT RECORD("\xff\xff\xff\xff")),
		    11,
		    BYTES(HEAD("\2", "\1", "\2") RECORD("\0\0\1\x21") RECORD("\0\0\0\0")
				  RECORD("\0\0\xff\xf5") OPT RECORD("\xff\xff\xff\xf4")));
	assert_aged(BYTES(HEAD("\1", "\0", "\1") RECORD("\0\0\1\x2c") OPT), UINT32_MAX,
		    BYTES(HEAD("\1", "\0", "\1") RECORD("\0\0\0\0") OPT));
	assert_aged(BYTES(HEAD("\1", "\0", "\0") RECORD("\0\0\1\x2c")), 0,
		    BYTES(HEAD("\1", "\0", "\0") RECORD("\0\0\1\x2c")));
}

/* What can be read of a message that is cut, or says that it holds more than it does; the judge refuses it
 * later. */
static void test_malformed(void **state)
{
	const uint8_t *message =
		(const uint8_t *)(HEAD("\2", "\0", "\0") RECORD("\0\0\1\x2c") RECORD("\0\0\1\x2c"));
	size_t length = sizeof(HEAD("\2", "\0", "\0") RECORD("\0\0\1\x2c") RECORD("\0\0\1\x2c")) - 1;

	assert_aged(BYTES(HEAD("\7", "\0", "\0") RECORD("\0\0\1\x2c")), 1,
		    BYTES(HEAD("\7", "\0", "\0") RECORD("\0\0\1\x2b")));
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *copy = malloc(cut > 0 ? cut : 1);

		assert_non_null(copy);
		memcpy(copy, message, cut);
		doh_age(copy, cut, 1);
		for (size_t i = 0; i < cut; i++)
			assert_true(copy[i] == message[i] || copy[i] == 0x2b);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_type),
		cmocka_unit_test(test_age_header),
		cmocka_unit_test(test_ttls),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests_name("doh_message", tests, NULL, NULL);
}
