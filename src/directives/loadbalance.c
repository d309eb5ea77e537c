/* `loadbalance [round_robin | weighted FILE] { reload DURATION; prefer NETWORK… }`: in which order an
 * answer's addresses stand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "directives.h"
#include "network.h"
#include "repeat.h"
#include "vigie/buffer.h"
#include "vigie/file_stamp.h"
#include "vigie/log.h"
#include "vigie/random.h"
#include "weights.h"

enum {
	RELOAD_MS = 30000,  /* how often the weight file is looked at */
	FILE_MAX = 16 << 20 /* bytes of a weight file */
};

/* NULL, without options: rotation needs none of this. */
struct loadbalance {
	const struct network *prefer; /* in the block's arena */
	size_t prefer_count;
	const char *path;              /* of the weight file; NULL: rotate */
	struct weights *weights;       /* RCU: replaced whole by the main thread */
	uint64_t reload_ms;            /* 0: never */
	struct vigie_file_stamp stamp; /* the file's, when it was read last */
	uv_timer_t *timer;
};

static struct weights *read_weights(const struct loadbalance *loadbalance, struct vigie_error *error)
{
	struct weights *weights = NULL;
	struct vigie_buffer text;
	enum vigie_status status;

	vigie_buffer_init(&text, FILE_MAX);
	status = vigie_buffer_read_file(&text, loadbalance->path);
	if (status)
		vigie_error_set(error, status, "cannot read %s: %s", loadbalance->path,
				status == VIGIE_EIO ? strerror(errno) : vigie_status_text(status));
	else
		weights = weights_new(loadbalance->path, (const char *)text.data, text.length, error);
	vigie_buffer_fini(&text);
	return weights;
}

/* Reads the file again when it has changed; a bad one leaves the weights as they are. */
static void on_timer(uv_timer_t *timer)
{
	struct loadbalance *loadbalance = timer->data;
	struct weights *old = loadbalance->weights;
	struct vigie_error error;
	struct weights *weights;
	struct vigie_file_stamp stamp = vigie_file_stamp(loadbalance->path);

	if (!stamp.exists || vigie_file_stamp_same(&stamp, &loadbalance->stamp))
		return;
	loadbalance->stamp = stamp;
	weights = read_weights(loadbalance, &error);
	if (!weights) {
		vigie_log(VIGIE_LOG_ERROR, "loadbalance", "%s: the old weights stay", error.text);
		return;
	}
	__atomic_store_n(&loadbalance->weights, weights, __ATOMIC_RELEASE);
	synchronize_rcu(); /* workers are online for a batch at most */
	weights_free(old);
	vigie_log(VIGIE_LOG_INFO, "loadbalance", "Successfully reloaded weight file %s", loadbalance->path);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct loadbalance *loadbalance = instance;

	if (!loadbalance || !loadbalance->path || loadbalance->reload_ms == 0)
		return VIGIE_OK;
	loadbalance->timer =
		repeat_start(block->process->loop, loadbalance->reload_ms, on_timer, loadbalance);
	return loadbalance->timer ? VIGIE_OK : vigie_error_memory(error);
}

static void stop(void *instance)
{
	struct loadbalance *loadbalance = instance;

	if (loadbalance)
		repeat_stop(&loadbalance->timer);
}

static void loadbalance_free(void *instance)
{
	struct loadbalance *loadbalance = instance;

	if (loadbalance)
		weights_free(loadbalance->weights);
	free(loadbalance);
}

static enum vigie_status read_prefer(struct loadbalance *loadbalance, struct vigie_arena *arena,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, error);
	struct network *networks = vigie_arena_alloc(
		arena, (loadbalance->prefer_count + option->arg_count + 1) * sizeof(*networks));

	if (status)
		return status;
	if (!networks)
		return vigie_error_memory(error);
	if (loadbalance->prefer_count > 0)
		memcpy(networks, loadbalance->prefer, loadbalance->prefer_count * sizeof(*networks));
	for (size_t i = 0; i < option->arg_count; i++) {
		if (network_from_text(&networks[loadbalance->prefer_count++], option->args[i].text))
			return vigie_word_error(error, &option->args[i],
						"'%s' is no network, such as 10.0.0.0/8",
						option->args[i].text);
	}
	loadbalance->prefer = networks;
	return VIGIE_OK;
}

static enum vigie_status read_policy(struct loadbalance *loadbalance, const struct vigie_statement *statement,
				     struct vigie_error *error)
{
	const struct vigie_word *policy = statement->args;
	enum vigie_status status;

	if (statement->arg_count == 0 || strcmp(policy->text, "round_robin") == 0)
		return vigie_statement_args(statement, 0, 1, error);
	if (strcmp(policy->text, "weighted") != 0)
		return vigie_word_error(error, policy, "unknown policy '%s' of 'loadbalance'", policy->text);
	status = vigie_statement_args(statement, 2, 2, error);
	if (!status)
		loadbalance->path = statement->args[1].text;
	return status;
}

