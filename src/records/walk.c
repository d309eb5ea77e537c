#include "vigie/records_walk.h"

#include <string.h>

#include "table.h"

/* A wire label as text, cut to fit; what would move a cursor becomes "?". */
static void show_label(char *text, const uint8_t *label)
{
	memcpy(text, label + 1, label[0]);
	text[label[0]] = 0;
	for (size_t i = 0; text[i]; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
}

static bool is_wanted(const uint8_t *label, const char *wanted)
{
	return !wanted || (strlen(wanted) == label[0] && memcmp(label + 1, wanted, label[0]) == 0);
}

static void show(const struct entry *entry, const struct blob *blob, vigie_records_show *callback,
		 void *argument)
{
	static const char *const kinds[] = {[BLOB_CLUSTER_IP] = "ClusterIP",
					    [BLOB_HEADLESS] = "headless",
					    [BLOB_EXTERNAL] = "ExternalName"};
	struct vigie_shown_service service = {
		.kind = kinds[blob->kind], .exposed = space_exposed(entry->space), .blob = blob};
	uint32_t at = 0;
	bool cluster;

	show_label(service.name, entry->key);
	show_label(service.namespace, entry->key + 1 + entry->key[0]);
	while (service.address_count < 2 &&
	       vigie_blob_next_address(blob, &at, service.addresses[service.address_count].bytes, &cluster) &&
	       cluster)
		service.address_count++;
	if (blob->kind == BLOB_EXTERNAL && blob->target)
		vigie_name_to_text(blob_at(blob, blob->target), service.target);
	service.endpoint_count = blob->row_count;
	callback(argument, &service);
}

void vigie_records_walk(const struct vigie_records *records, const char *namespace, const char *name,
			vigie_records_show *callback, void *argument)
{
	const struct slots *services;
	const struct entry *entry;

	rcu_read_lock();
	services = __atomic_load_n(&records->services, __ATOMIC_ACQUIRE);
	for (uint32_t at = 0; (entry = slots_each(services, &at)) != NULL;) {
		const struct blob *blob = entry_blob(entry);

		if (blob && is_wanted(entry->key, name) &&
		    is_wanted(entry->key + 1 + entry->key[0], namespace))
			show(entry, blob, callback, argument);
	}
	rcu_read_unlock();
}

void vigie_shown_endpoint(const struct vigie_shown_service *service, size_t index,
			  struct vigie_shown_endpoint *endpoint)
{
	const struct blob *blob = service->blob;
	uint8_t label[1 + VIGIE_LABEL_MAX];

	blob_address(blob, blob_rows(blob)[index].address, endpoint->address.bytes);
	vigie_blob_row_label(blob, (uint32_t)index, label);
	show_label(endpoint->name, label);
}
