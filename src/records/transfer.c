/* All records of a cluster zone, for transfers: the set that CoreDNS gives, from one state of the table. */
#include <stdlib.h>

#include "lookup.h"
#include "vigie/record.h"

enum {
	ANSWER_SIZE = 1 << 20,     /* bytes for the records of one name; doubled when they are more */
	ANSWER_SIZE_MAX = 64 << 20 /* 65,535 SRV records need less */
};

/* A service as it is at the moment of the transfer: the blob stays for as long as the thread is online. */
struct pinned {
	const struct entry *entry;
	const struct blob *blob;
};

struct transfer {
	const struct vigie_view *view;
	const struct vigie_name *zone;
	vigie_records_visit *visit;
	void *argument;
	uint32_t serial;
	struct pinned *services;
	size_t count;
	uint8_t *buffer;
	size_t size;
};

/* Takes hold of all blobs between two publications. */
static enum vigie_status pin(struct transfer *transfer)
{
	struct vigie_records *records = (struct vigie_records *)(uintptr_t)transfer->view->records;
	const struct slots *services;
	struct entry *entry;
	size_t capacity = 0;
	enum vigie_status status = VIGIE_OK;

	/* The writer may wait for a grace period while it publishes: no online thread may wait for it. */
	rcu_thread_offline();
	pthread_mutex_lock(&records->publishing);
	__atomic_fetch_add(&records->transfers, 1, __ATOMIC_ACQ_REL);
	rcu_thread_online();
	transfer->serial = __atomic_load_n(&records->serial, __ATOMIC_RELAXED);
	services = __atomic_load_n(&records->services, __ATOMIC_ACQUIRE);
	for (uint32_t at = 0; (entry = slots_each(services, &at)) != NULL;) {
		const struct blob *blob = entry_blob(entry);

		if (!blob || !space_exposed(entry->space))
			continue;
		if (transfer->count == capacity) {
			size_t more = capacity ? 2 * capacity : 256;
			struct pinned *pinned = reallocarray(transfer->services, more, sizeof(*pinned));

			if (!pinned) {
				status = VIGIE_ENOMEM;
				break;
			}
			transfer->services = pinned;
			capacity = more;
		}
		transfer->services[transfer->count++] = (struct pinned){.entry = entry, .blob = blob};
	}
	pthread_mutex_unlock(&records->publishing);
	return status;
}

/* Nothing of the table is looked at any more. */
static void let_go(struct transfer *transfer)
{
	struct vigie_records *records = (struct vigie_records *)(uintptr_t)transfer->view->records;

	free(transfer->services);
	rcu_quiescent_state();
	__atomic_fetch_sub(&records->transfers, 1, __ATOMIC_ACQ_REL);
}

/* Hands an answer's records on, those of the additional section only where they are wanted. */
static enum vigie_status visit_answer(const struct transfer *transfer, size_t length, bool additional)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	enum vigie_status status = VIGIE_OK;

	vigie_record_walk_message(&walk, transfer->buffer, length);
	while (!status && vigie_record_next(&walk, &record)) {
		uint8_t scratch[VIGIE_RDATA_SCRATCH];
		struct vigie_name owner;
		const uint8_t *rdata;
		size_t rdlength;

		if (record.section != VIGIE_ANSWER && !(additional && record.section == VIGIE_ADDITIONAL))
			continue;
		rdlength = vigie_record_rdata(&walk, &record, scratch, &rdata);
		if (rdlength > UINT16_MAX || !vigie_record_name(&walk, record.owner, &owner))
			return VIGIE_EINVAL;
		/* The serial is the one of the moment at which the services were taken hold of. */
		if (record.type == VIGIE_TYPE_SOA && rdlength >= 20)
			write_u32(scratch + rdlength - 20, transfer->serial);
		status = transfer->visit(transfer->argument, owner.bytes, record.type, record.ttl, rdata,
					 rdlength);
	}
	return status;
}

/* A question of the transfer to itself. */
struct question {
	struct vigie_query query;
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4];
};

