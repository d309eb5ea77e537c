/* The expressions of `view`: the part of expr-lang (CoreDNS' language for them) that compares what is known
 * of a query. Types are checked when an expression is read, so that evaluating it cannot fail.
 *
 *     type() in ['A', 'AAAA'] && !incidr(client_ip(), '10.0.0.0/8')
 *
 * Operators, from the weakest: || or, && and, then == != < <= > >= in, not in, matches, contains, startsWith,
 * endsWith, then ! not. Values: 'text', "text", numbers, true, false, and the functions in expression.c. */
#ifndef VIGIE_DIRECTIVES_EXPRESSION_H
#define VIGIE_DIRECTIVES_EXPRESSION_H

#include "vigie/arena.h"
#include "vigie/corefile.h"
#include "vigie/request.h"

struct expression;

/* Reads an expression that yields true or false; `text` stands at `word`. It lives in the arena. NULL:
 * `error` says what is wrong. */
const struct expression *expression_new(struct vigie_arena *arena, const struct vigie_word *word,
					const char *text, struct vigie_error *error);

bool expression_holds(const struct expression *expression, struct vigie_request *request);

#endif
