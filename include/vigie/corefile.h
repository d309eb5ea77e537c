/* The Corefile: lexer and parser (snippets, import, environment, quotes, comments), and what server blocks'
 * keys mean. Knows no directive by name. The grammar is CoreDNS' (corefile.5): it is described in
 * docs/corefile.md. */
#ifndef VIGIE_COREFILE_H
#define VIGIE_COREFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/arena.h"
#include "vigie/name.h"
#include "vigie/status.h"

/* A word and where it stands, so that every error can name both. */
struct vigie_word {
	const char *text;
	const char *file;
	unsigned line; /* from 1 */
};

/* NAME ARGUMENTS… [{ BODY }]: a directive, or an option in a directive's block. */
struct vigie_statement {
	struct vigie_word name;
	const struct vigie_word *args;
	size_t arg_count;
	const struct vigie_statement *body; /* an array; NULL without braces, not NULL for an empty pair */
	size_t body_count;
};

enum vigie_transport {
	VIGIE_TRANSPORT_DNS, /* UDP and TCP */
	VIGIE_TRANSPORT_TLS
};

/* One key of a server block, normalised: a CIDR gives one for each reverse zone that it covers. */
struct vigie_key {
	struct vigie_word word; /* as written */
	enum vigie_transport transport;
	struct vigie_name zone;
	uint16_t port;
};

struct vigie_server_block {
	const struct vigie_key *keys;
	size_t key_count;
	const struct vigie_statement *statements; /* in file order */
	size_t statement_count;
};

/* What a file holds: at least one block, each with at least one key and no key twice. That no two blocks
 * serve one key at one address is for the server to check, which knows the addresses (`bind`). */
struct vigie_corefile {
	const struct vigie_server_block *blocks;
	size_t block_count;
};

enum {
	VIGIE_COREFILE_MAX = 1 << 20,       /* bytes of one file */
	VIGIE_COREFILE_IMPORTS_MAX = 32,    /* nested imports: a file that imports itself is an error */
	VIGIE_COREFILE_FILES_MAX = 4096,    /* imported files, each counted as often as it is imported */
	VIGIE_COREFILE_WORDS_MAX = 1 << 18, /* words of all files together, imports unfolded */
	VIGIE_COREFILE_NESTING_MAX = 32,    /* blocks within blocks of one file */
	VIGIE_COREFILE_KEYS_MAX = 8192      /* keys of all server blocks together, CIDRs unfolded */
};

/* Reads and parses a file; everything lives in `arena`. `default_port` is for keys without one (853 for
 * tls://). VIGIE_EINVAL: `error` is "FILE:LINE: …'WORD'…". VIGIE_EIO: the file cannot be read. */
enum vigie_status vigie_corefile_read(struct vigie_corefile *corefile, struct vigie_arena *arena,
				      const char *path, uint16_t default_port, struct vigie_error *error);

/* The same from memory (tests, fuzzing, a built-in configuration). `path` names it in errors and is what
 * relative imports are relative to. `text` is copied. */
enum vigie_status vigie_corefile_parse(struct vigie_corefile *corefile, struct vigie_arena *arena,
				       const char *path, const char *text, size_t length,
				       uint16_t default_port, struct vigie_error *error);

/* The same as vigie_corefile_read, for telling a person of all mistakes: a key or an import that cannot be is
 * told to `report` and left out, and so is a block without any key left. Other mistakes end the reading as
 * they do there, and so does `report` when it returns false; `corefile` holds the blocks until then. */
typedef bool vigie_corefile_report(void *argument, const char *text);
enum vigie_status vigie_corefile_read_all(struct vigie_corefile *corefile, struct vigie_arena *arena,
					  const char *path, uint16_t default_port,
					  vigie_corefile_report *report, void *argument,
					  struct vigie_error *error);

/* "FILE:LINE: " and the message, with '%s' words quoted by the caller. Returns VIGIE_EINVAL. */
enum vigie_status vigie_word_error(struct vigie_error *error, const struct vigie_word *word,
				   const char *format, ...) __attribute__((format(printf, 3, 4)));

enum {
	VIGIE_ZONES_MAX = 128 /* zones of one CIDR: the worst case is a /9 or /17 */
};

/* A zone as an argument of a directive: a domain name ("cluster.local", "."), or a CIDR that becomes 1 to
 * VIGIE_ZONES_MAX reverse zones (a prefix off the octet or nibble boundary covers several). `zones` has room
 * for VIGIE_ZONES_MAX. VIGIE_EINVAL when it is neither. */
enum vigie_status vigie_zones_from_word(const struct vigie_word *word, struct vigie_name *zones,
					size_t *count, struct vigie_error *error);

/* "5s", "1m30s", "250ms" as Go writes durations; a bare number is an error. Milliseconds, rounded down. */
enum vigie_status vigie_duration_from_word(const struct vigie_word *word, uint64_t *milliseconds,
					   struct vigie_error *error);

/* A decimal number from `least` to `most`. */
enum vigie_status vigie_number_from_word(const struct vigie_word *word, uint64_t least, uint64_t most,
					 uint64_t *number, struct vigie_error *error);

#endif
