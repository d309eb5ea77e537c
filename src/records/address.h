/* Addresses as this module handles them: 16 bytes, v4 mapped into v6, and the names that stand for them. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vigie/cluster.h"

enum {
	ADDRESS_LABEL_MAX =
		64 /* bytes of a generated label with its length byte: at most 1 + 39 + 1 in use */
};

static inline bool address_is_v4(const uint8_t *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static inline void address_from_v4(uint8_t *address, const uint8_t *v4)
{
	memset(address, 0, 10);
	memset(address + 10, 0xff, 2);
	memcpy(address + 12, v4, 4);
}

/* The generated name of an endpoint without hostname, as CoreDNS makes it: the text form with '-' for '.' and
 * ':', and a '0' behind a final '-'. Writes a wire label of at most ADDRESS_LABEL_MAX bytes and returns its
 * length. */
size_t vigie_address_to_label(const uint8_t *address, uint8_t *label);

/* The address that such a name stands for; false unless the label is exactly what vigie_address_to_label
 * writes. */
bool vigie_address_from_label(uint8_t *address, const uint8_t *label);

/* The address in a pod's name: exactly three '-' and none next to another is v4, all else is v6. Any spelling
 * that is an address will do. */
bool vigie_address_from_pod_label(uint8_t *address, const uint8_t *label);

/* v4 before v6: the order of the addresses in a blob. */
static inline int address_compare(const uint8_t *a, const uint8_t *b)
{
	int v6 = !address_is_v4(a) - !address_is_v4(b);

	return v6 ? v6 : memcmp(a, b, 16);
}

#endif
