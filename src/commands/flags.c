#include "flags.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char flags_usage[] =
	"Usage of vigie:\n"
	"  vigie [FLAGS]        serve\n"
	"  vigie check [FLAGS]  say what the Corefile would do, or all that is wrong with it; opens nothing\n"
	"  vigie ctl -h         ask a vigie that is running\n"
	"  vigie translate -h   make a Corefile of kube-dns' ConfigMap\n"
	"\n"
	"  -conf FILE      Corefile to load (default: ./Corefile, then /etc/vigie/Corefile)\n"
	"  -dns.port PORT  port of server blocks that name none (default 53)\n"
	"  -p PORT         the same\n"
	"  -log-format F   text, or json: each line of the log is an object (default text)\n"
	"  -pidfile FILE   write the process id to a file\n"
	"  -plugins        list the directives that a Corefile may hold, and exit\n"
	"  -quiet          do not print what is served\n"
	"  -version        print the version, and exit\n"
	"  -h              print this text, and exit\n";

enum kind { KIND_TEXT, KIND_PORT, KIND_BOOL, KIND_FORMAT };

struct flag {
	const char *name;
	enum kind kind;
	size_t offset;
};

static const struct flag known[] = {
	{"conf", KIND_TEXT, offsetof(struct flags, conf)},
	{"dns.port", KIND_PORT, offsetof(struct flags, port)},
	{"log-format", KIND_FORMAT, offsetof(struct flags, log_json)},
	{"p", KIND_PORT, offsetof(struct flags, port)},
	{"pidfile", KIND_TEXT, offsetof(struct flags, pidfile)},
	{"plugins", KIND_BOOL, offsetof(struct flags, plugins)},
	{"quiet", KIND_BOOL, offsetof(struct flags, quiet)},
	{"version", KIND_BOOL, offsetof(struct flags, version)},
	{"h", KIND_BOOL, offsetof(struct flags, help)},
	{"help", KIND_BOOL, offsetof(struct flags, help)},
};

static const struct flag *find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strlen(known[i].name) == length && strncmp(known[i].name, name, length) == 0)
			return &known[i];
	}
	return NULL;
}

static enum vigie_status set_port(uint16_t *port, const char *value)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || number == 0 || number > UINT16_MAX)
		return VIGIE_EINVAL;
	*port = (uint16_t)number;
	return VIGIE_OK;
}

static bool is_one_of(const char *value, const char *const *words)
{
	while (*words && strcmp(value, *words) != 0)
		words++;
	return *words != NULL;
}

static enum vigie_status set_bool(bool *flag, const char *value)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};

	*flag = !value || is_one_of(value, yes);
	return *flag || is_one_of(value, no) ? VIGIE_OK : VIGIE_EINVAL;
}

static enum vigie_status set_format(bool *json, const char *value)
{
	*json = strcmp(value, "json") == 0;
	return *json || strcmp(value, "text") == 0 ? VIGIE_OK : VIGIE_EINVAL;
}

static enum vigie_status set(struct flags *flags, const struct flag *flag, const char *value)
{
	void *field = (char *)flags + flag->offset;

	switch (flag->kind) {
	case KIND_PORT:
		return set_port(field, value);
	case KIND_BOOL:
		return set_bool(field, value);
	case KIND_FORMAT:
		return set_format(field, value);
	case KIND_TEXT:
		*(const char **)field = value;
		return VIGIE_OK;
	}
	return VIGIE_EINVAL;
}

enum vigie_status flags_parse(struct flags *flags, int count, char *const *arguments,
			      struct vigie_error *error)
{
	*flags = (struct flags){.port = 53};
	for (int i = 1; i < count; i++) {
		const char *name = arguments[i];
		const char *value = strchr(name, '=');
		const struct flag *flag;
		size_t length;

		if (name[0] != '-' || name[1] == 0)
			return vigie_error_set(error, VIGIE_EINVAL, "unexpected argument '%s'", name);
		name += name[1] == '-' ? 2 : 1;
		length = value ? (size_t)(value - name) : strlen(name);
		flag = find(name, length);
		if (!flag)
			return vigie_error_set(error, VIGIE_EINVAL, "unknown flag '%s'", arguments[i]);
		if (value)
			value++;
		else if (flag->kind != KIND_BOOL && i + 1 < count)
			value = arguments[++i];
		if (!value && flag->kind != KIND_BOOL)
			return vigie_error_set(error, VIGIE_EINVAL, "flag '%s' needs a value", arguments[i]);
		if (set(flags, flag, value))
			return vigie_error_set(error, VIGIE_EINVAL, "flag '-%s' does not take '%s'",
					       flag->name, value);
	}
	return VIGIE_OK;
}

const char *flags_corefile(const struct flags *flags)
{
	if (flags->conf)
		return flags->conf;
	return access("Corefile", F_OK) == 0 ? "Corefile" : "/etc/vigie/Corefile";
}
