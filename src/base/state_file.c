#include "vigie/state_file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/new_file.h"

enum { WRITE_STEP = 65536, READ_STEP = 4096, PIECE_MAX = 64 << 20 };

struct header {
	char magic[8];
	uint8_t version[4];
	uint8_t time[8];
	uint8_t owner[VIGIE_STATE_OWNER];
};

_Static_assert(sizeof(struct header) == VIGIE_STATE_HEADER, "the header has no gaps");

/* Writing. */

struct vigie_state_out {
	struct vigie_new_file file;
	struct vigie_buffer buffer;
	crypto_generichash_state sum;
};

static void flush(struct vigie_state_out *out)
{
	crypto_generichash_update(&out->sum, out->buffer.data, out->buffer.length);
	vigie_new_file_write(&out->file, out->buffer.data, out->buffer.length);
	out->buffer.length = 0;
}

struct vigie_state_out *vigie_state_create(const struct vigie_state_kind *kind, const char *path,
					   const uint8_t owner[VIGIE_STATE_OWNER], struct vigie_error *error)
{
	struct vigie_state_out *out = calloc(1, sizeof(*out));
	uint32_t version = htobe32(kind->version);
	uint64_t now = htobe64((uint64_t)vigie_clock_wall());
	struct header header;

	if (!out) {
		vigie_error_memory(error);
		return NULL;
	}
	vigie_buffer_init(&out->buffer, PIECE_MAX);
	crypto_generichash_init(&out->sum, NULL, 0, VIGIE_STATE_SUM);
	vigie_new_file_begin(&out->file, kind->name, path);
	if (out->file.error) {
		vigie_state_commit(out, error);
		return NULL;
	}
	memcpy(header.magic, kind->magic, sizeof(header.magic));
	memcpy(header.version, &version, sizeof(version));
	memcpy(header.time, &now, sizeof(now));
	memcpy(header.owner, owner, VIGIE_STATE_OWNER);
	vigie_state_write(out, &header, sizeof(header));
	return out;
}

enum vigie_status vigie_state_write(struct vigie_state_out *out, const void *data, size_t length)
{
	if (vigie_buffer_append(&out->buffer, data, length))
		vigie_state_spoil(out, ENOMEM);
	if (out->buffer.length >= WRITE_STEP)
		flush(out);
	return out->file.error ? VIGIE_EIO : VIGIE_OK;
}

void vigie_state_spoil(struct vigie_state_out *out, int number)
{
	if (!out->file.error)
		out->file.error = number;
}

enum vigie_status vigie_state_seal(struct vigie_state_out *out, struct vigie_error *error)
{
	uint8_t sum[VIGIE_STATE_SUM];

	flush(out);
	crypto_generichash_final(&out->sum, sum, sizeof(sum));
	vigie_new_file_write(&out->file, sum, sizeof(sum));
	return out->file.error ? vigie_state_commit(out, error) : VIGIE_OK;
}

enum vigie_status vigie_state_commit(struct vigie_state_out *out, struct vigie_error *error)
{
	enum vigie_status status = vigie_new_file_commit(&out->file, error);

	vigie_buffer_fini(&out->buffer);
	free(out);
	return status;
}

/* Reading. */

struct vigie_state_in {
	const struct vigie_state_kind *kind;
	FILE *file;
	char *path;
	size_t left; /* bytes of the body */
	int64_t age;
};

static enum vigie_status refuse(const struct vigie_state_kind *kind, const char *path, const char *reason,
				struct vigie_error *error)
{
	return vigie_error_set(error, VIGIE_EINVAL, "the %s '%s' is not used: %s", kind->name, path, reason);
}

/* Whether every byte is as it was written. */
static bool sum_is_right(FILE *file, size_t length)
{
	crypto_generichash_state state;
	uint8_t bytes[READ_STEP];
	uint8_t wanted[VIGIE_STATE_SUM];
	uint8_t sum[VIGIE_STATE_SUM];

	crypto_generichash_init(&state, NULL, 0, sizeof(sum));
	while (length > 0) {
		size_t step = length < sizeof(bytes) ? length : sizeof(bytes);

		if (fread(bytes, step, 1, file) != 1)
			return false;
		crypto_generichash_update(&state, bytes, step);
		length -= step;
	}
	crypto_generichash_final(&state, sum, sizeof(sum));
	return fread(wanted, sizeof(wanted), 1, file) == 1 && memcmp(sum, wanted, sizeof(sum)) == 0;
}

/* Why the file is not one that may be used; NULL: it may. Leaves it at the body. */
static const char *judge(struct vigie_state_in *in, const uint8_t owner[VIGIE_STATE_OWNER])
{
	struct stat stat;
	struct header header;
	uint32_t version;
	uint64_t then;

	if (fstat(fileno(in->file), &stat))
		return strerror(errno);
	if (!S_ISREG(stat.st_mode))
		return "it is no file";
	if (stat.st_size < VIGIE_STATE_HEADER + VIGIE_STATE_SUM ||
	    fread(&header, sizeof(header), 1, in->file) != 1 ||
	    memcmp(header.magic, in->kind->magic, sizeof(header.magic)) != 0)
		return "it is none";
	memcpy(&version, header.version, sizeof(version));
	if (be32toh(version) != in->kind->version)
		return "another version of vigie wrote it";
	if (memcmp(header.owner, owner, VIGIE_STATE_OWNER) != 0)
		return "it is somebody else's, or was written with other options";
	rewind(in->file);
	if (!sum_is_right(in->file, (size_t)stat.st_size - VIGIE_STATE_SUM))
		return "it is damaged";
	if (fseek(in->file, VIGIE_STATE_HEADER, SEEK_SET))
		return strerror(errno);
	memcpy(&then, header.time, sizeof(then));
	in->left = (size_t)stat.st_size - VIGIE_STATE_HEADER - VIGIE_STATE_SUM;
	in->age = (int64_t)((uint64_t)vigie_clock_wall() - be64toh(then));
	return NULL;
}

struct vigie_state_in *vigie_state_open(const struct vigie_state_kind *kind, const char *path,
					const uint8_t owner[VIGIE_STATE_OWNER], struct vigie_error *error)
{
	struct vigie_state_in *in = calloc(1, sizeof(*in));
	/* Opening a pipe must not wait for its writer. */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *reason = strerror(file < 0 ? errno : ENOMEM);

	if (file < 0 || !in)
		goto fail;
	in->kind = kind;
	in->path = strdup(path);
	in->file = fdopen(file, "r");
	if (!in->path || !in->file)
		goto fail;
	reason = judge(in, owner);
	if (!reason)
		return in;

fail:
	refuse(kind, path, reason, error);
	if (in && in->file)
		fclose(in->file);
	else if (file >= 0)
		close(file);
	if (in)
		free(in->path);
	free(in);
	return NULL;
}

int64_t vigie_state_age(const struct vigie_state_in *in)
{
	return in->age;
}

bool vigie_state_read(struct vigie_state_in *in, void *data, size_t length)
{
	if (length > in->left || (length > 0 && fread(data, length, 1, in->file) != 1))
		return false;
	in->left -= length;
	return true;
}

enum vigie_status vigie_state_refuse(const struct vigie_state_in *in, const char *reason,
				     struct vigie_error *error)
{
	return refuse(in->kind, in->path, reason, error);
}

void vigie_state_close(struct vigie_state_in *in)
{
	fclose(in->file);
	free(in->path);
	free(in);
}