static bool ask(struct question *question, const uint8_t *name, uint16_t type)
{
	size_t length = vigie_query_write(question->packet, sizeof(question->packet), 0, 0, name, type,
					  VIGIE_CLASS_IN, false, false);

	return vigie_query_parse(&question->query, question->packet, length) == VIGIE_GATE_OK;
}

/* The zone's own records, as any client gets them. */
static enum vigie_status transfer_apex(const struct transfer *transfer, const uint8_t *name, uint16_t type)
{
	struct question question;
	struct vigie_answer answer;
	struct vigie_name target;

	if (!ask(&question, name, type))
		return VIGIE_OK;
	vigie_answer_begin(&answer, &question.query, transfer->buffer, VIGIE_MESSAGE_MAX);
	vigie_records_answer(transfer->view, &question.query, 0, &answer, &target);
	return visit_answer(transfer, vigie_answer_end(&answer), true);
}

/* The records of one type at a name of one service; `service` labels stand left of the service's own. */
static enum vigie_status transfer_name(struct transfer *transfer, const struct pinned *pinned,
				       const uint8_t *name, unsigned service, uint16_t type)
{
	struct question question;
	struct vigie_answer answer;

	if (!ask(&question, name, type))
		return VIGIE_OK;
	for (;;) {
		struct lookup lookup = {
			.view = transfer->view,
			.name = &question.query.name,
			.zone = transfer->zone,
			.labels = (unsigned)question.query.name.labels - transfer->zone->labels,
			.type = type,
			.owner = VIGIE_OWNER_QUESTION,
			.answer = &answer,
		};
		uint8_t *larger;

		vigie_answer_begin(&answer, &question.query, transfer->buffer, transfer->size);
		vigie_answer_blob(&lookup, pinned->entry, pinned->blob, service);
		if (!(answer.flags & VIGIE_FLAG_TC) || transfer->size >= ANSWER_SIZE_MAX)
			return visit_answer(transfer, vigie_answer_end(&answer), false);
		larger = realloc(transfer->buffer, 2 * transfer->size);
		if (!larger)
			return VIGIE_ENOMEM;
		transfer->buffer = larger;
		transfer->size *= 2;
	}
}

static enum vigie_status transfer_addresses(struct transfer *transfer, const struct pinned *pinned,
					    const uint8_t *name, unsigned service)
{
	enum vigie_status status = transfer_name(transfer, pinned, name, service, VIGIE_TYPE_A);

	return status ? status : transfer_name(transfer, pinned, name, service, VIGIE_TYPE_AAAA);
}

static bool same_port(const uint8_t *a, const uint8_t *b)
{
	return a[PORT_PROTOCOL] == b[PORT_PROTOCOL] && a[PORT_NAME] == b[PORT_NAME] &&
	       memcmp(a + PORT_NAME + 1, b + PORT_NAME + 1, a[PORT_NAME]) == 0;
}

/* Whether an earlier set, or this one before `port`, has a port of the same name. */
static bool port_is_known(const struct blob *blob, const struct port_set *sets, uint32_t set,
			  const uint8_t *port)
{
	for (uint32_t s = 0; s <= set; s++) {
		const uint8_t *other = blob_at(blob, sets[s].at);

		for (uint32_t i = 0; i < sets[s].count && other != port; i++, other += port_size(other)) {
			if (same_port(other, port))
				return true;
		}
	}
	return false;
}

