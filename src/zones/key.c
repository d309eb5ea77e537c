#include "key.h"

#include <string.h>

size_t key_make(const struct vigie_name *name, size_t skip, uint8_t *key)
{
	size_t length = 0;

	for (size_t i = name->labels - skip; i-- > 0;) {
		const uint8_t *label = name->bytes + name->offset[i];

		for (size_t b = 1; b <= label[0]; b++) {
			if (label[b] <= 1) {
				key[length++] = 1;
				key[length++] = (uint8_t)(label[b] + 1);
			} else {
				key[length++] = label[b];
			}
		}
		key[length++] = 0;
	}
	return length;
}

int key_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return order ? order : (a_length > b_length) - (a_length < b_length);
}

size_t key_common(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	size_t labels = 0;

	for (size_t i = 0; i < a_length && i < b_length && a[i] == b[i]; i++)
		labels += a[i] == 0;
	return labels;
}
