/* Master files (RFC 1035 section 5). ldns reads the records; the directives, and what it does not read, are
 * handled here: $INCLUDE, $GENERATE, a relative $ORIGIN, a TTL behind the class. */
#include <ctype.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "generate.h"
#include "vigie/buffer.h"
#include "vigie/log.h"
#include "zone.h"

enum {
	DEFAULT_TTL = 3600,   /* seconds, before any TTL was given */
	QUOTE_MAX = 60,       /* bytes of a line that an error quotes */
	ENTRY_MAX = 1 << 18,  /* bytes of an entry, with the comments before it, that is looked at again */
	GENERATED_MAX = 4096, /* bytes of a line that $GENERATE makes */
	GAP_MAX = 64          /* bytes of white space between a class and a TTL */
};

/* What all files of one zone have in common. */
struct reading {
	struct vigie_zone_builder *builder;
	const struct vigie_name *zone;
	const uint32_t *serial;
	struct vigie_error *error;
	size_t bytes; /* that may still be read */
	uint32_t ttl;
	bool ttl_given; /* by $TTL; else it is that of the record before (RFC 1035 section 5.1) */
	unsigned ignored;
};

/* One file, or one that it includes. */
struct source {
	struct reading *reading;
	const char *path;
	unsigned depth;
	FILE *stream;
	struct vigie_buffer text; /* of the entry that is read, once it is asked for */
	ldns_rdf *origin;
	ldns_rdf *previous; /* the owner of the record before */
	int line;
	long begin; /* the entry that is read, with the comments before it */
	long end;
};

static enum vigie_status read_source(struct reading *reading, const char *path, const ldns_rdf *origin,
				     unsigned depth);

/* Reads the text of the entry once more; of a file that shrank meanwhile there is less. */
static void fetch_entry(struct source *source)
{
	long length = source->end - source->begin;
	ssize_t got;

	source->text.length = 0;
	if (length > ENTRY_MAX)
		length = ENTRY_MAX;
	if (length <= 0 || vigie_buffer_reserve(&source->text, (size_t)length) != VIGIE_OK)
		return;
	got = pread(fileno(source->stream), source->text.data, (size_t)length, source->begin);
	source->text.length = got > 0 ? (size_t)got : 0;
}

/* The entry without the empty lines and comments before it; as long as it is on one line. */
static const char *entry_text(struct source *source, size_t *length)
{
	const char *text;
	const char *end;

	fetch_entry(source);
	text = (const char *)source->text.data;
	end = text + source->text.length;
	*length = 0;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *first = text;

		if (!stop)
			stop = end;
		while (first < stop && isspace((unsigned char)*first))
			first++;
		if (stop == end || (first < stop && *first != ';')) {
			*length = (size_t)(stop - text);
			return text;
		}
		text = stop + 1;
	}
	return "";
}

static enum vigie_status fail(struct source *source, const char *sentence)
{
	size_t length;
	const char *text = entry_text(source, &length);

	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	if (length > 0 && text[length - 1] == '\r')
		length--;
	return vigie_error_set(source->reading->error, VIGIE_EINVAL, "%s:%d: '%.*s%s': %s", source->path,
			       source->line > 1 ? source->line - 1 : 1,
			       (int)(length < QUOTE_MAX ? length : QUOTE_MAX), text,
			       length > QUOTE_MAX ? "..." : "", sentence);
}

static enum vigie_status no_memory(const struct source *source)
{
	return vigie_error_memory(source->reading->error);
}

/* The next word of a line; false at its end, or at a comment. */
static bool next_word(const char **text, size_t *length, const char **word, size_t *word_length)
{
	size_t n = 0;

	while (*length > 0 && isspace((unsigned char)**text)) {
		++*text;
		--*length;
	}
	while (n < *length && !isspace((unsigned char)(*text)[n]) && (*text)[n] != ';')
		n++;
	*word = *text;
	*word_length = n;
	*text += n;
	*length -= n;
	return n > 0;
}

