/* Numbers in network byte order at any alignment. */
#ifndef VIGIE_BYTES_H
#define VIGIE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t read_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

/* The low 16 bits. All return where the next number goes. */
static inline uint8_t *write_u16(uint8_t *at, unsigned value)
{
	uint16_t number = htobe16((uint16_t)value);

	memcpy(at, &number, sizeof(number));
	return at + sizeof(number);
}

static inline uint8_t *write_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *write_u64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

#endif
