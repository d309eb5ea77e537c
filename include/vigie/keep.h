/* What outlives one configuration: objects that the next one, with the same options, takes over. While a
 * configuration is switched both hold it; it is freed when the last lets go. Used by the main thread alone.
 */
#ifndef VIGIE_KEEP_H
#define VIGIE_KEEP_H

#include "vigie/status.h"

struct vigie_keep;

/* NULL when memory is out. */
struct vigie_keep *vigie_keep_new(void);

/* Nothing must be held any more. */
void vigie_keep_free(struct vigie_keep *keep);

/* The object that is kept under a name, held once more; NULL when there is none. `kind` says whose it is
 * ("kubernetes"), `key` all that must be the same for sharing it. */
void *vigie_keep_get(struct vigie_keep *keep, const char *kind, const char *key);

/* Keeps an object, held once. `release` is called when the last holder lets go. VIGIE_ENOMEM: it is not kept,
 * and still the caller's. */
enum vigie_status vigie_keep_put(struct vigie_keep *keep, const char *kind, const char *key, void *object,
				 void (*release)(void *object));

/* Lets go of an object. */
void vigie_keep_release(struct vigie_keep *keep, void *object);

#endif
