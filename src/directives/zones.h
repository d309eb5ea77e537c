/* The zones that a directive is for: ZONES… among its arguments. */
#ifndef VIGIE_DIRECTIVES_ZONES_H
#define VIGIE_DIRECTIVES_ZONES_H

#include "vigie/directive.h"

struct zones {
	struct vigie_name *names; /* in the block's arena */
	size_t count;
};

/* The zones that the words stand for, without any word the root: all names. */
enum vigie_status zones_from_words(struct zones *zones, struct vigie_block *block,
				   const struct vigie_word *words, size_t count, struct vigie_error *error);

/* The same, but without any word the zones of the block's keys. */
enum vigie_status zones_from_words_or_keys(struct zones *zones, struct vigie_block *block,
					   const struct vigie_word *words, size_t count,
					   struct vigie_error *error);

/* The longest of the zones that the name is in; NULL when it is in none. */
const struct vigie_name *zones_match(const struct zones *zones, const struct vigie_name *name);

/* `fallthrough [ZONES…]` of a directive. */
struct fallthrough {
	bool set;
	struct zones zones;
};

enum vigie_status fallthrough_read(struct fallthrough *fallthrough, struct vigie_block *block,
				   const struct vigie_statement *option, struct vigie_error *error);

/* Whether a name that the directive does not know goes on to the next one. */
bool fallthrough_holds(const struct fallthrough *fallthrough, const struct vigie_name *name);

#endif
