/* Files in which a process leaves for the next one what it knew: an envelope that tells whose they are, how
 * old and whether every byte is as it was written. Its layout, integers with the most significant byte first:
 *
 *     8 bytes magic · 4 bytes version · 8 bytes seconds since 1970 · 32 bytes of whose it is
 *     the body · 32 bytes BLAKE2b of all that stands before
 *
 * A file is written beside its place and moved there when it is safe on the disk: whoever looks finds the old
 * one or the new one, whole. */
#ifndef VIGIE_STATE_FILE_H
#define VIGIE_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/status.h"

enum { VIGIE_STATE_OWNER = 32, VIGIE_STATE_HEADER = 8 + 4 + 8 + VIGIE_STATE_OWNER, VIGIE_STATE_SUM = 32 };

struct vigie_state_kind {
	char magic[8];
	uint32_t version;
	const char *name; /* for messages: "warm file" */
};

/* A file that is being written; one thread at a time. */
struct vigie_state_out;

/* Begins a file beside `path`. NULL and `error` set when it cannot be. `kind` must live as long. */
struct vigie_state_out *vigie_state_create(const struct vigie_state_kind *kind, const char *path,
					   const uint8_t owner[VIGIE_STATE_OWNER], struct vigie_error *error);

/* Appends to the body. A failure is kept: the caller may stop at once, and vigie_state_seal says what it was.
 */
enum vigie_status vigie_state_write(struct vigie_state_out *out, const void *data, size_t length);

/* Gives the file up for a reason of the caller's: vigie_state_seal fails with this errno. */
void vigie_state_spoil(struct vigie_state_out *out, int number);

/* Ends the body. On failure the file is removed, `out` freed, and `error` set. */
enum vigie_status vigie_state_seal(struct vigie_state_out *out, struct vigie_error *error);

/* Puts a sealed file in its place when it is safe on the disk, which may take long; or removes it, and the
 * old one stays. Frees `out`. */
enum vigie_status vigie_state_commit(struct vigie_state_out *out, struct vigie_error *error);

/* A file that was found whole. */
struct vigie_state_in;

/* Opens a file and reads all of it once. NULL and `error` set when it is not there, not of this kind, version
 * and owner, or not as it was written. */
struct vigie_state_in *vigie_state_open(const struct vigie_state_kind *kind, const char *path,
					const uint8_t owner[VIGIE_STATE_OWNER], struct vigie_error *error);

/* Seconds since it was written, by the wall clock; negative when that was set back. */
int64_t vigie_state_age(const struct vigie_state_in *in);

/* The next bytes of the body; false when fewer are left. */
bool vigie_state_read(struct vigie_state_in *in, void *data, size_t length);

/* "the KIND 'PATH' is not used: REASON". Returns VIGIE_EINVAL. */
enum vigie_status vigie_state_refuse(const struct vigie_state_in *in, const char *reason,
				     struct vigie_error *error);

void vigie_state_close(struct vigie_state_in *in);

#endif
