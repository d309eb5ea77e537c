/* What a reply holds beside the answer to its question. */
#ifndef VIGIE_DIRECTIVES_SCRUB_H
#define VIGIE_DIRECTIVES_SCRUB_H

#include "vigie/answer.h"

/* Leaves records out of an answer that was just taken from `reply` (vigie_answer_take) whose owners have
 * nothing to do with the question: whoever sends them wants them to be believed some day. There stay
 *
 * - in the answer section the question's name and those that CNAMEs lead to from there, at most
 *   VIGIE_CACHE_CHAIN_MAX, and DNAMEs and signatures above one of them;
 * - in the authority section those names and the zones above, and what proves a denial (NSEC, NSEC3, RRSIG);
 * - in the additional section those names, and hosts that records named before lead to.
 *
 * Returns whether something was left out. Then the names of what stays are spelled out. */
bool scrub(struct vigie_answer *answer, const uint8_t *reply, size_t length);

#endif
