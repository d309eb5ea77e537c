/* `tls CERT KEY [CA] { client_auth POLICY; keylog FILE }` or `tls { acme DOMAIN… }`: the certificate that
 * tls:// keys are served with. */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "repeat.h"
#include "tls_acme.h"
#include "vigie/keep.h"
#include "vigie/log.h"
#include "vigie/tls.h"

enum {
	REFRESH_MS = 5000 /* how often the files are looked at */
};

struct tls {
	struct vigie_process *process;
	struct vigie_tls *tls;
	struct tls_acme *acme; /* NULL: the files are somebody else's */
	uv_timer_t *timer;
	char last_error[sizeof(((struct vigie_error *)NULL)->text)];
};

static enum vigie_status read_client_auth(const struct vigie_statement *option,
					  struct vigie_tls_options *options, struct vigie_error *error)
{
	static const char *const policies[] = {
		[VIGIE_TLS_NO_CERTIFICATE] = "nocert",
		[VIGIE_TLS_REQUEST] = "request",
		[VIGIE_TLS_REQUIRE] = "require",
		[VIGIE_TLS_VERIFY_IF_GIVEN] = "verify_if_given",
		[VIGIE_TLS_REQUIRE_AND_VERIFY] = "require_and_verify",
	};
	enum vigie_status status = vigie_statement_args(option, 1, 1, error);

	if (status)
		return status;
	for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		if (strcmp(option->args[0].text, policies[i]) == 0) {
			options->client = (enum vigie_tls_client)i;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(error, &option->args[0],
				"'client_auth' takes nocert, request, require, verify_if_given or "
				"require_and_verify, not '%s'",
				option->args[0].text);
}

static enum vigie_status read_options(struct vigie_block *block, const struct vigie_statement *statement,
				      struct vigie_tls_options *options, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = vigie_statement_plain(option, error);
		if (status)
			return status;
		if (strcmp(option->name.text, "client_auth") == 0) {
			status = read_client_auth(option, options, error);
		} else if (strcmp(option->name.text, "keylog") == 0) {
			status = vigie_statement_args(option, 1, 1, error);
			if (!status)
				options->keylog = vigie_block_path(block, option->args[0].text);
		} else if (tls_acme_has_option(option->name.text)) {
			return vigie_word_error(error, &option->name, "'%s' goes with 'acme DOMAIN' alone",
						option->name.text);
		} else {
			return vigie_option_unknown(statement, option, error);
		}
	}
	return status;
}

static void tls_free(void *instance)
{
	struct tls *tls = instance;

	vigie_tls_free(tls->tls);
	if (tls->acme)
		vigie_keep_release(tls->process->keep, tls->acme);
	free(tls);
}

/* The files that the statement names, or the one that ACME writes. */
static enum vigie_status read_files(struct vigie_block *block, const struct vigie_statement *statement,
				    struct tls *tls, struct vigie_tls_options *options,
				    struct vigie_error *error)
{
	enum vigie_status status;

	if (tls_acme_is_asked(statement)) {
		status = vigie_statement_args(statement, 0, 0, error);
		if (status)
			return status;
		tls->acme = tls_acme_get(block, statement, error);
		if (!tls->acme)
			return VIGIE_EINVAL;
		options->certificate = options->key = tls_acme_file(tls->acme);
		options->may_lack = true;
		return VIGIE_OK;
	}
	status = read_options(block, statement, options, error);
	if (!status)
		status = vigie_statement_args(statement, 2, 3, error);
	if (status)
		return status;
	options->certificate = vigie_block_path(block, statement->args[0].text);
	options->key = vigie_block_path(block, statement->args[1].text);
	if (statement->arg_count > 2)
		options->ca = vigie_block_path(block, statement->args[2].text);
	if (!options->certificate || !options->key)
		return vigie_error_memory(error);
	return VIGIE_OK;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	struct vigie_tls_options options = {0};
	struct vigie_error reason;
	struct tls *tls;

	if (status)
		return status;
	tls = calloc(1, sizeof(*tls));
	if (!tls)
		return vigie_error_memory(error);
	tls->process = block->process;
	status = read_files(block, statement, tls, &options, error);
	if (status)
		goto fail;
	if (options.keylog)
		vigie_log(VIGIE_LOG_WARNING, "tls",
			  "%s:%u: 'keylog' lets whoever reads '%s' decrypt connections", statement->name.file,
			  statement->name.line, options.keylog);
	tls->tls = vigie_tls_new(&options, &reason);
	if (!tls->tls) {
		status = vigie_word_error(error, &statement->name, "'tls': %s", reason.text);
		goto fail;
	}
	block->tls = tls->tls;
	*instance = tls;
	return VIGIE_OK;

fail:
	tls_free(tls);
	return status;
}

static void on_timer(uv_timer_t *timer)
{
	struct tls *tls = timer->data;
	struct vigie_error error;

	switch (vigie_tls_refresh(tls->tls, &error)) {
	case VIGIE_OK:
		tls->last_error[0] = 0;
		vigie_log(VIGIE_LOG_INFO, "tls", "The certificate has changed and was read again");
		return;
	case VIGIE_EEXIST:
		return;
	default:
		/* Said once: while files are replaced one by one they do not fit together for a moment. */
		if (strcmp(tls->last_error, error.text) == 0)
			return;
		memcpy(tls->last_error, error.text, sizeof(tls->last_error));
		vigie_log(VIGIE_LOG_ERROR, "tls", "The certificate stays as it was: %s", error.text);
	}
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct tls *tls = instance;

	if (tls->acme && tls_acme_start(tls->acme, error))
		return VIGIE_ENOMEM;
	tls->timer = repeat_start(block->process->loop, REFRESH_MS, on_timer, tls);
	return tls->timer ? VIGIE_OK : vigie_error_memory(error);
}

static void stop(void *instance)
{
	struct tls *tls = instance;

	repeat_stop(&tls->timer);
}

const struct vigie_directive vigie_directive_tls = {
	.name = "tls",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = tls_free,
};
