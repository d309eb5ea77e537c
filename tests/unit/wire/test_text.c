/* Names of types, classes, opcodes and response codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/query.h"
#include "vigie/text.h"

static void names(void **state)
{
	char text[VIGIE_TEXT_MAX];

	assert_string_equal(vigie_type_text(VIGIE_TYPE_AAAA, text), "AAAA");
	assert_string_equal(vigie_type_text(VIGIE_TYPE_HTTPS, text), "HTTPS");
	assert_string_equal(vigie_type_text(65535, text), "TYPE65535");
	assert_string_equal(vigie_class_text(VIGIE_CLASS_IN, text), "IN");
	assert_string_equal(vigie_class_text(65535, text), "CLASS65535");
	assert_string_equal(vigie_rcode_text(VIGIE_RCODE_NXDOMAIN, text), "NXDOMAIN");
	assert_string_equal(vigie_rcode_text(4095, text), "RCODE4095");
	assert_string_equal(vigie_opcode_text(4, text), "NOTIFY");
	assert_string_equal(vigie_opcode_text(15, text), "OPCODE15");
}

/* Every number's text leads back to it: the tables are in order and hold no text twice. */
static void round_trip(void **state)
{
	for (unsigned number = 0; number <= UINT16_MAX; number++) {
		char text[VIGIE_TEXT_MAX];
		uint16_t back;

		assert_int_equal(vigie_type_from_text(&back, vigie_type_text((uint16_t)number, text)),
				 VIGIE_OK);
		assert_int_equal(back, number);
		assert_int_equal(vigie_class_from_text(&back, vigie_class_text((uint16_t)number, text)),
				 VIGIE_OK);
		assert_int_equal(back, number);
		assert_int_equal(vigie_rcode_from_text(&back, vigie_rcode_text((uint16_t)number, text)),
				 VIGIE_OK);
		assert_int_equal(back, number);
	}
}

static void spellings(void **state)
{
	uint16_t number;

	assert_int_equal(vigie_type_from_text(&number, "aaaa"), VIGIE_OK);
	assert_int_equal(number, 28);
	assert_int_equal(vigie_type_from_text(&number, "type28"), VIGIE_OK);
	assert_int_equal(number, 28);
	assert_int_equal(vigie_type_from_text(&number, "AAA"), VIGIE_EINVAL);
	assert_int_equal(vigie_type_from_text(&number, ""), VIGIE_EINVAL);
	assert_int_equal(vigie_type_from_text(&number, "TYPE"), VIGIE_EINVAL);
	assert_int_equal(vigie_type_from_text(&number, "TYPE-1"), VIGIE_EINVAL);
	assert_int_equal(vigie_type_from_text(&number, "TYPE65536"), VIGIE_EINVAL);
	assert_int_equal(vigie_type_from_text(&number, "TYPE1x"), VIGIE_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
