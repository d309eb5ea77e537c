#include "blob.h"

/* The first index in [0, count) of sorted addresses of `size` bytes that is not below `address`. */
static uint32_t lower_bound(const uint8_t *addresses, uint32_t count, size_t size, const uint8_t *address)
{
	uint32_t low = 0;

	while (low < count) {
		uint32_t middle = low + (count - low) / 2;

		if (memcmp(addresses + size * middle, address, size) < 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

bool vigie_blob_next_address(const struct blob *blob, uint32_t *at, uint8_t *address, bool *cluster)
{
	if (!blob)
		return false;
	for (; *at < 2; ++*at) {
		if (*at == 0 ? !blob->has_v4 : !blob->has_v6)
			continue;
		if (*at == 0)
			address_from_v4(address, blob->v4);
		else
			memcpy(address, blob->v6, 16);
		*cluster = true;
		++*at;
		return true;
	}
	if (*at - 2 == blob->v4_count + blob->v6_count)
		return false;
	*cluster = false;
	blob_address(blob, *at - 2, address);
	++*at;
	return true;
}

bool vigie_blob_find_address(const struct blob *blob, const uint8_t *address, uint32_t *index)
{
	const uint8_t *addresses = blob_at(blob, blob->v6_at);
	uint32_t count = blob->v6_count;
	uint32_t base = blob->v4_count;
	size_t size = 16;

	if (address_is_v4(address)) {
		addresses = blob_at(blob, blob->v4_at);
		count = blob->v4_count;
		base = 0;
		size = 4;
		address += 12;
	}
	*index = lower_bound(addresses, count, size, address);
	if (*index == count || memcmp(addresses + size * *index, address, size) != 0)
		return false;
	*index += base;
	return true;
}

bool vigie_blob_is_cluster_address(const struct blob *blob, const uint8_t *address)
{
	if (address_is_v4(address))
		return blob->has_v4 && memcmp(blob->v4, address + 12, 4) == 0;
	return blob->has_v6 && memcmp(blob->v6, address, 16) == 0;
}

uint32_t vigie_blob_row_of_address(const struct blob *blob, uint32_t from, uint32_t to, uint32_t index)
{
	const struct row *rows = blob_rows(blob);

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (rows[middle].address < index)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* The first place, among rows by address, whose address is at least `address`. */
static uint32_t find_place(const struct blob *blob, uint32_t address)
{
	const struct row *rows = blob_rows(blob);
	uint32_t low = 0;
	uint32_t high = blob->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rows[blob_row_by_address(blob, middle)].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t vigie_blob_find_rows(const struct blob *blob, uint32_t address, uint32_t *first)
{
	*first = find_place(blob, address);
	return find_place(blob, address + 1);
}

/* The first named row whose label is not below `label`, or above it when `behind`. */
static uint32_t find_label(const struct blob *blob, const uint8_t *label, bool behind)
{
	const struct row *rows = blob_rows(blob);
	uint32_t low = 0;
	uint32_t high = blob->named_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const uint8_t *other = blob_at(blob, rows[middle].name);
		/* The length byte is part of the order: no label is the beginning of another. */
		int order = memcmp(other, label, 1U + (other[0] < label[0] ? other[0] : label[0]));

		if (order < 0 || (behind && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t vigie_blob_find_name(const struct blob *blob, const uint8_t *label, uint32_t *first)
{
	uint32_t end = find_label(blob, label, true);
	uint8_t address[16];
	uint32_t index;

	*first = find_label(blob, label, false);
	if (*first < end)
		return end;
	if (!vigie_address_from_label(address, label) || !vigie_blob_find_address(blob, address, &index))
		return *first;
	*first = vigie_blob_row_of_address(blob, blob->named_count, blob->row_count, index);
	return vigie_blob_row_of_address(blob, *first, blob->row_count, index + 1);
}

uint32_t vigie_blob_name_end(const struct blob *blob, uint32_t first)
{
	const struct row *rows = blob_rows(blob);
	uint32_t end = first + 1;

	/* Equal labels share their bytes. */
	if (first < blob->named_count)
		while (end < blob->named_count && rows[end].name == rows[first].name)
			end++;
	else
		while (end < blob->row_count && rows[end].address == rows[first].address)
			end++;
	return end;
}

size_t vigie_blob_row_label(const struct blob *blob, uint32_t row, uint8_t *label)
{
	const struct row *at = blob_rows(blob) + row;
	uint8_t address[16];

	if (at->name) {
		const uint8_t *name = blob_at(blob, at->name);

		memcpy(label, name, 1U + name[0]);
		return 1U + name[0];
	}
	blob_address(blob, at->address, address);
	return vigie_address_to_label(address, label);
}
