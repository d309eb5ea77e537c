/* A server block made ready: its directives' instances in chain order, and the zones that lead to it. */
#ifndef VIGIE_SERVER_BLOCK_H
#define VIGIE_SERVER_BLOCK_H

#include <stddef.h>

#include "vigie/directive.h"

struct link {
	const struct vigie_directive *directive;
	void *instance;
	/* In a chain, by block_plan: */
	size_t next; /* the next link that serves; chain_count when there is none */
	size_t hook; /* 1 + the last link before this one that hears of answers; 0 when there is none */
};

struct block {
	struct vigie_block setup; /* first: a directive's block is the block */
	struct link *links;       /* every directive that has an instance or hooks, in chain order */
	size_t link_count;
	struct link *chain; /* those with serve or answered, in chain order: all that a query walks */
	size_t chain_count;
	size_t first; /* the first link of the chain that serves; chain_count when there is none */
	size_t last;  /* the last link of the chain that hears of answers, as `hook` */
	const struct link *ahead; /* the first of the chain that looks ahead; NULL: none does */
	size_t started;           /* links whose start was called */
};

/* Calls the setup of each directive that the block names. NULL and `error` set on failure. */
struct block *block_new(const struct vigie_server_block *source, struct vigie_process *process,
			struct vigie_error *error);

/* To be called when all blocks of a configuration are made: their chains are what they stay. */
enum vigie_status block_finish(struct block *block, struct vigie_error *error);

/* Joins the links of the chain, so that a query meets only directives that do something for it. */
void block_plan(struct block *block);

/* Starts the links in chain order; on failure those that started are stopped again. */
enum vigie_status block_start(struct block *block, struct vigie_error *error);
void block_add_metrics(struct block *block, struct vigie_metrics *metrics);

/* Whether a directive takes NOTIFY; and hands one to those that do: whether one of them takes it. */
bool block_is_notifiable(const struct block *block);
bool block_notify(const struct block *block, const struct vigie_name *origin, const struct sockaddr *client);

void block_drain(struct block *block);
void block_stop(struct block *block);
void block_free(struct block *block);

/* The block that serves a name: the longest zone that the name is in or below. */
struct zone_table;
struct zone_table *zone_table_new(void);
void zone_table_free(struct zone_table *table);

/* Adds a block for a zone. Blocks with views may share one: they are asked in the order in which they were
 * added. VIGIE_EEXIST when a block without a view has the zone already, which would leave nothing to this
 * one: `*first` is the key that brought it. */
enum vigie_status zone_table_add(struct zone_table *table, const struct vigie_key *key,
				 const struct block *block, const struct vigie_key **first);
const struct vigie_key *zone_table_find(const struct zone_table *table, const struct vigie_name *zone);

/* NULL when no zone matches. Of several blocks with that zone, the first: whether its view takes the query is
 * for the caller to see. */
const struct block *zone_table_get(const struct zone_table *table, const struct vigie_name *name);

/* The block that serves every name, when it is the only one; NULL else. */
const struct block *zone_table_only(const struct zone_table *table);

/* The same with views: the first block of the longest zone that has none or that `takes` the query, else one
 * of a shorter zone. `takes` is asked of blocks with views alone. */
const struct block *zone_table_select(const struct zone_table *table, const struct vigie_name *name,
				      bool (*takes)(const struct block *block, void *argument),
				      void *argument);

#endif
