#include "vigie/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_texts(void **state)
{
	for (int a = VIGIE_OK; a <= VIGIE_ETIMEOUT; a++) {
		assert_string_not_equal(vigie_status_text((enum vigie_status)a), "unknown status");
		for (int b = VIGIE_OK; b < a; b++)
			assert_string_not_equal(vigie_status_text((enum vigie_status)a),
						vigie_status_text((enum vigie_status)b));
	}
	assert_string_equal(vigie_status_text((enum vigie_status)99), "unknown status");
}

static void test_error(void **state)
{
	struct vigie_error error;
	char *text = error.text;
	char longer[1000];

	assert_int_equal(vigie_error_set(&error, VIGIE_EINVAL, "%s:%d: bad", "Corefile", 7), VIGIE_EINVAL);
	assert_string_equal(text, "Corefile:7: bad");
	assert_int_equal(vigie_error_set(NULL, VIGIE_EIO, "%s", "nobody listens"), VIGIE_EIO);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(vigie_error_set(&error, VIGIE_ENOENT, "%s", longer), VIGIE_ENOENT);
	assert_int_equal(strlen(text), sizeof(error.text) - 1);
}

static void test_out_of_memory(void **state)
{
	struct vigie_error error;

	assert_int_equal(vigie_error_memory(&error), VIGIE_ENOMEM);
	assert_string_equal(error.text, "out of memory");
	assert_int_equal(vigie_error_memory(NULL), VIGIE_ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
