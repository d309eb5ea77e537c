/* Reading catalog zones: what they list, and every way of being broken. The words of a refusal are in the
 * functional tests; here are bounds and names in strange places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/catalog.h"

#define SOA "\2ns\0\4host\0\0\0\0\7\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"

static struct vigie_zone_builder *builder;

static void add(const char *owner, uint16_t type, const void *rdata, size_t length)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, owner), VIGIE_OK);
	assert_int_equal(vigie_zone_builder_add(builder, name.bytes, type, 0, rdata, length), VIGIE_OK);
}

static void add_name(const char *owner, const char *target)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, target), VIGIE_OK);
	add(owner, VIGIE_TYPE_PTR, name.bytes, name.length);
}

static void begin(void)
{
	struct vigie_name origin;

	assert_int_equal(vigie_name_from_text(&origin, "cat.test."), VIGIE_OK);
	builder = vigie_zone_builder_new(&origin);
	add("cat.test.", VIGIE_TYPE_SOA, SOA, sizeof(SOA) - 1);
	add("cat.test.", VIGIE_TYPE_NS, "\7invalid", 9);
	add("version.cat.test.", VIGIE_TYPE_TXT,
	    "\1"
	    "2",
	    2);
}

static struct vigie_catalog *finish(struct vigie_error *error)
{
	struct vigie_zone *zone = vigie_zone_builder_finish(builder, error);
	struct vigie_catalog *catalog;

	assert_non_null(zone);
	catalog = vigie_catalog_read(zone, error);
	vigie_zone_unref(zone);
	return catalog;
}

static const struct vigie_catalog_member *get(const struct vigie_catalog *catalog, const char *origin)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, origin), VIGIE_OK);
	return vigie_catalog_get(catalog, &name);
}

static void test_members(void **state)
{
	struct vigie_error error;
	struct vigie_catalog *catalog;

	begin();
	add_name("M.zones.cat.test.", "One.test.");
	add_name("m2.zones.cat.test.", "two.test.");
	add_name("coo.m2.zones.cat.test.", "Other.test.");
	/* None of these is a member. */
	add_name("zones.cat.test.", "not1.test.");
	add_name("x.y.zones.cat.test.", "not2.test.");
	add_name("m.zonez.cat.test.", "not3.test.");
	add_name("m.cat.test.", "not4.test.");
	add_name("coo.m3.zones.cat.test.", "not5.test.");
	add_name("coo.deep.m2.zones.cat.test.", "not6.test.");
	add("m4.zones.cat.test.", VIGIE_TYPE_TXT, "\3not", 4);
	add("group.m2.zones.cat.test.", VIGIE_TYPE_TXT, "\1g", 2);
	/* And this no version of it. */
	add("version.m2.zones.cat.test.", VIGIE_TYPE_TXT,
	    "\1"
	    "9",
	    2);
	catalog = finish(&error);
	assert_non_null(catalog);
	assert_int_equal(catalog->count, 2);
	assert_memory_equal(get(catalog, "one.test.")->id, "\1m", 2);
	assert_null(get(catalog, "one.test.")->owner_to_be);
	assert_memory_equal(get(catalog, "two.test.")->id, "\2m2", 3);
	assert_memory_equal(get(catalog, "two.test.")->owner_to_be, "\5other\4test", 12);
	assert_null(get(catalog, "test."));
	assert_null(get(catalog, "not.listed.test."));
	vigie_catalog_free(catalog);
}

static void test_an_empty_catalog(void **state)
{
	struct vigie_error error;
	struct vigie_catalog *catalog;

	begin();
	catalog = finish(&error);
	assert_non_null(catalog);
	assert_int_equal(catalog->count, 0);
	assert_null(get(catalog, "one.test."));
	vigie_catalog_free(catalog);
}

static void fill(unsigned members)
{
	begin();
	for (unsigned i = 0; i < members; i++) {
		char owner[64];
		char target[64];

		snprintf(owner, sizeof(owner), "m%u.zones.cat.test.", i);
		snprintf(target, sizeof(target), "z%u.test.", i);
		add_name(owner, target);
	}
}

static void test_so_many_members(void **state)
{
	struct vigie_error error;
	struct vigie_catalog *catalog;

	fill(VIGIE_CATALOG_MEMBERS_MAX);
	catalog = finish(&error);
	assert_non_null(catalog);
	assert_int_equal(catalog->count, VIGIE_CATALOG_MEMBERS_MAX);
	assert_non_null(get(catalog, "z0.test."));
	assert_non_null(get(catalog, "z9999.test."));
	vigie_catalog_free(catalog);

	fill(VIGIE_CATALOG_MEMBERS_MAX + 1);
	assert_null(finish(&error));
	assert_string_equal(error.text, "the catalog has more than 10000 members");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_an_empty_catalog),
		cmocka_unit_test(test_so_many_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
