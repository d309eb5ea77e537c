/* Compiles the blob of one service out of the writer's copies of the service and its slices. */
#include <stdlib.h>

#include "store.h"

/* A row on its way: everything still spelled out. */
struct draft {
	uint8_t address[16];
	const uint8_t *label; /* wire label; NULL: generated */
	uint32_t set;
	uint32_t zone;
	uint32_t index; /* of the address */
};

/* Packed bytes that slices have in common: the ports, or the name of a zone. */
struct piece {
	const uint8_t *bytes;
	size_t length;
	uint32_t count; /* packed ports */
	uint32_t rows;
};

struct pieces {
	struct piece *items;
	uint32_t count;
	uint32_t room;
};

struct build {
	const struct service *service;
	struct draft *rows;
	uint32_t row_count;
	uint32_t named_count;
	uint32_t *order;
	struct pieces sets;
	struct pieces zones;
	uint32_t v4_count;
	uint32_t v6_count;
	size_t names_length;
};

/* The index of a piece, added when it is new; UINT32_MAX when memory is out. Slices of one service rarely
 * differ, so the search begins with the newest. */
static uint32_t find_piece(struct pieces *pieces, const uint8_t *bytes, size_t length)
{
	for (uint32_t i = pieces->count; i-- > 0;)
		if (pieces->items[i].length == length && memcmp(pieces->items[i].bytes, bytes, length) == 0)
			return i;
	if (pieces->count == pieces->room) {
		uint32_t room = pieces->room ? pieces->room * 2 : 4;
		struct piece *items = realloc(pieces->items, room * sizeof(*items));

		if (!items)
			return UINT32_MAX;
		pieces->items = items;
		pieces->room = room;
	}
	pieces->items[pieces->count] = (struct piece){.bytes = bytes, .length = length};
	return pieces->count++;
}

/* Appends the rows of a slice. */
static enum vigie_status read_slice(struct build *build, const struct slice *slice)
{
	uint32_t set = find_piece(&build->sets, slice->data, slice->ports_length);
	const uint8_t *at = slice_endpoints(slice);
	const uint8_t *zone = slice_zones(slice);
	uint32_t *zones = NULL;

	if (set == UINT32_MAX)
		return VIGIE_ENOMEM;
	build->sets.items[set].count = slice->port_count;
	build->sets.items[set].rows += slice->endpoint_count;
	zones = malloc((slice->zone_count + 1) * sizeof(*zones));
	if (!zones)
		return VIGIE_ENOMEM;
	zones[0] = 0;
	for (uint32_t i = 1; i <= slice->zone_count; i++, zone += 1 + zone[0]) {
		uint32_t index = find_piece(&build->zones, zone, 1U + zone[0]);

		if (index == UINT32_MAX) {
			free(zones);
			return VIGIE_ENOMEM;
		}
		zones[i] = index + 1;
	}
	for (uint32_t i = 0; i < slice->endpoint_count; i++) {
		struct draft *row = &build->rows[build->row_count++];
		uint8_t flags = at[0];

		row->set = set;
		row->zone = zones[at[1] << 8 | at[2]];
		at += 3;
		if (flags & ENDPOINT_V6)
			memcpy(row->address, at, 16);
		else
			address_from_v4(row->address, at);
		at += flags & ENDPOINT_V6 ? 16 : 4;
		row->label = NULL;
		if (flags & ENDPOINT_NAMED) {
			row->label = at;
			at += 1 + at[0];
			build->named_count++;
		}
	}
	free(zones);
	return VIGIE_OK;
}

static int compare_addresses(const struct draft *a, const struct draft *b)
{
	return address_compare(a->address, b->address);
}

static int compare_labels(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 1U + (a[0] < b[0] ? a[0] : b[0]));
}

static int compare_rows(const void *left, const void *right)
{
	const struct draft *a = left;
	const struct draft *b = right;
	int order = !a->label - !b->label;

	if (order == 0 && a->label)
		order = compare_labels(a->label, b->label);
	if (order == 0)
		order = compare_addresses(a, b);
	if (order == 0)
		order = (a->set > b->set) - (a->set < b->set);
	if (order == 0)
		order = (a->zone > b->zone) - (a->zone < b->zone);
	return order;
}