/* A name of a directive, completed by the origin when it is relative. NULL when it is none. */
static ldns_rdf *directive_name(const struct source *source, const char *word, size_t length)
{
	char text[VIGIE_NAME_TEXT_MAX];
	ldns_rdf *name;

	if (length >= sizeof(text))
		return NULL;
	memcpy(text, word, length);
	text[length] = 0;
	if (strcmp(text, "@") == 0)
		return ldns_rdf_clone(source->origin);
	name = ldns_dname_new_frm_str(text);
	if (name && text[length - 1] != '.' && ldns_dname_cat(name, source->origin) != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	return name;
}

/* $INCLUDE FILE [ORIGIN] */
static enum vigie_status include(struct source *source)
{
	size_t left;
	const char *text = entry_text(source, &left);
	const char *slash = strrchr(source->path, '/');
	const char *word;
	size_t length;
	char path[4096];
	ldns_rdf *origin;
	enum vigie_status status;

	next_word(&text, &left, &word, &length); /* $INCLUDE itself */
	if (!next_word(&text, &left, &word, &length))
		return fail(source, "a file name is missing");
	if (length > 1 && word[0] == '"' && word[length - 1] == '"') {
		word++;
		length -= 2;
	}
	if ((size_t)snprintf(path, sizeof(path), "%.*s%.*s",
			     slash && word[0] != '/' ? (int)(slash - source->path + 1) : 0, source->path,
			     (int)length, word) >= sizeof(path))
		return fail(source, "the file name is too long");
	if (source->depth == VIGIE_ZONE_INCLUDES_MAX)
		return fail(source, "too many files include each other");
	origin = next_word(&text, &left, &word, &length) ? directive_name(source, word, length)
							 : ldns_rdf_clone(source->origin);
	if (!origin)
		return fail(source, "the origin is no domain name");
	status = read_source(source->reading, path, origin, source->depth + 1);
	if (status == VIGIE_EIO)
		status = fail(source, strerror(errno));
	ldns_rdf_deep_free(origin);
	return status;
}

/* ldns takes a relative $ORIGIN for an absolute one. */
static enum vigie_status set_origin(struct source *source, ldns_rdf *before)
{
	ldns_rdf *after = source->origin;
	size_t left;
	const char *text = entry_text(source, &left);
	const char *word;
	size_t length;

	source->origin = before;
	next_word(&text, &left, &word, &length);
	if (next_word(&text, &left, &word, &length))
		before = directive_name(source, word, length);
	else
		before = NULL;
	if (before) {
		ldns_rdf_deep_free(source->origin);
		source->origin = before;
	}
	ldns_rdf_deep_free(after);
	return before ? VIGIE_OK : fail(source, "the origin is no domain name");
}

static bool is_ttl(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)word[i]) && !strchr("smhdwSMHDW", word[i]))
			return false;
	}
	return length > 0 && isdigit((unsigned char)word[0]);
}

/* Turns "OWNER IN 300 …" into "OWNER 300 IN …", which ldns reads, in the fetched text. */
static bool swap_class_and_ttl(struct source *source)
{
	size_t left;
	const char *text = entry_text(source, &left);
	const char *class;
	const char *ttl;
	size_t class_length;
	size_t ttl_length;
	char *out;
	char gap[GAP_MAX + 2];
	size_t gap_length;

	if (left == 0 || (!isspace((unsigned char)*text) && !next_word(&text, &left, &class, &class_length)))
		return false;
	if (!next_word(&text, &left, &class, &class_length) || !next_word(&text, &left, &ttl, &ttl_length) ||
	    class_length != 2 || strncasecmp(class, "IN", 2) != 0 || !is_ttl(ttl, ttl_length))
		return false;
	gap_length = (size_t)(ttl - class) - class_length;
	if (gap_length > GAP_MAX)
		return false;
	memcpy(gap, class + class_length, gap_length);
	memcpy(gap + gap_length, class, class_length);
	out = (char *)source->text.data + (class - (const char *)source->text.data);
	memmove(out, ttl, ttl_length);
	memcpy(out + ttl_length, gap, gap_length + class_length);
	return true;
}

