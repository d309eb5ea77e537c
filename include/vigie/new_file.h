/* A file that is written beside its place, for its owner's eyes alone, and moved there when it is safe on the
 * disk: whoever looks finds the old one or the new one, whole. Of what fails nothing is left. */
#ifndef VIGIE_NEW_FILE_H
#define VIGIE_NEW_FILE_H

#include <stddef.h>

#include "vigie/status.h"

/* One that is being written; one thread at a time. */
struct vigie_new_file {
	const char *name; /* for messages: "cache file" */
	char *path;
	char *new_path; /* PATH.new */
	int fd;
	int error; /* errno of what failed first; 0: nothing. The caller may set it to give the file up. */
};

/* Begins a file that is to be at `path`. What fails here and in vigie_new_file_write is kept: the caller may
 * look at `error`, or go on, and vigie_new_file_commit says what it was. `name` must live as long. */
void vigie_new_file_begin(struct vigie_new_file *file, const char *name, const char *path);

void vigie_new_file_write(struct vigie_new_file *file, const void *data, size_t length);

/* Puts the file in its place when it is safe on the disk, which may take long. When anything has failed it is
 * removed, and the old one stays: VIGIE_EIO, and `error` set. Ends the writing in any case. */
enum vigie_status vigie_new_file_commit(struct vigie_new_file *file, struct vigie_error *error);

#endif
