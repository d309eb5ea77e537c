#include "doh_message.h"

#include <string.h>
#include <strings.h>

#include "vigie/record.h"

bool doh_is_message(const char *content_type)
{
	size_t length = strlen(DOH_TYPE);

	if (!content_type || strncasecmp(content_type, DOH_TYPE, length) != 0)
		return false;
	content_type += length;
	content_type += strspn(content_type, " \t");
	return *content_type == 0 || *content_type == ';';
}

uint32_t doh_read_age(const char *value)
{
	uint64_t age = 0;

	value += strspn(value, " \t");
	for (; *value >= '0' && *value <= '9'; value++) {
		age = age * 10 + (uint64_t)(*value - '0');
		if (age > UINT32_MAX)
			age = UINT32_MAX;
	}
	return value[strspn(value, " \t")] == 0 ? (uint32_t)age : 0;
}

void doh_age(uint8_t *message, size_t length, uint32_t age)
{
	struct vigie_record_walk walk;
	struct vigie_record record;

	if (age == 0)
		return;
	vigie_record_walk_message(&walk, message, length);
	while (vigie_record_next(&walk, &record)) {
		uint32_t ttl = record.ttl > age ? record.ttl - age : 0;
		uint8_t *at = message + record.fixed + 4;

		if (record.type == VIGIE_TYPE_OPT)
			continue; /* flags stand there */
		for (int i = 0; i < 4; i++)
			at[i] = (uint8_t)(ttl >> (24 - 8 * i));
	}
}
