#include "vigie/keep.h"

#include <stdlib.h>
#include <string.h>

struct kept {
	struct kept *next;
	const char *kind; /* behind the key */
	void *object;
	void (*release)(void *object);
	size_t holders;
	char key[];
};

struct vigie_keep {
	struct kept *first;
};

struct vigie_keep *vigie_keep_new(void)
{
	return calloc(1, sizeof(struct vigie_keep));
}

void vigie_keep_free(struct vigie_keep *keep)
{
	free(keep);
}

void *vigie_keep_get(struct vigie_keep *keep, const char *kind, const char *key)
{
	for (struct kept *kept = keep->first; kept; kept = kept->next) {
		if (strcmp(kept->kind, kind) == 0 && strcmp(kept->key, key) == 0) {
			kept->holders++;
			return kept->object;
		}
	}
	return NULL;
}

enum vigie_status vigie_keep_put(struct vigie_keep *keep, const char *kind, const char *key, void *object,
				 void (*release)(void *object))
{
	size_t key_size = strlen(key) + 1;
	size_t kind_size = strlen(kind) + 1;
	struct kept *kept = malloc(sizeof(*kept) + key_size + kind_size);

	if (!kept)
		return VIGIE_ENOMEM;
	*kept = (struct kept){.next = keep->first,
			      .kind = kept->key + key_size,
			      .object = object,
			      .release = release,
			      .holders = 1};
	memcpy(kept->key, key, key_size);
	memcpy(kept->key + key_size, kind, kind_size);
	keep->first = kept;
	return VIGIE_OK;
}

void vigie_keep_release(struct vigie_keep *keep, void *object)
{
	for (struct kept **at = &keep->first; *at; at = &(*at)->next) {
		struct kept *kept = *at;

		if (kept->object != object)
			continue;
		if (--kept->holders > 0)
			return;
		*at = kept->next;
		kept->release(object);
		free(kept);
		return;
	}
}
