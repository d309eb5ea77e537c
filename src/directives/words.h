/* What somebody may have meant who wrote a word that is no directive, or no option of one. */
#ifndef VIGIE_DIRECTIVES_WORDS_H
#define VIGIE_DIRECTIVES_WORDS_H

/* A sentence's end for an error, such as ": did you mean 'cache'?", or "" when nothing comes to mind. Static
 * or in `buffer`. */
enum { WORDS_HINT_MAX = 160 };
const char *words_hint_directive(const char *word, char buffer[static WORDS_HINT_MAX]);
const char *words_hint_option(const char *directive, const char *word, char buffer[static WORDS_HINT_MAX]);

#endif
