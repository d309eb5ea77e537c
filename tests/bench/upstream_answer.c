/* What the upstream answers, genuine and forged. */
#include <string.h>
#include <sys/socket.h>

#include "upstream.h"

enum {
	HEADER = 12,
	RECORD = 16, /* bytes of an A record whose owner is a pointer */
	OPT = 11,
	FORGED_BATCH = 64
};

static uint64_t random_bits(void)
{
	static uint64_t state = 88172645463325252;

	/* xorshift64: a forger's guesses need no better source. */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint8_t fold(uint8_t byte)
{
	return (uint8_t)(byte - 'A') < 26 ? byte | 0x20 : byte;
}

bool forbid(struct upstream *upstream, const char *name)
{
	uint8_t *wire = upstream->forbidden[upstream->forbidden_count];
	size_t at = 0;

	if (upstream->forbidden_count == FORBIDDEN_MOST || strlen(name) > 200)
		return false;
	while (*name) {
		size_t label = strcspn(name, ".");

		wire[at++] = (uint8_t)label;
		for (size_t i = 0; i < label; i++)
			wire[at++] = fold((uint8_t)name[i]);
		name += label + (name[label] == '.');
	}
	wire[at++] = 0;
	upstream->forbidden_length[upstream->forbidden_count++] = at;
	return true;
}

/* The bytes of the name behind the header; 0 when there is none. */
static size_t name_length(const uint8_t *query, size_t length)
{
	size_t at = HEADER;

	while (at < length && query[at] > 0 && query[at] < 64)
		at += 1U + query[at];
	return at + 5 <= length && query[at] == 0 ? at + 1 - HEADER : 0;
}

static bool is_forbidden(const struct upstream *upstream, const uint8_t *name, size_t length)
{
	uint8_t folded[256];

	for (size_t i = 0; i < length; i++)
		folded[i] = fold(name[i]);
	for (size_t at = 0; folded[at] > 0; at += 1U + folded[at]) {
		for (unsigned i = 0; i < upstream->forbidden_count; i++) {
			if (length - at == upstream->forbidden_length[i] &&
			    memcmp(folded + at, upstream->forbidden[i], length - at) == 0)
				return true;
		}
	}
	return false;
}

static uint8_t *put_record(uint8_t *at, uint32_t ttl, uint8_t last)
{
	const uint8_t record[RECORD] = {0xc0,
					HEADER,
					0,
					1,
					0,
					1,
					(uint8_t)(ttl >> 24),
					(uint8_t)(ttl >> 16),
					(uint8_t)(ttl >> 8),
					(uint8_t)ttl,
					0,
					4,
					203,
					0,
					113,
					last};

	memcpy(at, record, RECORD);
	return at + RECORD;
}

/* Writes an answer with so many records and returns its length. */
static uint16_t write_answer(const struct upstream *upstream, const uint8_t *query, size_t name,
			     unsigned records, bool cut, uint8_t *bytes)
{
	static const uint8_t opt[OPT] = {0, 0, 41, 4, 208};
	size_t question = HEADER + name + 4;
	bool edns = query[11] == 1; /* a forwarder's query has no other additional record */
	uint8_t *at = bytes + question;

	memcpy(bytes, query, question);
	bytes[2] = (uint8_t)(0x80 | (query[2] & 1) | (cut ? 2 : 0));
	bytes[3] = 0x80;
	bytes[7] = (uint8_t)(cut ? 0 : records);
	for (unsigned i = 0; i < bytes[7]; i++)
		at = put_record(at, upstream->ttl, records > 1 ? 66 : 1);
	if (edns) {
		memcpy(at, opt, OPT);
		at += OPT;
	}
	return (uint16_t)(at - bytes);
}

static void mix_letters(uint8_t *name, size_t length)
{
	uint64_t coins = random_bits();

	for (size_t i = 0; i < length; i++, coins >>= 1) {
		if (i % 64 == 63)
			coins = random_bits();
		if ((uint8_t)((name[i] | 0x20) - 'a') < 26 && coins & 1)
			name[i] ^= 0x20;
	}
}

static void forge(struct upstream *upstream, const uint8_t *query, size_t name,
		  const struct sockaddr_in *client, unsigned count, bool there)
{
	static uint8_t bytes[FORGED_BATCH][ANSWER_MOST];
	static struct sockaddr_in to[FORGED_BATCH];
	struct iovec vectors[FORGED_BATCH];
	struct mmsghdr messages[FORGED_BATCH];

	for (unsigned done = 0; done < count; done += FORGED_BATCH) {
		unsigned batch = count - done < FORGED_BATCH ? count - done : FORGED_BATCH;

		for (unsigned i = 0; i < batch; i++) {
			uint64_t bits = random_bits();

			vectors[i] = (struct iovec){bytes[i],
						    write_answer(upstream, query, name, 2, false, bytes[i])};
			bytes[i][0] = (uint8_t)bits;
			bytes[i][1] = (uint8_t)(bits >> 8);
			mix_letters(bytes[i] + HEADER, name);
			to[i] = *client;
			if (!there)
				to[i].sin_port = htons((uint16_t)(1024 + (bits >> 16) % (65536 - 1024)));
			messages[i].msg_hdr = (struct msghdr){.msg_name = &to[i],
							      .msg_namelen = sizeof(to[i]),
							      .msg_iov = &vectors[i],
							      .msg_iovlen = 1};
		}
		for (unsigned sent = 0; sent < batch;) {
			int took = sendmmsg(upstream->udp, messages + sent, batch - sent, 0);

			if (took <= 0)
				break;
			sent += (unsigned)took;
			upstream->counts.forged += (unsigned)took;
		}
	}
}

void answer_query(struct upstream *upstream, const uint8_t *query, size_t length,
		  const struct sockaddr_in *client, int connection)
{
	size_t name = length >= HEADER ? name_length(query, length) : 0;
	struct answer *answer = &upstream->ring[upstream->last % RING];
	const uint8_t *type = query + HEADER + name;
	bool address = name > 1 && type[0] == 0 && type[1] == 1;

	/* A forged answer may come back to this port: it is no query. */
	if (name == 0 || name > 255 || query[2] & 0x80)
		return;
	upstream->counts.probes += name == 1;
	upstream->counts.forbidden += is_forbidden(upstream, query + HEADER, name);
	if (upstream->silent || upstream->last - upstream->first == RING)
		return;
	if (connection < 0 && address) {
		forge(upstream, query, name, client, upstream->forged_there, true);
		forge(upstream, query, name, client, upstream->forged_elsewhere, false);
	}
	answer->due_ns = upstream_now_ns() + upstream->delay_ns;
	answer->connection = connection;
	if (connection < 0)
		answer->client = *client;
	else
		answer->serial = upstream->connections[connection].serial;
	answer->length = write_answer(upstream, query, name, address, connection < 0 && upstream->truncates,
				      answer->bytes);
	upstream->last++;
}
