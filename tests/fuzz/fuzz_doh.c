/* Any bytes as the response of a server by HTTPS: what its headers say is read, and its message is aged
 * before anybody has looked at it. Nothing but TTLs of records that can be read changes.
 *
 * Input: Content-Type and Age, each with a zero behind it, and the body. */
#include <strings.h>

#include "doh_message.h"
#include "vigie/record.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a text off the input; to be freed. */
static char *take_text(const uint8_t **data, size_t *size)
{
	size_t length = strnlen((const char *)*data, *size);
	char *text = malloc(length + 1);

	require(text);
	memcpy(text, *data, length);
	text[length] = 0;
	length += length < *size;
	*data += length;
	*size -= length;
	return text;
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

static void check_aged(const uint8_t *message, const uint8_t *aged, size_t length, uint32_t age)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	size_t at = 0;

	vigie_record_walk_message(&walk, message, length);
	while (age > 0 && vigie_record_next(&walk, &record)) {
		const uint8_t *ttl = aged + record.fixed + 4;

		if (record.type == VIGIE_TYPE_OPT)
			continue;
		require(memcmp(message + at, aged + at, record.fixed + 4 - at) == 0);
		/* A name may point into a TTL: the record behind it is read in another way, or not at all. */
		if (read_u32(ttl) == record.ttl && record.ttl > 0)
			return;
		require(read_u32(ttl) == (record.ttl > age ? record.ttl - age : 0));
		at = record.fixed + 8;
	}
	require(memcmp(message + at, aged + at, length - at) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *type = take_text(&data, &size);
	char *header = take_text(&data, &size);
	uint32_t age = doh_read_age(header);
	uint8_t *aged = exact(data, size);

	if (doh_is_message(type))
		require(strncasecmp(type, DOH_TYPE, strlen(DOH_TYPE)) == 0);
	require(age == 0 || strspn(header, "0123456789 \t") == strlen(header));
	doh_age(aged, size, age);
	check_aged(data, aged, size, age);
	free(aged);
	free(header);
	free(type);
	return 0;
}
