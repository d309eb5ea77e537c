#include "special_use.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZONES_MAX = 256 };

/* A text of several zones while it is read. */
struct reading {
	struct special_zones *zones;
	struct vigie_zone_builder *builder; /* of the zone that is read; NULL before the first */
	struct vigie_name origin;
	struct vigie_error *error;
};

static enum vigie_status finish_zone(struct reading *reading)
{
	struct static_zone *zone = &reading->zones->list[reading->zones->count];

	if (!reading->builder)
		return VIGIE_OK;
	*zone = (struct static_zone){.origin = reading->origin};
	zone->zone = vigie_zone_builder_finish(reading->builder, reading->error);
	reading->builder = NULL;
	if (!zone->zone)
		return VIGIE_EINVAL;
	reading->zones->count++;
	return VIGIE_OK;
}

static enum vigie_status begin_zone(struct reading *reading, const uint8_t *owner, size_t length)
{
	enum vigie_status status = finish_zone(reading);

	if (status)
		return status;
	if (reading->zones->count == ZONES_MAX)
		return vigie_error_set(reading->error, VIGIE_ENOSPC, "more than %d zones", ZONES_MAX);
	status = vigie_name_from_wire(&reading->origin, owner, length);
	if (status)
		return status;
	reading->builder = vigie_zone_builder_new(&reading->origin);
	return reading->builder ? VIGIE_OK : vigie_error_memory(reading->error);
}

static enum vigie_status add_record(struct reading *reading, const ldns_rr *rr)
{
	uint8_t *wire = NULL;
	size_t length;
	enum vigie_status status = VIGIE_OK;
	size_t fixed;

	if (ldns_rr2wire(&wire, rr, LDNS_SECTION_ANSWER, &length) != LDNS_STATUS_OK)
		return vigie_error_memory(reading->error);
	if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA)
		status = begin_zone(reading, wire, length);
	fixed = vigie_name_length(wire) + 10;
	if (!status && !reading->builder)
		status = vigie_error_set(reading->error, VIGIE_EINVAL, "a zone begins with its SOA record");
	if (!status)
		status = vigie_zone_builder_add(reading->builder, wire, (uint16_t)ldns_rr_get_type(rr),
						ldns_rr_ttl(rr), wire + fixed, length - fixed);
	free(wire);
	return status;
}

enum vigie_status special_zones_read(struct special_zones *zones, const unsigned char *text, size_t length,
				     struct vigie_error *error)
{
	struct reading reading = {.zones = zones, .error = error};
	FILE *stream = fmemopen((void *)(uintptr_t)text, length, "r");
	ldns_rdf *origin = NULL;
	ldns_rdf *previous = NULL;
	enum vigie_status status = VIGIE_OK;
	uint32_t ttl = 0;
	int line = 0;

	zones->count = 0;
	zones->list = calloc(ZONES_MAX, sizeof(*zones->list));
	if (!stream || !zones->list)
		status = vigie_error_memory(error);
	while (!status && !feof(stream)) {
		ldns_rr *rr = NULL;

		switch (ldns_rr_new_frm_fp_l(&rr, stream, &ttl, &origin, &previous, &line)) {
		case LDNS_STATUS_OK:
			status = add_record(&reading, rr);
			ldns_rr_free(rr);
			break;
		case LDNS_STATUS_SYNTAX_TTL:
		case LDNS_STATUS_SYNTAX_ORIGIN:
		case LDNS_STATUS_SYNTAX_EMPTY:
			break;
		default:
			status = vigie_error_set(error, VIGIE_EINVAL, "special-use zones, line %d: malformed",
						 line);
		}
	}
	if (!status)
		status = finish_zone(&reading);
	vigie_zone_builder_free(reading.builder);
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(previous);
	if (stream)
		fclose(stream);
	return status;
}

static const struct special_zones *read_once(struct special_zones *zones, const unsigned char *text,
					     size_t length, struct vigie_error *error)
{
	if (zones->count == 0 && special_zones_read(zones, text, length, error))
		return NULL;
	return zones;
}

const struct special_zones *special_use_zones(struct vigie_error *error)
{
	static struct special_zones zones;

	return read_once(&zones, special_use_text, special_use_text_length, error);
}

const struct special_zones *private_use_zones(struct vigie_error *error)
{
	static struct special_zones zones;

	return read_once(&zones, private_use_text, private_use_text_length, error);
}