static int compare_order(const void *left, const void *right, void *rows)
{
	const uint32_t *a = left;
	const uint32_t *b = right;
	int order = compare_addresses((const struct draft *)rows + *a, (const struct draft *)rows + *b);

	return order ? order : (*a > *b) - (*a < *b);
}

/* Sorts the rows and numbers their addresses. */
static enum vigie_status sort_rows(struct build *build)
{
	const struct draft *last = NULL;

	qsort(build->rows, build->row_count, sizeof(*build->rows), compare_rows);
	build->order = malloc((build->row_count + 1) * sizeof(*build->order));
	if (!build->order)
		return VIGIE_ENOMEM;
	for (uint32_t i = 0; i < build->row_count; i++)
		build->order[i] = i;
	if (build->named_count > 0)
		qsort_r(build->order, build->row_count, sizeof(*build->order), compare_order, build->rows);
	for (uint32_t i = 0; i < build->row_count; i++) {
		struct draft *row = &build->rows[build->order[i]];

		if (!last || memcmp(last->address, row->address, 16) != 0) {
			if (address_is_v4(row->address))
				build->v4_count++;
			else
				build->v6_count++;
		}
		row->index = build->v4_count + build->v6_count - 1;
		last = row;
	}
	last = NULL;
	for (uint32_t i = 0; i < build->named_count; i++) {
		if (!last || compare_labels(last->label, build->rows[i].label) != 0)
			build->names_length += 1U + build->rows[i].label[0];
		last = &build->rows[i];
	}
	return VIGIE_OK;
}

static size_t pieces_length(const struct pieces *pieces)
{
	size_t length = 0;

	for (uint32_t i = 0; i < pieces->count; i++)
		length += pieces->items[i].length;
	return length;
}

/* Hands out a blob's memory from front to back. */
static uint32_t take(size_t *at, size_t length)
{
	size_t offset = *at;

	*at += length;
	return (uint32_t)offset;
}

static void write_rows(const struct build *build, struct blob *blob, uint32_t names_at)
{
	struct row *rows = (struct row *)((uint8_t *)blob + blob->rows_at);
	uint32_t name = 0;

	for (uint32_t i = 0; i < build->row_count; i++) {
		const struct draft *draft = &build->rows[i];
		uint8_t *address = (uint8_t *)blob + blob->v6_at;

		rows[i].address = draft->index;
		rows[i].class = draft->set * (build->zones.count + 1) + draft->zone;
		if (draft->label) {
			if (i == 0 || compare_labels(draft->label, build->rows[i - 1].label) != 0) {
				name = names_at;
				memcpy((uint8_t *)blob + name, draft->label, 1U + draft->label[0]);
				names_at += 1U + draft->label[0];
			}
			rows[i].name = name;
		}
		if (draft->index < build->v4_count)
			memcpy((uint8_t *)blob + blob->v4_at + 4 * (size_t)draft->index, draft->address + 12,
			       4);
		else
			memcpy(address + 16 * (size_t)(draft->index - build->v4_count), draft->address, 16);
	}
}

static void write_pieces(const struct build *build, struct blob *blob, uint32_t at)
{
	struct port_set *sets = (struct port_set *)((uint8_t *)blob + blob->sets_at);
	uint32_t *zones = (uint32_t *)((uint8_t *)blob + blob->zones_at);

	for (uint32_t i = 0; i < build->sets.count; i++) {
		const struct piece *piece = &build->sets.items[i];

		sets[i] = (struct port_set){.at = at, .count = piece->count, .rows = piece->rows};
		memcpy((uint8_t *)blob + at, piece->bytes, piece->length);
		at += (uint32_t)piece->length;
	}
	for (uint32_t i = 0; i < build->zones.count; i++) {
		const struct piece *piece = &build->zones.items[i];

		zones[i] = at;
		memcpy((uint8_t *)blob + at, piece->bytes, piece->length);
		at += (uint32_t)piece->length;
	}
}

