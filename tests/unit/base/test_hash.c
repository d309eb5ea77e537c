#include "vigie/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/random.h"

/* The key of SipHash's published test vectors: 00 01 02 … 0f. */
static void counting_bytes(void *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)out)[i] = (uint8_t)i;
}

static int draw_key(void **state)
{
	vigie_random_set(counting_bytes);
	vigie_hash_init();
	vigie_random_set(NULL);
	return 0;
}

/* The paper's vectors (Aumasson and Bernstein 2012, appendix A, and its reference implementation): the input
 * is 00 01 02 …, the output's bytes stand in order. */
static void test_vectors(void **state)
{
	static const struct {
		size_t length;
		uint8_t hash[8];
	} vectors[] = {
		{0, {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72}},
		{1, {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74}},
		{8, {0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93}},
		{15, {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1}},
	};
	uint8_t input[16];

	counting_bytes(input, sizeof(input));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		uint64_t hash = vigie_hash(input, vectors[i].length);

		assert_memory_equal(&hash, vectors[i].hash, sizeof(hash));
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
