#include "vigie/name.h"

#include "packet.h"

/* `count` labels of `length` times 'x', as text with a dot behind each. Returns the text's end. */
static char *put_labels(char *text, unsigned count, unsigned length)
{
	while (count-- > 0) {
		memset(text, 'x', length);
		text += length;
		*text++ = '.';
	}
	*text = 0;
	return text;
}

static enum vigie_status read_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = (char *)exact((const uint8_t *)text, size);
	struct vigie_name name;
	enum vigie_status status = vigie_name_from_text(&name, copy);

	free(copy);
	return status;
}

static void expect_name(const char *text, const uint8_t *wire, size_t length, unsigned labels)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	assert_int_equal(name.length, length);
	assert_int_equal(name.labels, labels);
	assert_memory_equal(name.bytes, wire, length);
	assert_int_equal(name.offset[labels], length - 1);
	assert_int_equal(vigie_name_length(wire), length);
}

static void test_from_text(void **state)
{
	struct vigie_name name;

	expect_name(".", BYTES("\0"), 0);
	expect_name("org", BYTES("\3org\0"), 1);
	expect_name("Example.ORG.", BYTES("\7example\3org\0"), 2);
	expect_name("_DNS._udp.a-b", BYTES("\4_dns\4_udp\3a-b\0"), 3);
	vigie_name_from_text(&name, "Example.ORG.");
	assert_int_equal(name.offset[0], 0);
	assert_int_equal(name.offset[1], 8);
	assert_int_equal(name.offset[2], 12);
}

static void test_escapes(void **state)
{
	expect_name("a\\.b.c.", BYTES("\3a.b\1c\0"), 2);
	expect_name("a.b\\.", BYTES("\1a\2b.\0"), 2);
	expect_name("\\\\.\\\"", BYTES("\1\\\1\"\0"), 2);
	expect_name("\\000\\255\\065", BYTES("\3\0\377a\0"), 1);
	expect_name("\\046\\0469", BYTES("\3..9\0"), 1);
	expect_name("\\X", BYTES("\1x\0"), 1);
	expect_name("sp ace", BYTES("\6sp ace\0"), 1);
}