/* Writes it all into one zeroed piece of memory: two blobs of the same content are the same bytes. */
static struct blob *assemble(struct vigie_records *records, const struct build *build)
{
	const struct service *service = build->service;
	size_t pieces = pieces_length(&build->sets) + pieces_length(&build->zones);
	bool ordered = build->named_count > 0;
	size_t size = sizeof(struct blob);
	struct blob layout = {
		.kind = service->kind == SERVICE_CLUSTER_IP ? BLOB_CLUSTER_IP
			: service->kind == SERVICE_HEADLESS ? BLOB_HEADLESS
							    : BLOB_EXTERNAL,
		.v4_count = build->v4_count,
		.v6_count = build->v6_count,
		.row_count = build->row_count,
		.named_count = build->named_count,
		.set_count = build->sets.count,
		.zone_count = build->zones.count,
		.target_length = service->target_length,
	};
	uint32_t names_at;
	uint32_t pieces_at;
	struct blob *blob;

	/* Multiples of four bytes first. */
	layout.v4_at = take(&size, 4 * (size_t)build->v4_count);
	layout.v6_at = take(&size, 16 * (size_t)build->v6_count);
	layout.rows_at = take(&size, sizeof(struct row) * build->row_count);
	layout.order_at = ordered ? take(&size, sizeof(uint32_t) * build->row_count) : 0;
	layout.sets_at = take(&size, sizeof(struct port_set) * build->sets.count);
	layout.zones_at = take(&size, sizeof(uint32_t) * build->zones.count);
	names_at = take(&size, build->names_length);
	pieces_at = take(&size, pieces);
	layout.ports =
		(struct port_set){.at = take(&size, service->ports_length), .count = service->port_count};
	layout.target = service->target_length ? take(&size, service->target_length) : 0;
	if (size > UINT32_MAX)
		return NULL;
	layout.size = (uint32_t)size;
	if (service->kind == SERVICE_CLUSTER_IP) {
		layout.has_v4 = service->has_v4;
		layout.has_v6 = service->has_v6;
		memcpy(layout.v4, service->v4, sizeof(layout.v4));
		memcpy(layout.v6, service->v6, sizeof(layout.v6));
	}

	blob = vigie_piece_new(records, VIGIE_BYTES_ANSWERS, size);
	if (!blob)
		return NULL;
	memcpy(blob, &layout, sizeof(layout));
	write_rows(build, blob, names_at);
	if (ordered)
		memcpy((uint8_t *)blob + layout.order_at, build->order, sizeof(uint32_t) * build->row_count);
	write_pieces(build, blob, pieces_at);
	memcpy((uint8_t *)blob + layout.ports.at, service->data, service->ports_length);
	memcpy((uint8_t *)blob + layout.size - service->target_length, service->data + service->ports_length,
	       service->target_length);
	return blob;
}

enum vigie_status vigie_blob_build(struct vigie_records *records, const struct holding *holding,
				   struct blob **blob)
{
	struct build build = {.service = holding->service};
	enum vigie_status status = VIGIE_ENOMEM;
	const struct slice *slice;
	size_t rows = 0;

	*blob = NULL;
	if (!build.service || build.service->kind == SERVICE_ABSENT)
		return VIGIE_OK;
	/* An external name has no endpoints, whatever slices say. */
	if (build.service->kind != SERVICE_EXTERNAL)
		cds_list_for_each_entry(slice, &holding->slices, list) rows += slice->endpoint_count;
	if (rows >= UINT32_MAX)
		return VIGIE_ENOMEM;
	build.rows = malloc((rows + 1) * sizeof(*build.rows));
	if (!build.rows)
		goto done;
	if (rows > 0)
		cds_list_for_each_entry(slice, &holding->slices,
					list) if (slice->endpoint_count > 0 &&
						  read_slice(&build, slice) != VIGIE_OK) goto done;
	if (sort_rows(&build) != VIGIE_OK)
		goto done;
	*blob = assemble(records, &build);
	status = *blob ? VIGIE_OK : VIGIE_ENOMEM;
done:
	free(build.rows);
	free(build.order);
	free(build.sets.items);
	free(build.zones.items);
	return status;
}
