/* Names of addresses: PTR records. */
#include "lookup.h"
#include "reverse.h"

/* Writes a PTR record unless another type is asked for: then it is enough that there is one. */
static bool write_ptr(const struct lookup *lookup, const uint8_t *label, const struct entry *entry)
{
	const struct vigie_view *view = lookup->view;
	uint8_t name[VIGIE_NAME_MAX];
	size_t length = vigie_lookup_spell(name, label, entry, &view->zones[view->primary]);
	uint8_t *rdata;

	if (length == 0)
		return false;
	if (lookup->type != VIGIE_TYPE_PTR)
		return true;
	rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, VIGIE_TYPE_PTR, view->ttl,
				(uint16_t)length);
	if (rdata)
		memcpy(rdata, name, length);
	return true;
}

/* The names that an endpoint's address has in one service. */
static bool write_endpoint(const struct lookup *lookup, const struct entry *entry, const struct blob *blob,
			   const uint8_t *address)
{
	const struct row *rows = blob_rows(blob);
	uint32_t last = UINT32_MAX;
	bool any = false;
	uint32_t index;
	uint32_t first;
	uint32_t end;

	if (!vigie_blob_find_address(blob, address, &index))
		return false;
	end = vigie_blob_find_rows(blob, index, &first);
	for (; first < end; first++) {
		uint32_t row = blob_row_by_address(blob, first);
		uint8_t label[1 + VIGIE_LABEL_MAX];

		/* Equal labels share their bytes, and stand together. */
		if (rows[row].name == last)
			continue;
		last = rows[row].name;
		vigie_blob_row_label(blob, row, label);
		any = write_ptr(lookup, label, entry) || any;
	}
	return any;
}

/* The service whose cluster address it is wins over those that have it as an endpoint's. */
static bool write_service(const struct lookup *lookup, const uint8_t *address)
{
	struct slots_walk walk;
	const struct entry *entry;
	bool cluster;

	vigie_reverse_begin(&walk, lookup->view->records, address);
	while ((entry = vigie_reverse_next(&walk, &cluster)) != NULL) {
		const struct blob *blob = entry_blob(entry);

		if (cluster && space_exposed(entry->space) && blob &&
		    vigie_blob_is_cluster_address(blob, address) && write_ptr(lookup, NULL, entry))
			return true;
	}
	return false;
}

static bool write_endpoints(const struct lookup *lookup, const uint8_t *address)
{
	struct slots_walk walk;
	const struct entry *entry;
	bool cluster;
	bool any = false;

	if (!lookup->view->endpoints)
		return false;
	vigie_reverse_begin(&walk, lookup->view->records, address);
	while ((entry = vigie_reverse_next(&walk, &cluster)) != NULL) {
		const struct blob *blob = entry_blob(entry);

		if (!cluster && space_exposed(entry->space) && blob)
			any = write_endpoint(lookup, entry, blob, address) || any;
	}
	return any;
}

enum outcome vigie_answer_reverse(struct lookup *lookup)
{
	uint8_t address[16];

	switch (vigie_name_to_address(lookup->name, address)) {
	case VIGIE_OK:
		break;
	case VIGIE_ENOENT:
		return OUTCOME_INTERIOR;
	default:
		return OUTCOME_NXDOMAIN;
	}
	if (!write_service(lookup, address) && !write_endpoints(lookup, address))
		return OUTCOME_NXDOMAIN;
	return lookup->type == VIGIE_TYPE_PTR ? OUTCOME_RECORDS : OUTCOME_NODATA;
}
