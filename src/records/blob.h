/* All that the table says of one service, in one immutable piece of memory: what readers see between two
 * changes. */
#ifndef BLOB_H
#define BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "address.h"

enum blob_kind { BLOB_CLUSTER_IP, BLOB_HEADLESS, BLOB_EXTERNAL };

/* A port's transport as its DNS label names it. */
enum protocol {
	PROTOCOL_NONE, /* of the stand-in for "no ports at all", or unknown: no label selects it */
	PROTOCOL_TCP,
	PROTOCOL_UDP,
	PROTOCOL_SCTP
};

/* A packed port: protocol, whether there is a number, the number's two bytes, then the name as a wire label
 * (0 alone when there is none). A set without ports holds one stand-in, as in CoreDNS: it counts for weights
 * and selects no SRV record. */
enum { PORT_PROTOCOL, PORT_HAS_NUMBER, PORT_NUMBER, PORT_NAME = 4 };

/* The ports of the service, or those that some of its slices have in common. */
struct port_set {
	uint32_t at;    /* offset of the first packed port in the blob */
	uint32_t count; /* packed ports */
	uint32_t rows;  /* rows with this set */
};

/* One endpoint of one slice, generated names computed. An endpoint that is in two slices has two rows. Rows
 * are sorted by (label, address, class), those with generated names last and by (address, class). */
struct row {
	uint32_t address; /* index: v4 first, then v6 */
	uint32_t name;    /* offset of the wire label in the blob; 0: generated */
	uint32_t class;   /* port set * (zones + 1) + zone; zone 0: none, else 1 + the index of the zone */
};

struct blob {
	uint32_t size; /* of all of it */
	uint8_t kind;
	bool has_v4; /* the cluster's addresses for the service */
	bool has_v6;
	uint8_t zero; /* no padding: equal blobs are equal bytes */
	uint8_t v4[4];
	uint8_t v6[16];
	struct port_set ports; /* the service's own; rows is not used */
	uint32_t target;       /* offset of the external name in wire form; 0: it was malformed */
	uint32_t target_length;
	uint32_t v4_count; /* distinct addresses of endpoints, sorted */
	uint32_t v6_count;
	uint32_t v4_at;
	uint32_t v6_at;
	uint32_t row_count;
	uint32_t named_count; /* rows with a name of their own */
	uint32_t rows_at;
	uint32_t order_at; /* uint32_t row_count: rows by (address, row); 0: the rows are in this order */
	uint32_t set_count;
	uint32_t sets_at;
	uint32_t zone_count;
	uint32_t zones_at; /* uint32_t zone_count: offsets of zones: a length byte, then that many bytes of
			      wire labels */
};

static inline const void *blob_at(const struct blob *blob, uint32_t offset)
{
	return (const uint8_t *)blob + offset;
}

static inline const struct row *blob_rows(const struct blob *blob)
{
	return blob_at(blob, blob->rows_at);
}

static inline const struct port_set *blob_sets(const struct blob *blob)
{
	return blob_at(blob, blob->sets_at);
}

static inline uint32_t row_set(const struct blob *blob, const struct row *row)
{
	return row->class / (blob->zone_count + 1);
}

/* 0: none, else 1 + the index of the zone. */
static inline uint32_t row_zone(const struct blob *blob, const struct row *row)
{
	return row->class % (blob->zone_count + 1);
}

/* The row that is at place `index` when rows are sorted by address. */
static inline uint32_t blob_row_by_address(const struct blob *blob, uint32_t index)
{
	return blob->order_at ? ((const uint32_t *)blob_at(blob, blob->order_at))[index] : index;
}

static inline void blob_address(const struct blob *blob, uint32_t index, uint8_t *address)
{
	if (index < blob->v4_count)
		address_from_v4(address, (const uint8_t *)blob_at(blob, blob->v4_at) + 4 * (size_t)index);
	else
		memcpy(address,
		       (const uint8_t *)blob_at(blob, blob->v6_at) + 16 * (size_t)(index - blob->v4_count),
		       16);
}

static inline size_t port_size(const uint8_t *port)
{
	return PORT_NAME + 1U + port[PORT_NAME];
}

static inline uint16_t port_number(const uint8_t *port)
{
	return (uint16_t)(port[PORT_NUMBER] << 8 | port[PORT_NUMBER + 1]);
}

/* The addresses of a blob (NULL has none), one after another, from `*at` 0 on: the cluster's for the service,
 * then those of endpoints, sorted. */
bool vigie_blob_next_address(const struct blob *blob, uint32_t *at, uint8_t *address, bool *cluster);

/* The index of an endpoint's address; false when no endpoint has it. */
bool vigie_blob_find_address(const struct blob *blob, const uint8_t *address, uint32_t *index);

/* Whether it is one of the cluster's addresses for the service. */
bool vigie_blob_is_cluster_address(const struct blob *blob, const uint8_t *address);

/* The first row at or behind `from` and before `to` whose address is at least `index`; rows there must be
 * sorted by address: those of one label, or all that have generated names. `to` when there is none. */
uint32_t vigie_blob_row_of_address(const struct blob *blob, uint32_t from, uint32_t to, uint32_t index);

/* The places of an address' rows among rows by address (see blob_row_by_address): [*first, returned). */
uint32_t vigie_blob_find_rows(const struct blob *blob, uint32_t address, uint32_t *first);

/* The rows of one endpoint name: [*first, returned). Empty when there is none. A generated label that some
 * other endpoint has as its hostname stands for that hostname. */
uint32_t vigie_blob_find_name(const struct blob *blob, const uint8_t *label, uint32_t *first);

/* The end of the run of rows that share the name of row `first`. */
uint32_t vigie_blob_name_end(const struct blob *blob, uint32_t first);

/* Writes the wire label of a row and returns its length with the length byte. */
size_t vigie_blob_row_label(const struct blob *blob, uint32_t row, uint8_t *label);

#endif
