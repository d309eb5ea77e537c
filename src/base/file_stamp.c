#include "vigie/file_stamp.h"

#include <sys/stat.h>

struct vigie_file_stamp vigie_file_stamp(const char *path)
{
	struct stat file;

	if (stat(path, &file) || S_ISDIR(file.st_mode))
		return (struct vigie_file_stamp){.exists = false};
	return (struct vigie_file_stamp){.exists = true,
					 .device = file.st_dev,
					 .inode = file.st_ino,
					 .size = file.st_size,
					 .changed = file.st_mtim};
}

bool vigie_file_stamp_same(const struct vigie_file_stamp *a, const struct vigie_file_stamp *b)
{
	return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}