static void test_malformed_text(void **state)
{
	static const char *const texts[] = {
		"",    "..",   ".a",    "a..b",  "a..",   "a.b..", "\\",    "a\\",       "a.\\",
		"\\1", "\\12", "\\12a", "\\256", "\\999", "\\0",   "a\\00", "\\-12.\\1", "...",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(read_text(texts[i]), VIGIE_EINVAL);
}

static void test_label_limit(void **state)
{
	char text[2000];

	put_labels(text, 1, VIGIE_LABEL_MAX);
	assert_int_equal(read_text(text), VIGIE_OK);
	text[VIGIE_LABEL_MAX] = 0; /* and without its dot */
	assert_int_equal(read_text(text), VIGIE_OK);
	put_labels(text, 1, VIGIE_LABEL_MAX + 1);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	text[VIGIE_LABEL_MAX + 1] = 0;
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	put_labels(put_labels(text, 1, 3), 1, VIGIE_LABEL_MAX + 1);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	for (size_t i = 0; i < VIGIE_LABEL_MAX; i++)
		memcpy(text + 4 * i, "\\001", 5);
	assert_int_equal(read_text(text), VIGIE_OK);
	memcpy(text + 4 * VIGIE_LABEL_MAX, "\\001", 5);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
}

/* Three labels of 63 take 192 bytes; with the root's zero, 62 are left for a fourth and its length. */
static void test_name_limit(void **state)
{
	struct vigie_name name;
	char text[2000];
	char *end;

	end = put_labels(put_labels(text, 3, 63), 1, 61);
	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	assert_int_equal(name.length, VIGIE_NAME_MAX);
	assert_int_equal(name.labels, 4);
	end[-1] = 0;
	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	assert_int_equal(name.length, VIGIE_NAME_MAX);
	end = put_labels(put_labels(text, 3, 63), 1, 62);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	end[-1] = 0;
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	put_labels(put_labels(put_labels(text, 3, 63), 1, 59), 1, 1);
	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	assert_int_equal(name.length, VIGIE_NAME_MAX);
	put_labels(put_labels(put_labels(text, 3, 63), 1, 60), 1, 1);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	end = put_labels(put_labels(text, 3, 63), 1, 61);
	strcpy(end, ".");
	assert_int_equal(read_text(text), VIGIE_EINVAL);
}

static void test_labels_limit(void **state)
{
	struct vigie_name name;
	char text[2000];
	char *end;

	end = put_labels(text, VIGIE_LABELS_MAX, 1);
	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	assert_int_equal(name.labels, VIGIE_LABELS_MAX);
	assert_int_equal(name.length, VIGIE_NAME_MAX);
	assert_int_equal(name.offset[VIGIE_LABELS_MAX], VIGIE_NAME_MAX - 1);
	end[-1] = 0;
	assert_int_equal(read_text(text), VIGIE_OK);
	end = put_labels(text, VIGIE_LABELS_MAX + 1, 1);
	assert_int_equal(read_text(text), VIGIE_EINVAL);
	end[-1] = 0;
	assert_int_equal(read_text(text), VIGIE_EINVAL);
}

static enum vigie_status read_wire(const uint8_t *wire, size_t length)
{
	uint8_t *copy = exact(wire, length);
	struct vigie_name name;
	enum vigie_status status = vigie_name_from_wire(&name, copy, length);

	free(copy);
	return status;
}

static void test_from_wire(void **state)
{
	static const uint8_t wire[] = "\3WWW\7eXaMpLe\3ORG"; /* the terminator is the root */
	struct vigie_name name;

	assert_int_equal(vigie_name_from_wire(&name, wire, 1000), VIGIE_OK);
	assert_int_equal(name.length, sizeof(wire));
	assert_int_equal(name.labels, 3);
	assert_memory_equal(name.bytes, "\3www\7example\3org", sizeof(wire));
	for (size_t i = 0; i < sizeof(wire); i++)
		assert_int_equal(read_wire(wire, i), VIGIE_EINVAL);
	assert_int_equal(read_wire(BYTES("\0")), VIGIE_OK);
	assert_int_equal(read_wire(BYTES("\1a\xc0\0")), VIGIE_EINVAL); /* no pointers */
	for (unsigned type = 64; type < 256; type++) {
		uint8_t label[300] = {(uint8_t)type, 0};

		assert_int_equal(read_wire(label, sizeof(label)), VIGIE_EINVAL);
	}
}

static void test_wire_limits(void **state)
{
	struct vigie_name name;
	uint8_t wire[300];

	memset(wire, 1, sizeof(wire)); /* labels of one byte, which is 1 too */
	wire[254] = 0;
	assert_int_equal(vigie_name_from_wire(&name, wire, 255), VIGIE_OK);
	assert_int_equal(name.labels, VIGIE_LABELS_MAX);
	assert_int_equal(read_wire(wire, 254), VIGIE_EINVAL);
	wire[254] = 1;
	wire[256] = 0;
	assert_int_equal(read_wire(wire, 257), VIGIE_EINVAL);
	memset(wire, 'x', sizeof(wire));
	wire[0] = wire[64] = wire[128] = 63;
	wire[192] = 61;
	wire[254] = 0;
	assert_int_equal(read_wire(wire, 255), VIGIE_OK);
	wire[192] = 62;
	wire[255] = 0;
	assert_int_equal(read_wire(wire, 256), VIGIE_EINVAL);
}

static void expect_text(const uint8_t *wire, const char *expected)
{
	char text[VIGIE_NAME_TEXT_MAX];
	struct vigie_name name;

	assert_ptr_equal(vigie_name_to_text(wire, text), text);
	assert_string_equal(text, expected);
	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
}

static void test_to_text(void **state)
{
	expect_text((const uint8_t *)"", ".");
	expect_text((const uint8_t *)"\7eXample\3org", "eXample.org.");
	expect_text((const uint8_t *)"\3a.b\1\\", "a\\.b.\\\\.");
	expect_text((const uint8_t *)"\10\"();@$ \n", "\\\"\\(\\)\\;\\@\\$\\032\\010.");
	expect_text((const uint8_t *)"\3\x7f\x80\xff", "\\127\\128\\255.");
}

/* Every byte comes back from its text; the longest text fits. */
static void test_round_trip(void **state)
{
	char *text = malloc(VIGIE_NAME_TEXT_MAX);
	uint8_t wire[VIGIE_NAME_MAX + 1];
	uint8_t folded[VIGIE_NAME_MAX];
	struct vigie_name name;

	assert_non_null(text);
	for (unsigned byte = 0; byte < 256; byte++) {
		memset(wire, (int)byte, sizeof(wire));
		wire[0] = wire[64] = wire[128] = 63;
		wire[192] = 61;
		wire[254] = 0;
		assert_int_equal(vigie_name_from_text(&name, vigie_name_to_text(wire, text)), VIGIE_OK);
		assert_int_equal(name.length, VIGIE_NAME_MAX);
		vigie_name_fold(folded, wire, VIGIE_NAME_MAX);
		assert_memory_equal(name.bytes, folded, VIGIE_NAME_MAX);
	}
	free(text);
}

static uint8_t fold_byte(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 'a' - 'A') : byte;
}

