/* Addresses written as names (RFC 1035 section 3.5, RFC 3596 section 2.5). */
#include <string.h>

#include "vigie/name.h"

static const uint8_t v4_zone[] = "\7in-addr\4arpa";
static const uint8_t v6_zone[] = "\3ip6\4arpa";

static bool is_below(const struct vigie_name *name, const uint8_t *zone, size_t length)
{
	return name->labels >= 2 && name->length - name->offset[name->labels - 2] == (int)length &&
	       memcmp(name->bytes + name->offset[name->labels - 2], zone, length) == 0;
}

bool vigie_name_is_below_arpa(const struct vigie_name *name)
{
	return is_below(name, v4_zone, sizeof(v4_zone)) || is_below(name, v6_zone, sizeof(v6_zone));
}

/* A decimal octet as text writes it: no leading zero, at most 255. -1 otherwise. */
static int read_octet(const uint8_t *label)
{
	int value = 0;

	if (label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return -1;
	for (size_t i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		value = value * 10 + (label[i] - '0');
	}
	return value <= 255 ? value : -1;
}

static int read_nibble(const uint8_t *label)
{
	if (label[0] != 1)
		return -1;
	if (label[1] >= '0' && label[1] <= '9')
		return label[1] - '0';
	if (label[1] >= 'a' && label[1] <= 'f')
		return label[1] - 'a' + 10;
	return -1;
}

/* The labels stand in reverse: the first is the address' last part. */
static enum vigie_status read_parts(const struct vigie_name *name, unsigned whole,
				    int (*read)(const uint8_t *), uint8_t *parts)
{
	unsigned count = name->labels - 2U;

	if (count > whole)
		return VIGIE_EINVAL;
	for (unsigned i = 0; i < count; i++) {
		int value = read(name->bytes + name->offset[i]);

		if (value < 0)
			return VIGIE_EINVAL;
		parts[count - 1 - i] = (uint8_t)value;
	}
	return count == whole ? VIGIE_OK : VIGIE_ENOENT;
}

enum vigie_status vigie_name_to_address(const struct vigie_name *name, uint8_t address[16])
{
	enum vigie_status status;
	uint8_t parts[32];

	if (is_below(name, v4_zone, sizeof(v4_zone))) {
		status = read_parts(name, 4, read_octet, parts);
		if (status)
			return status;
		memset(address, 0, 10);
		memset(address + 10, 0xff, 2);
		memcpy(address + 12, parts, 4);
		return VIGIE_OK;
	}
	if (is_below(name, v6_zone, sizeof(v6_zone))) {
		status = read_parts(name, 32, read_nibble, parts);
		if (status)
			return status;
		for (size_t i = 0; i < 16; i++)
			address[i] = (uint8_t)(parts[2 * i] << 4 | parts[2 * i + 1]);
		return VIGIE_OK;
	}
	return VIGIE_EINVAL;
}
