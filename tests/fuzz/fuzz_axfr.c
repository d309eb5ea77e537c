/* Incoming zone transfers: whatever a primary sends, in frames as they come by TCP. A zone that comes of it
 * is walked and asked. */
#include <stdlib.h>
#include <string.h>

#include "vigie/axfr.h"
#include "vigie/catalog.h"

enum {
	ID = 0x1234 /* of the corpus' messages */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asks the zone for a name. */
static void ask(const struct vigie_zone *zone, const uint8_t *name, uint16_t type)
{
	static uint8_t buffer[VIGIE_MESSAGE_MAX];
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	size_t length =
		vigie_query_write(packet, sizeof(packet), 1, 0, name, type, VIGIE_CLASS_IN, true, true);
	struct vigie_answer answer;
	struct vigie_name target;
	struct vigie_query query;

	if (vigie_query_parse(&query, packet, length) != VIGIE_GATE_OK)
		abort();
	vigie_answer_begin(&answer, &query, buffer, sizeof(buffer));
	vigie_zone_answer(zone, &query, &answer, &target);
	if (vigie_answer_end(&answer) > sizeof(buffer))
		abort();
}

static void use(const struct vigie_zone *zone)
{
	static const uint16_t types[] = {VIGIE_TYPE_A, VIGIE_TYPE_SOA, VIGIE_TYPE_NS, VIGIE_TYPE_ANY, 43, 46};
	struct vigie_zone_walk walk = {0};
	struct vigie_zone_record record;
	unsigned records = 0;

	while (vigie_zone_next(zone, &walk, &record) && records++ < 64) {
		uint8_t below[VIGIE_NAME_MAX] = "\1x";
		size_t length = vigie_name_length(record.owner);

		for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
			ask(zone, record.owner, types[i]);
		if (length + 2 > sizeof(below))
			continue;
		memcpy(below + 2, record.owner, length);
		ask(zone, below, VIGIE_TYPE_A);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vigie_axfr *axfr;
	struct vigie_name origin;
	struct vigie_error error;
	enum vigie_status status = VIGIE_OK;

	vigie_name_from_text(&origin, "example.org.");
	axfr = vigie_axfr_new(&origin, ID);
	while (axfr && size >= 2 && !status && !vigie_axfr_done(axfr)) {
		size_t length = (size_t)data[0] << 8 | data[1];
		uint8_t *message;
		uint32_t serial;

		if (length > size - 2)
			length = size - 2;
		message = malloc(length + !length); /* exactly as long, so that reading beyond it is found */
		if (!message)
			break;
		memcpy(message, data + 2, length);
		vigie_axfr_serial(&origin, ID, message, length, &serial, &error);
		status = vigie_axfr_take(axfr, message, length, &error);
		free(message);
		data += 2 + length;
		size -= 2 + length;
	}
	if (axfr && !status && vigie_axfr_done(axfr)) {
		struct vigie_zone *zone = vigie_zone_builder_finish(vigie_axfr_builder(axfr), &error);

		if (zone) {
			use(zone);
			vigie_catalog_free(vigie_catalog_read(zone, &error));
		}
		vigie_zone_unref(zone);
	}
	vigie_axfr_free(axfr);
	return 0;
}
