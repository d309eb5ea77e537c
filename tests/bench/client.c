#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void client_bind(const struct run *run, int fd, unsigned index)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int yes = 1;

	if (run->addresses == 0)
		return;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + run->first_address + index % run->addresses);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror("generator: bind");
		exit(1);
	}
}

size_t client_take(struct run *run, struct client *client, uint64_t now, uint8_t *packet)
{
	struct flight *flight;
	unsigned slot;

	if (client->busy == UINT64_MAX || run->tally.asked == run->most)
		return 0;
	slot = (unsigned)__builtin_ctzll(~client->busy);
	if (slot >= run->in_flight)
		return 0;
	client->busy |= 1ULL << slot;
	flight = &client->flights[slot];
	flight->id = (uint16_t)(((flight->id / IN_FLIGHT_MAX + 1U) * IN_FLIGHT_MAX) | slot);
	flight->question = &run->questions.list[run->next];
	flight->serial = run->serial++;
	/* With a rate, time counts from when the query was due: a server that stalls is not forgiven. */
	flight->sent_ns =
		run->rate > 0 ? run->start_ns + (uint64_t)((double)run->tally.asked * 1e9 / run->rate) : now;
	if (++run->next == run->questions.count)
		run->next = 0;
	run->tally.asked++;
	return question_write(flight->question, flight->id, flight->serial, packet);
}

void client_untake(struct run *run, struct client *client, const uint8_t *packet)
{
	client->busy &= ~(1ULL << (packet[1] & (IN_FLIGHT_MAX - 1)));
	run->tally.asked--;
}

void client_answer(struct run *run, struct client *client, const uint8_t *answer, size_t length, uint64_t now)
{
	uint16_t id = length >= 2 ? (uint16_t)(answer[0] << 8 | answer[1]) : 0;
	unsigned slot = id & (IN_FLIGHT_MAX - 1);
	struct flight *flight = &client->flights[slot];

	if (!(client->busy >> slot & 1) || flight->id != id) {
		run->tally.late++;
		return;
	}
	client->busy &= ~(1ULL << slot);
	run->tally.answered++;
	tally_latency(&run->tally, now > flight->sent_ns ? now - flight->sent_ns : 0);
	if (!question_check(flight->question, flight->serial, answer, length))
		run->tally.wrong++;
}

void client_expire(struct run *run, struct client *client, uint64_t now)
{
	for (uint64_t busy = client->busy; busy; busy &= busy - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(busy);

		if (client->flights[slot].sent_ns + run->patience_ns >= now)
			continue;
		client->busy &= ~(1ULL << slot);
		run->tally.lost++;
	}
}
