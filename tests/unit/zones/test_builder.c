/* Building zones from records: what is taken, what is refused, and that a walk gives all of it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zone.h"

#define SOA "\2ns\0\4host\0\0\0\0\7\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"

static struct vigie_zone_builder *begin(void)
{
	struct vigie_name origin;

	assert_int_equal(vigie_name_from_text(&origin, "example.org."), VIGIE_OK);
	return vigie_zone_builder_new(&origin);
}

static enum vigie_status add(struct vigie_zone_builder *builder, const char *owner, uint16_t type,
			     uint32_t ttl, const char *rdata, size_t length)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, owner), VIGIE_OK);
	return vigie_zone_builder_add(builder, name.bytes, type, ttl, (const uint8_t *)rdata, length);
}

static void add_soa(struct vigie_zone_builder *builder)
{
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_SOA, 60, SOA, sizeof(SOA) - 1), VIGIE_OK);
}

static void test_walk(void **state)
{
	static const struct {
		const char *owner;
		uint16_t type;
		uint32_t ttl;
	} expected[] = {
		{"example.org.", VIGIE_TYPE_SOA, 60},      {"example.org.", VIGIE_TYPE_A, 5},
		{"example.org.", VIGIE_TYPE_A, 5},         {"example.org.", VIGIE_TYPE_RRSIG, 7},
		{"b.a.example.org.", VIGIE_TYPE_RRSIG, 9}, {"b.example.org.", VIGIE_TYPE_A, 0},
	};
	static const char sig_a[] = "\0\1-----------------------";
	struct vigie_zone_builder *builder = begin();
	struct vigie_zone_walk walk = {0};
	struct vigie_zone_record record;
	struct vigie_zone *zone;
	struct vigie_soa soa;

	/* In no order; a record that is there already counts once; TTLs above 31 bits are none. */
	assert_int_equal(add(builder, "b.example.org.", VIGIE_TYPE_A, UINT32_MAX, "\1\2\3\4", 4), VIGIE_OK);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_A, 9, "\1\2\3\5", 4), VIGIE_OK);
	assert_int_equal(add(builder, "b.a.example.org.", VIGIE_TYPE_RRSIG, 9, sig_a, sizeof(sig_a)),
			 VIGIE_OK);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_RRSIG, 7, sig_a, sizeof(sig_a)), VIGIE_OK);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_A, 5, "\1\2\3\4", 4), VIGIE_OK);
	add_soa(builder);
	assert_int_equal(add(builder, "EXAMPLE.org.", VIGIE_TYPE_A, 9, "\1\2\3\5", 4), VIGIE_OK);
	zone = vigie_zone_builder_finish(builder, NULL);
	assert_non_null(zone);
	vigie_zone_soa(zone, &soa);
	assert_int_equal(soa.serial, 7);
	assert_int_equal(soa.minimum, 5);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		char text[VIGIE_NAME_TEXT_MAX];

		assert_true(vigie_zone_next(zone, &walk, &record));
		assert_string_equal(vigie_name_to_text(record.owner, text), expected[i].owner);
		assert_int_equal(record.type, expected[i].type);
		assert_int_equal(record.ttl, expected[i].ttl);
	}
	assert_false(vigie_zone_next(zone, &walk, &record));
	vigie_zone_unref(zone);
}

static void test_references(void **state)
{
	struct vigie_zone_builder *builder = begin();
	struct vigie_zone *zone;
	struct vigie_soa soa;

	add_soa(builder);
	zone = vigie_zone_builder_finish(builder, NULL);
	assert_ptr_equal(vigie_zone_ref(zone), zone);
	vigie_zone_unref(zone);
	vigie_zone_soa(zone, &soa); /* still there: the address sanitizer watches */
	vigie_zone_unref(zone);
	vigie_zone_unref(NULL);
}

static void test_refused_records(void **state)
{
	struct vigie_zone_builder *builder = begin();
	char *longest = calloc(1, VIGIE_ZONE_RDATA_MAX + 1);

	assert_int_equal(add(builder, "example.net.", VIGIE_TYPE_A, 1, "\1\2\3\4", 4), VIGIE_ENOENT);
	assert_int_equal(add(builder, "org.", VIGIE_TYPE_A, 1, "\1\2\3\4", 4), VIGIE_ENOENT);
	for (uint16_t type = 0; type < 300; type++) {
		bool meta = type == 0 || type == VIGIE_TYPE_OPT || (type >= 128 && type <= 255);
		enum vigie_status status = add(builder, "example.org.", type, 1, "\1\2\3\4", 4);

		if (meta)
			assert_int_equal(status, VIGIE_EINVAL);
	}
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_A, 1, "\1\2\3", 3), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_AAAA, 1, "\1\2\3\4", 4), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_NS, 1, "", 0), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_NS, 1, "\2ns", 3), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_CNAME, 1, "\2ns\0x", 5), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_MX, 1, "\0\1", 2), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_SRV, 1, "\0\1\0\1\0\1", 6), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_SOA, 1, SOA, sizeof(SOA) - 2), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", VIGIE_TYPE_RRSIG, 1, SOA, 18), VIGIE_EINVAL);
	assert_int_equal(add(builder, "example.org.", 65280, 1, longest, VIGIE_ZONE_RDATA_MAX), VIGIE_OK);
	assert_int_equal(add(builder, "example.org.", 65280, 1, longest, VIGIE_ZONE_RDATA_MAX + 1),
			 VIGIE_EINVAL);
	vigie_zone_builder_free(builder);
	free(longest);
}

static void test_no_zone(void **state)
{
	struct vigie_zone_builder *builder = begin();
	struct vigie_error error;

	assert_null(vigie_zone_builder_finish(builder, &error));
	assert_string_equal(error.text, "zone 'example.org.' has no SOA record");
	builder = begin();
	add(builder, "www.example.org.", VIGIE_TYPE_A, 1, "\1\2\3\4", 4);
	assert_null(vigie_zone_builder_finish(builder, &error));
	assert_string_equal(error.text, "zone 'example.org.' has no SOA record");
	builder = begin();
	add_soa(builder);
	add(builder, "example.org.", TYPE_NSEC3PARAM, 1, "\1\0\0\0\0", 5);
	assert_null(vigie_zone_builder_finish(builder, &error));
	assert_non_null(strstr(error.text, "NSEC3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_refused_records),
		cmocka_unit_test(test_no_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
