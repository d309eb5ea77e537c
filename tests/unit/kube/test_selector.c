#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vigie/kube.h"

static bool matches(const char *expression, const char *key, const char *value)
{
	struct vigie_error error;
	struct vigie_selector *selector = vigie_selector_new(expression, &error);
	bool result;

	assert_non_null(selector);
	result = vigie_selector_matches(selector, &key, &value, key ? 1 : 0);
	vigie_selector_free(selector);
	return result;
}

static void test_equality(void **state)
{
	assert_true(matches("app=web", "app", "web"));
	assert_true(matches(" app == web ", "app", "web"));
	assert_false(matches("app=web", "app", "webs"));
	assert_false(matches("app=web", "tier", "web"));
	assert_false(matches("app=web", NULL, NULL));
	assert_true(matches("app=", "app", ""));
	assert_true(matches("example.org/app-name=a_b.c", "example.org/app-name", "a_b.c"));
}

static void test_inequality_matches_absent_keys(void **state)
{
	assert_true(matches("app!=web", "app", "db"));
	assert_false(matches("app!=web", "app", "web"));
	assert_true(matches("app!=web", NULL, NULL));
	assert_true(matches("app notin (web, db)", NULL, NULL));
	assert_false(matches("app notin (web, db)", "app", "db"));
}

static void test_sets(void **state)
{
	assert_true(matches("environment in (staging, qa)", "environment", "qa"));
	assert_false(matches("environment in (staging,qa)", "environment", "prod"));
	assert_true(matches("index", "index", "1"));
	assert_true(matches("in in (in)", "in", "in"));
}

static void test_existence(void **state)
{
	assert_true(matches("app", "app", ""));
	assert_false(matches("app", NULL, NULL));
	assert_true(matches("!app", NULL, NULL));
	assert_false(matches("!app", "app", "x"));
}

static void test_all_must_hold(void **state)
{
	static const char *const keys[] = {"environment", "application"};
	static const char *const values[] = {"qa", "nginx"};
	struct vigie_selector *selector =
		vigie_selector_new("environment in (staging, qa),application=nginx", NULL);

	assert_non_null(selector);
	assert_true(vigie_selector_matches(selector, keys, values, 2));
	assert_false(vigie_selector_matches(selector, keys, values, 1));
	vigie_selector_free(selector);
}

static void test_errors_say_where(void **state)
{
	static const struct {
		const char *expression;
		const char *error;
	} wrong[] = {
		{"", "a label's key is expected at 'the end'"},
		{"a=b,", "a label's key is expected at 'the end'"},
		{"a in b", "'(' is expected at 'b'"},
		{"a in (b", "')' is expected at 'the end'"},
		{"a=b c", "a comma or the end is expected at 'c'"},
		{"=b", "a label's key is expected at '=b'"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct vigie_error error;

		assert_null(vigie_selector_new(wrong[i].expression, &error));
		assert_string_equal(error.text, wrong[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equality),      cmocka_unit_test(test_inequality_matches_absent_keys),
		cmocka_unit_test(test_sets),          cmocka_unit_test(test_existence),
		cmocka_unit_test(test_all_must_hold), cmocka_unit_test(test_errors_say_where),
	};

	return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
