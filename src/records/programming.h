/* How long changes take to be seen. */
#ifndef PROGRAMMING_H
#define PROGRAMMING_H

struct holding;
struct vigie_records;

/* What a holding had waiting is published: counts it when it is a headless service's. */
void vigie_programming_count(struct vigie_records *records, struct holding *holding);

#endif
