#include "vigie/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../hash_key.h"

static int draw_key(void **state)
{
	fix_hash_key();
	return 0;
}

/* What OpenSSL's SIPHASH (c-rounds 1, d-rounds 3) and libhighwayhash's SipHash13C say for 00 01 02 … of
 * length 0, 1, 2 and so on. */
static void test_vectors(void **state)
{
	static const uint64_t vectors[] = {
		0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
		0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
		0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
		0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34, 0xd320d86d2a519956,
		0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
		0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123,
		0xf464aeb267349c8c, 0x45cd5928705b0979, 0x3a3e35e3ca9913a5, 0xa91dc74e4ade3b35,
		0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4, 0x540f11d643c5e663, 0x2370dd1f8c21d1bc,
		0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf};

	for (size_t length = 0; length < sizeof(vectors) / sizeof(*vectors); length++) {
		uint8_t *input = malloc(length + 1); /* of its own length, for the address sanitizer */

		assert_non_null(input);
		counting_bytes(input + 1, length);
		assert_true(vigie_hash(input + 1, length) == vectors[length]);
		free(input);
	}
}

static void test_key_is_drawn_once(void **state)
{
	uint64_t before = vigie_hash("name", 4);

	vigie_hash_init();
	assert_int_equal(vigie_hash("name", 4), before);
	assert_int_not_equal(vigie_hash("name", 3), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_key_is_drawn_once),
	};

	return cmocka_run_group_tests(tests, draw_key, NULL);
}
