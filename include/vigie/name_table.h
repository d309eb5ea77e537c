/* Arrays that are searched by a name which stands in each element. */
#ifndef VIGIE_NAME_TABLE_H
#define VIGIE_NAME_TABLE_H

#include "vigie/name.h"

/* The element's name. */
typedef const struct vigie_name *vigie_name_of(const void *element);

/* Sorts `count` elements of `size` bytes, for vigie_name_table_get. Shorter names come first: it is not the
 * canonical order of DNSSEC. */
void vigie_name_table_sort(void *elements, size_t count, size_t size, vigie_name_of *name_of);

/* An element of a sorted array with this wire name, folded, of `length` bytes; NULL when there is none. */
void *vigie_name_table_get(const void *elements, size_t count, size_t size, vigie_name_of *name_of,
			   const uint8_t *wire, size_t length);

#endif