/* Reads a record from a text that is not the file's. */
static ldns_status read_text(struct source *source, char *text, size_t length, ldns_rr **rr)
{
	FILE *stream = fmemopen(text, length, "r");
	ldns_status result;
	int line = 0;

	if (!stream)
		return LDNS_STATUS_MEM_ERR;
	do {
		result = ldns_rr_new_frm_fp_l(rr, stream, &source->reading->ttl, &source->origin,
					      &source->previous, &line);
	} while (result == LDNS_STATUS_SYNTAX_EMPTY && !feof(stream)); /* comments before it */
	fclose(stream);
	return result;
}

/* Reads a record that ldns refused once more, with its class behind its TTL. */
static ldns_status read_swapped(struct source *source, ldns_rr **rr)
{
	if (source->end - source->begin > ENTRY_MAX || !swap_class_and_ttl(source))
		return LDNS_STATUS_SYNTAX_ERR;
	return read_text(source, (char *)source->text.data, source->text.length, rr);
}

static enum vigie_status add_record(struct source *source, const ldns_rr *rr)
{
	static _Thread_local uint8_t rdata[VIGIE_MESSAGE_MAX];
	struct reading *reading = source->reading;
	size_t length = 0;
	struct vigie_soa soa;

	if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		return fail(source, "the class is not IN");
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *field = ldns_rr_rdf(rr, i);

		if (ldns_rdf_size(field) > sizeof(rdata) - length)
			return fail(source, "the record is too long");
		memcpy(rdata + length, ldns_rdf_data(field), ldns_rdf_size(field));
		length += ldns_rdf_size(field);
	}
	if (!reading->ttl_given)
		reading->ttl = ldns_rr_ttl(rr);
	if (reading->serial && ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA &&
	    vigie_soa_from_rdata(&soa, rdata, length) == VIGIE_OK && soa.serial == *reading->serial) {
		return VIGIE_EEXIST;
	}
	switch (vigie_zone_builder_add(reading->builder, ldns_rdf_data(ldns_rr_owner(rr)),
				       (uint16_t)ldns_rr_get_type(rr), ldns_rr_ttl(rr), rdata, length)) {
	case VIGIE_OK:
		return VIGIE_OK;
	case VIGIE_ENOENT:
		if (reading->ignored++ == 0) {
			char text[VIGIE_NAME_TEXT_MAX];

			vigie_log(VIGIE_LOG_WARNING, "file", "%s:%d: this owner is not in zone '%s': ignored",
				  source->path, source->line > 1 ? source->line - 1 : 1,
				  vigie_name_to_text(reading->zone->bytes, text));
		}
		return VIGIE_OK;
	case VIGIE_ENOMEM:
		return no_memory(source);
	case VIGIE_ENOSPC:
		return fail(source, "the zone is too large");
	default:
		return fail(source, "this record cannot stand in a zone");
	}
}

/* Whether the entry is a $GENERATE; `text` is behind the word then. */
static bool is_generate(struct source *source, const char **text, size_t *length)
{
	static const char directive[] = "$GENERATE";
	const char *word;
	size_t word_length;

	*text = entry_text(source, length);
	return next_word(text, length, &word, &word_length) && word_length == strlen(directive) &&
	       strncasecmp(word, directive, word_length) == 0;
}

static enum vigie_status generate(struct source *source, const char *text, size_t length)
{
	char pattern[GENERATED_MAX];
	char line[GENERATED_MAX];
	struct generate all;
	const char *wrong;
	enum vigie_status status = VIGIE_OK;

	if (length > sizeof(pattern))
		return fail(source, "the line is too long");
	memcpy(pattern, text, length); /* an error quotes the entry, which is fetched again for that */
	wrong = generate_begin(&all, pattern, length);
	while (!wrong && !status && generate_more(&all)) {
		ldns_rr *rr = NULL;
		ldns_status result;

		wrong = generate_next(&all, line, sizeof(line));
		if (wrong)
			break;
		if (strlen(line) > source->reading->bytes)
			return fail(source, "the zone is too large");
		source->reading->bytes -= strlen(line);
		result = read_text(source, line, strlen(line), &rr);
		if (result == LDNS_STATUS_OK)
			status = add_record(source, rr);
		else
			wrong = ldns_get_errorstr_by_id(result);
		ldns_rr_free(rr);
	}
	return wrong ? fail(source, wrong) : status;
}

