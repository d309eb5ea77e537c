/* One configuration made ready: its blocks, and who listens where. A reload makes the next one beside it. */
#ifndef VIGIE_SERVER_GENERATION_H
#define VIGIE_SERVER_GENERATION_H

#include "listen.h"

enum {
	GENERATION_HASH_TEXT = 129 /* bytes of a SHA-512 in hexadecimal with its terminator */
};

struct generation {
	struct vigie_process process;
	struct vigie_arena *arena; /* of the Corefile; owned; NULL when the Corefile is somebody else's */
	struct block **blocks;
	size_t block_count;
	struct listeners listeners;
	char hash[GENERATION_HASH_TEXT]; /* of the Corefile's words, imports unfolded: neither comments nor
					  * white space change it */
};

/* Sets the blocks up; opens nothing. `process` is copied: what all generations share. Takes the arena over,
 * also on failure. NULL and `error` set on failure. */
struct generation *generation_new(const struct vigie_process *process, const struct vigie_corefile *corefile,
				  struct vigie_arena *arena, struct vigie_error *error);
void generation_free(struct generation *generation);

/* Starts all directives; on failure those that started are stopped again. */
enum vigie_status generation_start(struct generation *generation, struct vigie_error *error);
void generation_stop(struct generation *generation);
void generation_drain(struct generation *generation);

/* Whether every directive is ready; else, with `names`, the names of those that are not, with commas. */
bool generation_ready(const struct generation *generation, struct vigie_buffer *names);

/* Appends what the directives have to say of their state, in lines. */
void generation_detail(const struct generation *generation, struct vigie_buffer *text);

/* What a Corefile's words are, as generation.hash. */
void generation_hash(const struct vigie_corefile *corefile, char *text);

#endif