/* _PORT._PROTOCOL.SERVICE…, for each port with a name. */
static enum vigie_status transfer_ports(struct transfer *transfer, const struct pinned *pinned,
					const uint8_t *service, size_t length)
{
	static const char *const protocols[] = {
		[PROTOCOL_TCP] = "\4_tcp", [PROTOCOL_UDP] = "\4_udp", [PROTOCOL_SCTP] = "\5_sctp"};
	const struct blob *blob = pinned->blob;
	bool cluster = blob->kind == BLOB_CLUSTER_IP;
	const struct port_set *sets = cluster ? &blob->ports : blob_sets(blob);
	uint32_t set_count = cluster ? 1 : blob->set_count;

	for (uint32_t set = 0; set < set_count; set++) {
		const uint8_t *port = blob_at(blob, sets[set].at);

		for (uint32_t i = 0; i < sets[set].count; i++, port += port_size(port)) {
			uint8_t name[VIGIE_NAME_MAX];
			size_t label = port[PORT_NAME];
			const char *protocol;
			size_t protocol_length;
			enum vigie_status status;

			if (label == 0 || label >= VIGIE_LABEL_MAX || port[PORT_PROTOCOL] == PROTOCOL_NONE ||
			    port_is_known(blob, sets, set, port))
				continue;
			protocol = protocols[port[PORT_PROTOCOL]];
			protocol_length = strlen(protocol);
			if (2 + label + protocol_length + length > sizeof(name))
				continue;
			name[0] = (uint8_t)(label + 1);
			name[1] = '_';
			memcpy(name + 2, port + PORT_NAME + 1, label);
			memcpy(name + 2 + label, protocol, protocol_length);
			memcpy(name + 2 + label + protocol_length, service, length);
			status = transfer_name(transfer, pinned, name, 2, VIGIE_TYPE_SRV);
			if (status)
				return status;
		}
	}
	return VIGIE_OK;
}

static enum vigie_status transfer_endpoints(struct transfer *transfer, const struct pinned *pinned)
{
	const struct blob *blob = pinned->blob;

	for (uint32_t row = 0; row < blob->row_count; row = vigie_blob_name_end(blob, row)) {
		uint8_t label[1 + VIGIE_LABEL_MAX];
		uint8_t name[VIGIE_NAME_MAX];
		enum vigie_status status;

		vigie_blob_row_label(blob, row, label);
		if (vigie_lookup_spell(name, label, pinned->entry, transfer->zone) == 0)
			continue;
		status = transfer_addresses(transfer, pinned, name, 1);
		if (status)
			return status;
	}
	return VIGIE_OK;
}

static enum vigie_status transfer_service(struct transfer *transfer, const struct pinned *pinned)
{
	uint8_t name[VIGIE_NAME_MAX];
	size_t length = vigie_lookup_spell(name, NULL, pinned->entry, transfer->zone);
	enum vigie_status status;

	if (length == 0)
		return VIGIE_OK;
	if (pinned->blob->kind == BLOB_EXTERNAL)
		return transfer_name(transfer, pinned, name, 0, VIGIE_TYPE_CNAME);
	status = transfer_addresses(transfer, pinned, name, 0);
	if (!status && pinned->blob->kind == BLOB_CLUSTER_IP)
		status = transfer_name(transfer, pinned, name, 0, VIGIE_TYPE_SRV);
	if (!status)
		status = transfer_ports(transfer, pinned, name, length);
	if (!status && pinned->blob->kind == BLOB_HEADLESS && transfer->view->endpoints)
		status = transfer_endpoints(transfer, pinned);
	return status;
}

enum vigie_status vigie_records_transfer(const struct vigie_view *view, const struct vigie_name *zone,
					 vigie_records_visit *visit, void *argument)
{
	struct transfer transfer = {
		.view = view,
		.zone = zone,
		.visit = visit,
		.argument = argument,
		.buffer = malloc(ANSWER_SIZE),
		.size = ANSWER_SIZE,
	};
	static const uint8_t version[] = "\13dns-version";
	uint8_t name[sizeof(version) + VIGIE_NAME_MAX];
	enum vigie_status status;

	if (!transfer.buffer)
		return VIGIE_ENOMEM;
	status = pin(&transfer);
	if (!status)
		status = transfer_apex(&transfer, zone->bytes, VIGIE_TYPE_SOA);
	if (!status)
		status = transfer_apex(&transfer, zone->bytes, VIGIE_TYPE_NS);
	memcpy(name, version, sizeof(version) - 1);
	memcpy(name + sizeof(version) - 1, zone->bytes, zone->length);
	if (!status && sizeof(version) - 1 + zone->length <= VIGIE_NAME_MAX)
		status = transfer_apex(&transfer, name, VIGIE_TYPE_TXT);
	for (size_t i = 0; i < transfer.count && !status; i++)
		status = transfer_service(&transfer, &transfer.services[i]);
	let_go(&transfer);
	free(transfer.buffer);
	return status;
}
