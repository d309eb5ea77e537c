#include "vigie/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void vigie_new_file_begin(struct vigie_new_file *file, const char *name, const char *path)
{
	*file = (struct vigie_new_file){.name = name, .path = strdup(path), .fd = -1};
	if (asprintf(&file->new_path, "%s.new", path) < 0)
		file->new_path = NULL;
	errno = ENOMEM;
	if (file->path && file->new_path)
		file->fd = open(file->new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0)
		file->error = errno;
}

void vigie_new_file_write(struct vigie_new_file *file, const void *data, size_t length)
{
	const uint8_t *at = data;

	while (length > 0 && !file->error) {
		ssize_t wrote = write(file->fd, at, length);

		if (wrote > 0) {
			at += wrote;
			length -= (size_t)wrote;
		} else if (wrote < 0 && errno != EINTR) {
			file->error = errno;
		}
	}
}

enum vigie_status vigie_new_file_commit(struct vigie_new_file *file, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	if (!file->error && (fsync(file->fd) || rename(file->new_path, file->path)))
		file->error = errno;
	if (file->error) {
		status = vigie_error_set(error, VIGIE_EIO, "cannot write the %s '%.256s': %s", file->name,
					 file->path ? file->path : "", strerror(file->error));
		if (file->fd >= 0)
			unlink(file->new_path);
	}
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->new_path);
	return status;
}
