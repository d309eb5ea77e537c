#include "questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *path, size_t line, const char *why)
{
	fprintf(stderr, "generator: %s:%zu: %s\n", path, line, why);
	exit(2);
}

/* Writes the bytes of a label, of which "\\DDD" is any; returns how many they are. */
static size_t write_label(uint8_t *at, const char *label)
{
	size_t length = 0;

	for (; *label && length < 64; length++) {
		if (label[0] == '\\' && label[1] && label[2] && label[3]) {
			at[length] = (uint8_t)atoi((char[]){label[1], label[2], label[3], 0});
			label += 4;
		} else {
			at[length] = (uint8_t)*label++;
		}
	}
	return length;
}

/* Writes a name given as text; 0 when it is none. */
static size_t write_name(uint8_t *packet, size_t at, char *name)
{
	for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
		size_t length;

		if (at + strlen(label) + 6 > QUESTION_MAX)
			return 0;
		length = write_label(packet + at + 1, label);
		if (length > 63)
			return 0;
		packet[at] = (uint8_t)length;
		at += 1 + length;
	}
	packet[at++] = 0;
	return at;
}

static bool add(struct questions *questions, char *name, unsigned type, int rcode, int answers)
{
	uint8_t packet[QUESTION_MAX] = {[2] = 1, [5] = 1}; /* RD, one question */
	size_t at = write_name(packet, QUESTION_HEADER, name);
	struct question *question;
	uint8_t *copy;

	if (at == 0)
		return false;
	packet[at++] = (uint8_t)(type >> 8);
	packet[at++] = (uint8_t)type;
	packet[at++] = 0;
	packet[at++] = 1;
	copy = malloc(at);
	/* Room is a power of two: it is doubled when the count is one. */
	if ((questions->count & (questions->count - 1)) == 0)
		questions->list = realloc(questions->list, (questions->count * 2 + 1) * sizeof(*question));
	if (!copy || !questions->list)
		abort();
	memcpy(copy, packet, at);
	question = &questions->list[questions->count++];
	*question = (struct question){
		.packet = copy,
		.length = (uint16_t)at,
		.rcode = (int16_t)rcode,
		.answers = answers,
		.unique = memcmp(copy + QUESTION_HEADER, "\10????????", 1 + QUESTION_SERIAL) == 0,
	};
	return true;
}

void questions_read(struct questions *questions, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[QUESTION_MAX];

	*questions = (struct questions){0};
	if (!file)
		die(path, 0, "cannot be read");
	for (size_t number = 1; fgets(line, sizeof(line), file); number++) {
		char name[QUESTION_MAX];
		unsigned type;
		int rcode;
		int answers;

		if (sscanf(line, "%s %u %d %d", name, &type, &rcode, &answers) != 4 ||
		    !add(questions, name, type, rcode, answers))
			die(path, number, "not NAME TYPE RCODE ANSWERS");
	}
	fclose(file);
	if (questions->count == 0)
		die(path, 0, "no questions");
}

static void spell(uint8_t *label, uint32_t serial)
{
	for (int i = QUESTION_SERIAL; i-- > 0; serial >>= 4)
		label[i] = (uint8_t)("0123456789abcdef"[serial & 15]);
}

size_t question_write(const struct question *question, uint16_t id, uint32_t serial, uint8_t *packet)
{
	memcpy(packet, question->packet, question->length);
	packet[0] = (uint8_t)(id >> 8);
	packet[1] = (uint8_t)id;
	if (question->unique)
		spell(packet + QUESTION_HEADER + 1, serial);
	return question->length;
}

bool question_check(const struct question *question, uint32_t serial, const uint8_t *answer, size_t length)
{
	size_t at = QUESTION_HEADER;

	if (length < question->length || !(answer[2] & 0x80))
		return false;
	if (question->rcode >= 0 && (answer[3] & 15) != question->rcode)
		return false;
	if (question->answers >= 0 && (answer[6] << 8 | answer[7]) != question->answers)
		return false;
	if (question->unique) {
		uint8_t label[QUESTION_SERIAL];

		spell(label, serial);
		at += 1 + QUESTION_SERIAL;
		if (memcmp(answer + QUESTION_HEADER + 1, label, QUESTION_SERIAL) != 0)
			return false;
	}
	return memcmp(answer + at, question->packet + at, question->length - at) == 0;
}
