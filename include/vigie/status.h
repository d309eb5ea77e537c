/* What a function says of its outcome, and the text that goes with a refusal.
 *
 * Functions that can fail return `enum vigie_status`; those that wrap a system call and only pass its failure
 * on return a negative errno. No function does both. */
#ifndef VIGIE_STATUS_H
#define VIGIE_STATUS_H

enum vigie_status {
	VIGIE_OK = 0,
	VIGIE_ENOMEM,  /* memory ran out: the work was dropped, nothing else changed */
	VIGIE_EINVAL,  /* the input is malformed or not allowed */
	VIGIE_ENOENT,  /* no such thing */
	VIGIE_EEXIST,  /* there is one already */
	VIGIE_ENOSPC,  /* a named limit was reached */
	VIGIE_EIO,     /* the system refused: errno, or the error's text, says why */
	VIGIE_ETIMEOUT /* nothing came in time */
};

/* A few words for a status, such as "out of memory". Static storage. */
const char *vigie_status_text(enum vigie_status status);

/* A sentence for a person who has to act on it, without a newline. `text` is always terminated. */
struct vigie_error {
	char text[512];
};

/* Writes the sentence (cut to fit) and returns `status`, so that a caller can `return vigie_error_set(…)`.
 * `error` may be NULL. */
enum vigie_status vigie_error_set(struct vigie_error *error, enum vigie_status status, const char *format,
				  ...) __attribute__((format(printf, 3, 4)));

/* The same for VIGIE_ENOMEM. */
enum vigie_status vigie_error_memory(struct vigie_error *error);

#endif
