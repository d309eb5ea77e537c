#include "dump.h"

static struct vigie_word word_of(const char *text)
{
	return (struct vigie_word){.text = text, .file = "Corefile", .line = 4};
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t milliseconds;
	} cases[] = {
		{"0", 0},
		{"0s", 0},
		{"5s", 5000},
		{"+5s", 5000},
		{"250ms", 250},
		{"1m30s", 90000},
		{"1h1m1s1ms", 3661001},
		{"30s1h", 3630000},
		{"1.5s", 1500},
		{".5s", 500},
		{"1.s", 1000},
		{"0.1h", 360000},
		{"1.000000000000000000000000001s", 1000},
		{"999us", 0},
		{"1000us", 1},
		{"1500\u00b5s", 1},
		{"2000\u03bcs", 2},
		{"1999999ns", 1},
		{"600us600us", 1},
		{"9223372036854775807ns", 9223372036854},
		{"000000000000000000000000000001s", 1000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vigie_word word = word_of(cases[i].text);
		struct vigie_error error = {""};
		uint64_t milliseconds = 12345;

		if (vigie_duration_from_word(&word, &milliseconds, &error))
			fail_msg("%s", error.text);
		if (milliseconds != cases[i].milliseconds)
			fail_msg("'%s' gave %llu", cases[i].text, (unsigned long long)milliseconds);
	}
}

static void test_durations_refused(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"5", "Corefile:4: '5': this duration ends without a unit: ns, us, ms, s, m or h"},
		{"1m30", "Corefile:4: '1m30': this duration ends without a unit: ns, us, ms, s, m or h"},
		{"-5s", "Corefile:4: '-5s': this duration cannot be negative"},
		{"", "Corefile:4: '' is not a duration, such as 250ms, 5s or 1m30s"},
		{"+", "Corefile:4: '+' is not a duration, such as 250ms, 5s or 1m30s"},
		{".", "Corefile:4: '.' is not a duration, such as 250ms, 5s or 1m30s"},
		{".s", "Corefile:4: '.s' is not a duration, such as 250ms, 5s or 1m30s"},
		{"s", "Corefile:4: 's' is not a duration, such as 250ms, 5s or 1m30s"},
		{"5d", "Corefile:4: '5d' is not a duration, such as 250ms, 5s or 1m30s"},
		{"5S", "Corefile:4: '5S' is not a duration, such as 250ms, 5s or 1m30s"},
		{"5 s", "Corefile:4: '5 s' is not a duration, such as 250ms, 5s or 1m30s"},
		{"1.5.5s", "Corefile:4: '1.5.5s' is not a duration, such as 250ms, 5s or 1m30s"},
		{"5s\n", "Corefile:4: '5s?' is not a duration, such as 250ms, 5s or 1m30s"},
		{"9223372036854775808ns",
		 "Corefile:4: '9223372036854775808ns': this duration is beyond 292 years"},
		{"2562048h", "Corefile:4: '2562048h': this duration is beyond 292 years"},
		{"2562047h2562047h", "Corefile:4: '2562047h2562047h': this duration is beyond 292 years"},
		{"99999999999999999999999999s",
		 "Corefile:4: '99999999999999999999999999s': this duration is beyond 292 years"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vigie_word word = word_of(cases[i].text);
		struct vigie_error error;
		uint64_t milliseconds;

		assert_int_equal(vigie_duration_from_word(&word, &milliseconds, &error), VIGIE_EINVAL);
		assert_string_equal(error.text, cases[i].error);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t least, most, number;
	} cases[] = {
		{"0", 0, 10, 0},
		{"10", 0, 10, 10},
		{"007", 7, 7, 7},
		{"18446744073709551615", 0, UINT64_MAX, UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vigie_word word = word_of(cases[i].text);
		uint64_t number;

		assert_int_equal(vigie_number_from_word(&word, cases[i].least, cases[i].most, &number, NULL),
				 VIGIE_OK);
		assert_int_equal(number, cases[i].number);
	}
}

static void test_numbers_refused(void **state)
{
	static const char *const cases[] = {"",
					    "1",
					    "3601",
					    "-5",
					    "+5",
					    "5s",
					    " 5",
					    "0x10",
					    "18446744073709551616",
					    "18446744073709551626",
					    "999999999999999999999999"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vigie_word word = word_of(cases[i]);
		struct vigie_error error;
		char expected[128];
		uint64_t number;

		snprintf(expected, sizeof(expected), "Corefile:4: '%s' is not a number from 2 to 3600",
			 cases[i]);
		assert_int_equal(vigie_number_from_word(&word, 2, 3600, &number, &error), VIGIE_EINVAL);
		assert_string_equal(error.text, expected);
	}
	{
		struct vigie_word word = word_of("18446744073709551616");
		uint64_t number;

		assert_int_equal(vigie_number_from_word(&word, 0, UINT64_MAX, &number, NULL), VIGIE_EINVAL);
	}
}

static void test_word_error(void **state)
{
	struct vigie_word word = {.text = "a\nb\x7f", .file = "dir/Corefile", .line = 12};
	struct vigie_word far = {.text = "x", .line = 1};
	char path[1000];
	struct vigie_error error;

	assert_int_equal(vigie_word_error(&error, &word, "'%s' is %d%%", word.text, 5), VIGIE_EINVAL);
	assert_string_equal(error.text, "dir/Corefile:12: 'a?b?' is 5%");
	assert_int_equal(vigie_word_error(NULL, &word, "'%s'", word.text), VIGIE_EINVAL);

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	far.file = path;
	assert_int_equal(vigie_word_error(&error, &far, "'%s'", far.text), VIGIE_EINVAL);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1); /* cut */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),  cmocka_unit_test(test_durations_refused),
		cmocka_unit_test(test_numbers),    cmocka_unit_test(test_numbers_refused),
		cmocka_unit_test(test_word_error),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
