/* The questions that the generator asks, and what it expects of the answers. */
#ifndef BENCH_QUESTIONS_H
#define BENCH_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUESTION_MAX = 512,   /* bytes of a query */
	QUESTION_HEADER = 12, /* bytes of the DNS header */
	QUESTION_SERIAL = 8   /* bytes of a label that is made unique */
};

struct question {
	const uint8_t *packet; /* with id 0 */
	uint16_t length;
	int16_t rcode;   /* expected; -1: any */
	int32_t answers; /* expected; -1: any */
	bool unique;     /* the label behind the header is replaced by the serial number */
};

struct questions {
	struct question *list;
	size_t count;
};

/* Reads lines "NAME TYPE RCODE ANSWERS": in the name "\DDD" is the byte of that number, the type is a number,
 * RCODE and ANSWERS are what is expected (-1: any). A first label "????????" is replaced by a number that no
 * query before had. Ends the program when the file is no such. */
void questions_read(struct questions *questions, const char *path);

/* Writes the query with that id and serial number and returns its length. */
size_t question_write(const struct question *question, uint16_t id, uint32_t serial, uint8_t *packet);

/* Whether the answer is as expected: the question echoed, rcode and count. */
bool question_check(const struct question *question, uint32_t serial, const uint8_t *answer, size_t length);

#endif