/* Reads the next entry: a record, a directive, or nothing. */
static enum vigie_status read_entry(struct source *source)
{
	struct reading *reading = source->reading;
	ldns_rdf *origin = ldns_rdf_clone(source->origin);
	enum vigie_status status;
	ldns_rr *rr = NULL;
	ldns_status result;
	const char *text;
	size_t length;

	if (!origin)
		return no_memory(source);
	source->begin = ftell(source->stream);
	result = ldns_rr_new_frm_fp_l(&rr, source->stream, &reading->ttl, &source->origin, &source->previous,
				      &source->line);
	source->end = ftell(source->stream);
	if (result == LDNS_STATUS_SYNTAX_ORIGIN)
		return set_origin(source, origin); /* owns it from here on */
	ldns_rdf_deep_free(origin);
	switch (result) {
	case LDNS_STATUS_OK:
		break;
	case LDNS_STATUS_SYNTAX_EMPTY:
		return VIGIE_OK;
	case LDNS_STATUS_SYNTAX_TTL:
		reading->ttl_given = true;
		return VIGIE_OK;
	case LDNS_STATUS_SYNTAX_INCLUDE:
		return include(source);
	case LDNS_STATUS_MEM_ERR:
		return no_memory(source);
	default:
		if (is_generate(source, &text, &length))
			return generate(source, text, length);
		if (read_swapped(source, &rr) != LDNS_STATUS_OK)
			return fail(source, ldns_get_errorstr_by_id(result));
		break;
	}
	status = add_record(source, rr);
	ldns_rr_free(rr);
	return status;
}

/* Opens a file. VIGIE_EIO: errno says why not. */
static enum vigie_status open_source(struct source *source)
{
	struct stat file;

	source->stream = fopen(source->path, "re");
	if (!source->stream || fstat(fileno(source->stream), &file))
		return VIGIE_EIO;
	if (!S_ISREG(file.st_mode)) {
		errno = S_ISDIR(file.st_mode) ? EISDIR : EINVAL;
		return VIGIE_EIO;
	}
	if ((size_t)file.st_size > source->reading->bytes)
		return vigie_error_set(source->reading->error, VIGIE_EINVAL, "%s: the zone is too large",
				       source->path);
	source->reading->bytes -= (size_t)file.st_size;
	return VIGIE_OK;
}

static enum vigie_status read_source(struct reading *reading, const char *path, const ldns_rdf *origin,
				     unsigned depth)
{
	struct source source = {.reading = reading,
				.path = path,
				.depth = depth,
				.line = 1,
				.origin = ldns_rdf_clone(origin)};
	enum vigie_status status = source.origin ? open_source(&source) : no_memory(&source);

	vigie_buffer_init(&source.text, ENTRY_MAX);
	if (status == VIGIE_EIO)
		vigie_error_set(reading->error, status, "%s: %s", path, strerror(errno));
	while (!status && !feof(source.stream))
		status = read_entry(&source);
	if (source.stream)
		fclose(source.stream);
	ldns_rdf_deep_free(source.origin);
	ldns_rdf_deep_free(source.previous);
	vigie_buffer_fini(&source.text);
	return status;
}

enum vigie_status vigie_zone_read(struct vigie_zone **zone, const char *path, const struct vigie_name *origin,
				  const uint32_t *serial, struct vigie_error *error)
{
	struct reading reading = {
		.builder = vigie_zone_builder_new(origin),
		.zone = origin,
		.serial = serial,
		.error = error,
		.bytes = VIGIE_ZONE_FILE_MAX,
		.ttl = DEFAULT_TTL,
	};
	ldns_rdf *name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, origin->length, origin->bytes);
	struct vigie_error reason;
	enum vigie_status status;

	if (!reading.builder || !name) {
		status = vigie_error_memory(error);
		goto fail;
	}
	status = read_source(&reading, path, name, 0);
	if (status)
		goto fail;
	ldns_rdf_deep_free(name);
	*zone = vigie_zone_builder_finish(reading.builder, &reason);
	if (*zone)
		return VIGIE_OK;
	return vigie_error_set(error, VIGIE_EINVAL, "%s: %s", path, reason.text);

fail:
	ldns_rdf_deep_free(name);
	vigie_zone_builder_free(reading.builder);
	return status;
}
