#include "inflight.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/hash.h"

enum {
	SHARDS = 64,
	HEADS = 256,      /* of a shard */
	BUCKETS = 1 << 14 /* clients that share one share its bound: there are enough of them */
};

struct inflight {
	struct inflight *next;
	uint64_t hash;
	uint64_t group;
	struct question question;
	struct waiter *first;
	struct waiter *last;
	char trouble[TROUBLE_MAX];
};

static struct shard {
	pthread_mutex_t lock;
	struct inflight *heads[HEADS];
} shards[SHARDS] = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static atomic_size_t waiters;
static atomic_uint clients[BUCKETS];

static struct shard *shard_of(uint64_t hash)
{
	return &shards[hash % SHARDS];
}

static struct inflight **head_of(uint64_t hash)
{
	return &shard_of(hash)->heads[hash / SHARDS % HEADS];
}

struct parcel *parcel_new(const struct vigie_outcome *outcome)
{
	struct parcel *parcel = malloc(sizeof(*parcel) + outcome->length);

	if (!parcel)
		return NULL;
	parcel->references = 1;
	parcel->outcome = *outcome;
	if (outcome->reply) {
		memcpy(parcel->reply, outcome->reply, outcome->length);
		parcel->outcome.reply = parcel->reply;
	}
	if (outcome->upstream) {
		snprintf(parcel->upstream, sizeof(parcel->upstream), "%s", outcome->upstream);
		parcel->outcome.upstream = parcel->upstream;
	}
	if (outcome->trouble) {
		snprintf(parcel->trouble, sizeof(parcel->trouble), "%s", outcome->trouble);
		parcel->outcome.trouble = parcel->trouble;
	}
	return parcel;
}

void parcel_release(struct parcel *parcel)
{
	if (parcel && atomic_fetch_sub(&parcel->references, 1) == 1)
		free(parcel);
}

static uint64_t hash_of(const struct vigie_upstreams *group, const struct question *question)
{
	uint8_t key[VIGIE_NAME_MAX + sizeof(group->number) + 3 + VIGIE_OPTIONS_FORWARD_MAX];
	size_t length = question->name.length;

	memcpy(key, question->name.bytes, length);
	memcpy(key + length, &group->number, sizeof(group->number));
	length += sizeof(group->number);
	memcpy(key + length, &question->type, 2);
	key[length + 2] = (uint8_t)(question->rd | question->edns_do << 1 | question->cd << 2);
	memcpy(key + length + 3, question->options, question->options_length);
	return vigie_hash(key, length + 3 + question->options_length);
}

static bool same(const struct inflight *entry, uint64_t hash, const struct vigie_upstreams *group,
		 const struct question *question)
{
	return entry->hash == hash && entry->group == group->number &&
	       entry->question.type == question->type && entry->question.rd == question->rd &&
	       entry->question.edns_do == question->edns_do && entry->question.cd == question->cd &&
	       entry->question.name.length == question->name.length &&
	       memcmp(entry->question.name.bytes, question->name.bytes, question->name.length) == 0 &&
	       entry->question.options_length == question->options_length &&
	       memcmp(entry->question.options, question->options, question->options_length) == 0;
}

static void append(struct inflight *entry, struct waiter *waiter)
{
	waiter->entry = entry;
	waiter->next = NULL;
	waiter->previous = entry->last;
	if (entry->last)
		entry->last->next = waiter;
	else
		entry->first = waiter;
	entry->last = waiter;
}

enum inflight_place inflight_join(struct waiter *waiter, const struct vigie_upstreams *group,
				  const struct question *question)
{
	uint64_t hash = waiter->hash = hash_of(group, question);
	struct inflight **head = head_of(hash);
	struct inflight *entry;
	enum inflight_place place = INFLIGHT_JOINED;

	pthread_mutex_lock(&shard_of(hash)->lock);
	for (entry = *head; entry && !same(entry, hash, group, question); entry = entry->next)
		continue;
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		place = entry ? INFLIGHT_FIRST : INFLIGHT_NO_MEMORY;
		if (entry) {
			entry->hash = hash;
			entry->group = group->number;
			entry->question = *question;
			entry->next = *head;
			*head = entry;
		}
	}
	if (entry)
		append(entry, waiter);
	pthread_mutex_unlock(&shard_of(hash)->lock);
	return place;
}

void inflight_set_trouble(struct inflight *entry, const char *text)
{
	pthread_mutex_lock(&shard_of(entry->hash)->lock);
	snprintf(entry->trouble, sizeof(entry->trouble), "%s", text);
	pthread_mutex_unlock(&shard_of(entry->hash)->lock);
}

bool inflight_leave(struct waiter *waiter, char *trouble)
{
	struct inflight *entry;

	pthread_mutex_lock(&shard_of(waiter->hash)->lock);
	entry = waiter->entry;
	if (entry) {
		memcpy(trouble, entry->trouble, sizeof(entry->trouble));
		if (waiter->next)
			waiter->next->previous = waiter->previous;
		else
			entry->last = waiter->previous;
		if (waiter->previous)
			waiter->previous->next = waiter->next;
		else
			entry->first = waiter->next;
		waiter->entry = NULL;
	}
	pthread_mutex_unlock(&shard_of(waiter->hash)->lock);
	return entry != NULL;
}

void inflight_end(struct inflight *entry, struct parcel *parcel,
		  void (*deliver)(struct waiter *waiter, struct parcel *parcel))
{
	struct shard *shard = shard_of(entry->hash);
	struct inflight **at = head_of(entry->hash);
	struct waiter *next;

	/* The lock is held until all waiters are elsewhere: each may want to leave meanwhile. */
	pthread_mutex_lock(&shard->lock);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	for (struct waiter *waiter = entry->first; waiter; waiter = next) {
		next = waiter->next;
		waiter->entry = NULL;
		deliver(waiter, parcel);
	}
	pthread_mutex_unlock(&shard->lock);
	free(entry);
}

static uint32_t bucket_of(const struct sockaddr *client)
{
	if (!client)
		return 0;
	if (client->sa_family == AF_INET)
		return (uint32_t)vigie_hash(&((const struct sockaddr_in *)client)->sin_addr, 4) % BUCKETS;
	return (uint32_t)vigie_hash(&((const struct sockaddr_in6 *)client)->sin6_addr, 16) % BUCKETS;
}

bool inflight_admit(const struct sockaddr *client, uint32_t *bucket)
{
	*bucket = bucket_of(client);
	if (atomic_fetch_add(&waiters, 1) < VIGIE_WAITERS_MAX) {
		if (atomic_fetch_add(&clients[*bucket], 1) < VIGIE_CLIENT_WAITERS_MAX || !client)
			return true;
		atomic_fetch_sub(&clients[*bucket], 1);
	}
	atomic_fetch_sub(&waiters, 1);
	return false;
}

void inflight_discharge(uint32_t bucket)
{
	atomic_fetch_sub(&clients[bucket], 1);
	atomic_fetch_sub(&waiters, 1);
}