static enum vigie_status read_options(struct loadbalance *loadbalance, struct vigie_arena *arena,
				      const struct vigie_statement *statement, struct vigie_error *error)
{
	enum vigie_status status = read_policy(loadbalance, statement, error);

	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "prefer") == 0) {
			status = read_prefer(loadbalance, arena, option, error);
		} else if (strcmp(option->name.text, "reload") != 0) {
			status = vigie_option_unknown(statement, option, error);
		} else if (!loadbalance->path) {
			status =
				vigie_word_error(error, &option->name, "'reload' goes with 'weighted' alone");
		} else {
			status = vigie_statement_args(option, 1, 1, error);
			if (!status)
				status = vigie_duration_from_word(&option->args[0], &loadbalance->reload_ms,
								  error);
		}
	}
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct loadbalance *loadbalance = calloc(1, sizeof(*loadbalance));
	enum vigie_status status = vigie_statement_once(statements, count, error);
	struct vigie_error reason;

	if (!loadbalance)
		return vigie_error_memory(error);
	loadbalance->reload_ms = RELOAD_MS;
	if (!status)
		status = read_options(loadbalance, block->arena, statement, error);
	if (!status && loadbalance->path) {
		loadbalance->stamp = vigie_file_stamp(loadbalance->path);
		loadbalance->weights = read_weights(loadbalance, &reason);
		if (!loadbalance->weights)
			status = vigie_word_error(error, &statement->args[1], "'%s': %s",
						  statement->args[1].text, reason.text);
	}
	if (status || (!loadbalance->path && loadbalance->prefer_count == 0)) {
		loadbalance_free(loadbalance);
		return status;
	}
	*instance = loadbalance;
	return VIGIE_OK;
}

/* The address of record `i`; false when it has none. */
static bool address_of(const struct vigie_run *run, size_t i, uint8_t address[16])
{
	const uint8_t *rdata = run->records + (i + 1) * run->size - run->rdlength;

	if (run->type == VIGIE_TYPE_AAAA && run->rdlength == 16) {
		memcpy(address, rdata, 16);
		return true;
	}
	if (run->type != VIGIE_TYPE_A || run->rdlength != 4)
		return false;
	memset(address, 0, 10);
	memset(address + 10, 0xff, 2);
	memcpy(address + 12, rdata, 4);
	return true;
}

/* Addresses of the preferred networks first, network by network; the order within each stays. */
static void prefer(void *argument, const struct vigie_answer *answer, const struct vigie_run *run)
{
	static _Thread_local uint8_t copy[VIGIE_MESSAGE_MAX];
	static _Thread_local bool taken[VIGIE_MESSAGE_MAX / (2 + 10 + 4)]; /* records of the smallest size */
	const struct loadbalance *loadbalance = argument;
	uint8_t *out = copy;

	memset(taken, 0, run->count);
	for (size_t n = 0; n <= loadbalance->prefer_count; n++) {
		for (size_t i = 0; i < run->count; i++) {
			uint8_t address[16];

			if (taken[i])
				continue;
			if (n < loadbalance->prefer_count &&
			    !(address_of(run, i, address) &&
			      network_contains(&loadbalance->prefer[n], address)))
				continue; /* the last round takes what is left */
			taken[i] = true;
			memcpy(out, run->records + i * run->size, run->size);
			out += run->size;
		}
	}
	memcpy(run->records, copy, run->count * run->size);
}

/* Draws one address, each with the chance of its weight, and lets it change places with the first. */
static void weigh(void *argument, const struct vigie_answer *answer, const struct vigie_run *run)
{
	const struct weights *weights = argument;
	struct vigie_name owner;
	uint8_t address[16];
	uint32_t sum = 0;
	uint32_t drawn;
	size_t top = 0;

	if (vigie_answer_name(answer, run->owner, &owner) || !address_of(run, 0, address))
		return;
	for (size_t i = 0; i < run->count && address_of(run, i, address); i++)
		sum += weights_get(weights, &owner, address);
	drawn = vigie_random_below(sum);
	for (uint32_t passed = 0; address_of(run, top, address); top++) {
		passed += weights_get(weights, &owner, address);
		if (drawn < passed)
			break;
	}
	for (size_t i = 0; top > 0 && i < run->size; i++) {
		uint8_t byte = run->records[i];

		run->records[i] = run->records[top * run->size + i];
		run->records[top * run->size + i] = byte;
	}
}

/* The golden ratio's multiples in 32 bits: successive requests get starts that are far apart. Never 0. */
static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct loadbalance *loadbalance = instance;

	if (!loadbalance || !loadbalance->path)
		request->rotation = (++request->worker->rotation * 2654435769U) | 1;
	return VIGIE_NEXT;
}

static __attribute__((noinline)) void arrange(struct loadbalance *loadbalance, struct vigie_request *request)
{
	if (loadbalance && loadbalance->path)
		vigie_answer_arrange(request->answer, weigh,
				     __atomic_load_n(&loadbalance->weights, __ATOMIC_ACQUIRE));
	else if (!request->answer->rotated)
		vigie_answer_rotate(request->answer, request->rotation >> 1);
	if (loadbalance && loadbalance->prefer_count > 0)
		vigie_answer_arrange(request->answer, prefer, loadbalance);
}

static void answered(void *instance, struct vigie_request *request)
{
	if (request->answer->count[VIGIE_ANSWER] < 2)
		return; /* it has no order */
	if (instance || !request->answer->rotated)
		arrange(instance, request);
}

const struct vigie_directive vigie_directive_loadbalance = {
	.name = "loadbalance",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = loadbalance_free,
	.serve = serve,
	.answered = answered,
};
