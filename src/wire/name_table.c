#include "vigie/name_table.h"

#include <stdlib.h>

static int order(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return memcmp(a, b, a_length);
}

static int compare(const void *a, const void *b, void *name_of)
{
	const struct vigie_name *left = (*(vigie_name_of **)name_of)(a);
	const struct vigie_name *right = (*(vigie_name_of **)name_of)(b);

	return order(left->bytes, left->length, right->bytes, right->length);
}

void vigie_name_table_sort(void *elements, size_t count, size_t size, vigie_name_of *name_of)
{
	qsort_r(elements, count, size, compare, &name_of);
}

void *vigie_name_table_get(const void *elements, size_t count, size_t size, vigie_name_of *name_of,
			   const uint8_t *wire, size_t length)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const uint8_t *element = (const uint8_t *)elements + middle * size;
		const struct vigie_name *name = name_of(element);
		int where = order(name->bytes, name->length, wire, length);

		if (where == 0)
			return (void *)(uintptr_t)element;
		if (where < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
