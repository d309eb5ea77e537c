#include "vigie/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_page(struct vigie_metrics *metrics, const char *expected)
{
	struct vigie_buffer page;

	vigie_buffer_init(&page, 65536);
	assert_int_equal(vigie_metrics_write(metrics, &page), VIGIE_OK);
	assert_int_equal(page.length, strlen(expected));
	assert_memory_equal(page.data, expected, page.length);
	vigie_buffer_fini(&page);
	vigie_metrics_free(metrics);
}

static void test_samples_of_a_family_stand_together(void **state)
{
	struct vigie_metrics *metrics = vigie_metrics_new();

	vigie_metrics_add(metrics, "a_total", VIGIE_COUNTER, "First.", "zone=\".\"", 1);
	vigie_metrics_add(metrics, "b", VIGIE_GAUGE, "Second.", "", 0.25);
	vigie_metrics_add(metrics, "a_total", VIGIE_COUNTER, "First.", "zone=\"x.\"", 2);
	vigie_metrics_add(metrics, "a_total", VIGIE_COUNTER, "First.", "zone=\".\"", 3);
	check_page(metrics, "# HELP a_total First.\n# TYPE a_total counter\n"
			    "a_total{zone=\".\"} 4\na_total{zone=\"x.\"} 2\n"
			    "# HELP b Second.\n# TYPE b gauge\nb 0.25\n");
}

static void test_gauges_that_are_no_amounts(void **state)
{
	static const double values[] = {2, 1, 3};
	struct vigie_metrics *metrics = vigie_metrics_new();

	for (size_t i = 0; i < 3; i++) {
		vigie_metrics_add(metrics, "a", VIGIE_GAUGE_LEAST, "Least.", "", values[i]);
		vigie_metrics_add(metrics, "b", VIGIE_GAUGE_GREATEST, "Greatest.", "", values[i]);
	}
	check_page(metrics, "# HELP a Least.\n# TYPE a gauge\na 1\n"
			    "# HELP b Greatest.\n# TYPE b gauge\nb 3\n");
}

static void test_histogram(void **state)
{
	static const double bounds[] = {0.5, 1};
	static const uint64_t counts[] = {3, 0, 4};
	const struct vigie_histogram histogram = {bounds, 2, counts, 12.5};
	struct vigie_metrics *metrics = vigie_metrics_new();

	vigie_metrics_add_histogram(metrics, "h", "Help.", "a=\"b\"", &histogram);
	check_page(metrics, "# HELP h Help.\n# TYPE h histogram\n"
			    "h_bucket{a=\"b\",le=\"0.5\"} 3\nh_bucket{a=\"b\",le=\"1\"} 3\n"
			    "h_bucket{a=\"b\",le=\"+Inf\"} 7\nh_sum{a=\"b\"} 12.5\nh_count{a=\"b\"} 7\n");
}

static void test_labels_are_escaped(void **state)
{
	char labels[64] = "";

	vigie_metrics_label(labels, sizeof(labels), "a", "x\"y\\z\n");
	assert_string_equal(labels, "a=\"x\\\"y\\\\z\\n\"");
	vigie_metrics_label(labels, sizeof(labels), "b", "");
	assert_string_equal(labels, "a=\"x\\\"y\\\\z\\n\",b=\"\"");
}

static void test_a_label_without_room_is_left_out(void **state)
{
	for (size_t size = 1; size < 40; size++) {
		char labels[40] = "";

		vigie_metrics_label(labels, size, "name", "0123456789\n");
		assert_true(strcmp(labels, "") == 0 || strcmp(labels, "name=\"0123456789\\n\"") == 0);
		assert_true(strlen(labels) < size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_of_a_family_stand_together),
		cmocka_unit_test(test_gauges_that_are_no_amounts),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_labels_are_escaped),
		cmocka_unit_test(test_a_label_without_room_is_left_out),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
