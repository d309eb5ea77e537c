/* The table of `hosts`: names with their addresses and addresses with their names, as hosts(5) lists them.
 * Built at once, then immutable. */
#ifndef VIGIE_DIRECTIVES_HOSTS_TABLE_H
#define VIGIE_DIRECTIVES_HOSTS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/arena.h"
#include "vigie/name.h"
#include "vigie/status.h"
#include "zones.h"

/* One name with one address. */
struct hosts_entry {
	const uint8_t *name; /* folded wire name */
	uint32_t order;      /* where it stood: what came first is answered first */
	uint8_t name_length;
	bool v4;
	uint8_t address[16]; /* v4 mapped into v6 */
};

struct hosts_table {
	struct vigie_arena *arena;
	struct hosts_entry *by_name; /* sorted by name, then order; no pair twice */
	struct hosts_entry *by_address;
	size_t name_count;
	size_t address_count;
	size_t capacity;
	size_t malformed; /* lines that begin with no address, or hold no name */
};

/* An empty table; NULL when memory is out. */
struct hosts_table *hosts_table_new(void);
void hosts_table_free(struct hosts_table *table);

/* Adds the lines of a text, which need no terminator; only names in `zones` are taken. VIGIE_ENOMEM. */
enum vigie_status hosts_table_add(struct hosts_table *table, const struct zones *zones, const char *text,
				  size_t length);

/* Sorts; with `reverse` the addresses can be looked up, too. Nothing may be added any more. VIGIE_ENOMEM. */
enum vigie_status hosts_table_finish(struct hosts_table *table, bool reverse);

/* The entries of a name, or of the wildcard that stands for it; `*count` of them, 0 when there is none. */
const struct hosts_entry *hosts_table_find(const struct hosts_table *table, const struct vigie_name *name,
					   size_t *count);

/* The entries of an address (16 bytes, v4 mapped into v6). */
const struct hosts_entry *hosts_table_find_address(const struct hosts_table *table, const uint8_t *address,
						   size_t *count);

#endif
