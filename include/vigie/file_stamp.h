/* What tells one state of a file from another, without reading it. */
#ifndef VIGIE_FILE_STAMP_H
#define VIGIE_FILE_STAMP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct vigie_file_stamp {
	bool exists; /* and is no folder; else all below is zero */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

/* The file's, behind symbolic links: a ConfigMap's files are such. Take it before the file is read: what
 * changes meanwhile is seen the next time. */
struct vigie_file_stamp vigie_file_stamp(const char *path);

bool vigie_file_stamp_same(const struct vigie_file_stamp *a, const struct vigie_file_stamp *b);

#endif