/* Against one byte at a time: every byte at every place of a word, every length up to 300. */
static void test_fold(void **state)
{
	for (size_t length = 0; length <= 300; length++) {
		uint8_t *in = malloc(length);
		uint8_t *out = malloc(length);

		assert_true(length == 0 || (in && out));
		for (unsigned first = 0; first < 256; first++) {
			for (size_t i = 0; i < length; i++)
				in[i] = (uint8_t)(first + 37 * i);
			vigie_name_fold(out, in, length);
			for (size_t i = 0; i < length; i++)
				assert_int_equal(out[i], fold_byte(in[i]));
			vigie_name_fold(in, in, length); /* in place */
			assert_true(length == 0 || memcmp(in, out, length) == 0);
		}
		free(in);
		free(out);
	}
}

static void test_equal(void **state)
{
	const uint8_t *name = (const uint8_t *)"\7example\3org";

	assert_true(vigie_name_equal(name, (const uint8_t *)"\7eXAMPLe\3ORG"));
	assert_true(vigie_name_equal((const uint8_t *)"", (const uint8_t *)""));
	assert_false(vigie_name_equal(name, (const uint8_t *)"\7example\3orh"));
	assert_false(vigie_name_equal(name, (const uint8_t *)"\7example"));
	assert_false(vigie_name_equal(name, (const uint8_t *)""));
	assert_false(vigie_name_equal((const uint8_t *)"", name));
	assert_false(vigie_name_equal(name, (const uint8_t *)"\13example.org"));
	assert_false(vigie_name_equal((const uint8_t *)"\1@", (const uint8_t *)"\1`")); /* 0x20 apart */
	assert_false(vigie_name_equal((const uint8_t *)"\1[", (const uint8_t *)"\1{"));
	assert_false(vigie_name_equal((const uint8_t *)"\1\xc1", (const uint8_t *)"\1\xe1"));
}

static bool is_below(const char *name_text, const char *zone_text)
{
	struct vigie_name name;
	struct vigie_name zone;

	assert_int_equal(vigie_name_from_text(&name, name_text), VIGIE_OK);
	assert_int_equal(vigie_name_from_text(&zone, zone_text), VIGIE_OK);
	return vigie_name_is_below(&name, &zone);
}

static void test_is_below(void **state)
{
	assert_true(is_below("example.org", "example.org"));
	assert_true(is_below("a.b.Example.org", "eXample.org"));
	assert_true(is_below("example.org", "."));
	assert_true(is_below(".", "."));
	assert_false(is_below(".", "org"));
	assert_false(is_below("org", "example.org"));
	assert_false(is_below("notexample.org", "example.org"));
	assert_false(is_below("example.com", "example.org"));
	assert_false(is_below("a\\.example.org", "example.org"));
	assert_false(is_below("x\\007example.org", "example.org")); /* a length byte's value in a label */
	assert_false(is_below("example.org.example.com", "example.org"));
}

/* Pieces of every length that are the same, or differ in one byte. */
static void test_same(void **state)
{
	uint8_t one[VIGIE_NAME_MAX];
	uint8_t other[VIGIE_NAME_MAX];

	memset(one, 'x', sizeof(one));
	memset(other, 'x', sizeof(other));
	for (size_t length = 0; length < sizeof(one); length++) {
		other[length] ^= 1; /* what is behind the piece does not count */
		assert_true(vigie_name_same(one, other, length));
		other[length] ^= 1;
		for (size_t i = 0; i < length; i++) {
			other[i] ^= 1;
			assert_false(vigie_name_same(one, other, length));
			other[i] ^= 1;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),         cmocka_unit_test(test_from_text),
		cmocka_unit_test(test_escapes),      cmocka_unit_test(test_malformed_text),
		cmocka_unit_test(test_label_limit),  cmocka_unit_test(test_name_limit),
		cmocka_unit_test(test_labels_limit), cmocka_unit_test(test_from_wire),
		cmocka_unit_test(test_wire_limits),  cmocka_unit_test(test_to_text),
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_fold),
		cmocka_unit_test(test_equal),        cmocka_unit_test(test_is_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
