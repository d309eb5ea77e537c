/* Arrays that are searched by a name in each element: one of every size is found, and nothing else. */
#include "vigie/name_table.h"

#include <stdio.h>

#include "packet.h"

enum { NAMES = 50 };

struct element {
	unsigned number;
	struct vigie_name name;
};

static struct element elements[NAMES];

static const struct vigie_name *name_of(const void *element)
{
	return &((const struct element *)element)->name;
}

/* Names of several lengths, in no order. */
static void make(struct vigie_name *name, unsigned number)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*s%u.example.", (int)(number % 7), "xxxxxxx", number * 7919);
	assert_int_equal(vigie_name_from_text(name, text), VIGIE_OK);
}

static void test_get(void **state)
{
	for (unsigned count = 0; count <= NAMES; count++) {
		for (unsigned i = 0; i < count; i++) {
			elements[i].number = i;
			make(&elements[i].name, i);
		}
		vigie_name_table_sort(elements, count, sizeof(elements[0]), name_of);
		for (unsigned i = 0; i < NAMES; i++) {
			struct vigie_name wanted;
			const struct element *found;

			make(&wanted, i);
			found = vigie_name_table_get(elements, count, sizeof(elements[0]), name_of,
						     wanted.bytes, wanted.length);
			assert_int_equal(found != NULL, i < count);
			if (found)
				assert_int_equal(found->number, i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
