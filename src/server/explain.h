/* vigie tells of itself over DNS: TXT queries of class CH below "vigie.", from this host and from addresses
 * that an `acl` of the configuration allows by name.
 *
 *     stats.vigie          what was counted
 *     watch.vigie          how the watches of the API server are
 *     trace.NAME.vigie     the way of a query for NAME; trace._TYPE.NAME.vigie for another type than A */
#ifndef VIGIE_SERVER_EXPLAIN_H
#define VIGIE_SERVER_EXPLAIN_H

#include "flight.h"

/* Whether the flight is such a query and its client may ask it. */
__attribute__((cold)) bool explain_is_asked(const struct flight *flight);

/* Answers it; a verdict as of a directive. */
__attribute__((cold)) enum vigie_verdict explain_serve(struct flight *flight);

/* Writes down which block a traced query came to. */
__attribute__((cold)) void explain_enter(struct flight *flight);

/* Writes down what became of a link's turn. */
__attribute__((cold)) void explain_step(struct flight *flight, const char *directive,
					enum vigie_verdict verdict);

/* The block that such queries are in: one without directives. */
extern const struct block explain_block;

#endif
