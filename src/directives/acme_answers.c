#include "acme_answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

enum {
	VALUE_MAX = 43 /* bytes of a SHA-256 in base64 */
};

/* A record; immutable but for the list that it is in. */
struct record {
	struct record *next;
	struct vigie_name name;
	uint8_t length;
	char value[VALUE_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who change the list */
static struct record *records;                           /* RCU */

void acme_answers_present(void *argument, const char *name, const char *value)
{
	struct record *record = calloc(1, sizeof(*record));
	size_t length = strlen(value);

	if (!record || length > VALUE_MAX || vigie_name_from_text(&record->name, name)) {
		free(record); /* the CA will not find it, and say so */
		return;
	}
	record->length = (uint8_t)length;
	memcpy(record->value, value, length);
	pthread_mutex_lock(&lock);
	record->next = records;
	__atomic_store_n(&records, record, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

static bool is(const struct record *record, const struct vigie_name *name, const char *value)
{
	return vigie_name_equal(record->name.bytes, name->bytes) && record->length == strlen(value) &&
	       memcmp(record->value, value, record->length) == 0;
}

void acme_answers_withdraw(void *argument, const char *name, const char *value)
{
	struct record *gone = NULL;
	struct vigie_name wire;

	if (vigie_name_from_text(&wire, name))
		return;
	pthread_mutex_lock(&lock);
	for (struct record **at = &records; *at; at = &(*at)->next) {
		if (is(*at, &wire, value)) {
			gone = *at;
			__atomic_store_n(at, gone->next, __ATOMIC_RELEASE);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	synchronize_rcu();
	free(gone);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct vigie_query *query = request->query;
	bool found = false;

	if (query->type != VIGIE_TYPE_TXT || query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	for (const struct record *record = __atomic_load_n(&records, __ATOMIC_ACQUIRE); record;
	     record = __atomic_load_n(&record->next, __ATOMIC_ACQUIRE)) {
		uint8_t *rdata;

		if (!vigie_name_equal(record->name.bytes, query->name.bytes))
			continue;
		found = true;
		rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_TXT,
					0, (uint16_t)(1 + record->length));
		if (!rdata)
			break; /* truncated */
		rdata[0] = record->length;
		memcpy(rdata + 1, record->value, record->length);
	}
	if (!found)
		return VIGIE_NEXT;
	request->answer->flags |= VIGIE_FLAG_AA;
	return VIGIE_ANSWERED;
}

const struct vigie_directive acme_answers = {.name = "acme", .serve = serve};
