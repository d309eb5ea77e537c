#include "flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 16 };

/* Parses words that single spaces part; the words live until the next call. */
static enum vigie_status parse(struct flags *flags, struct vigie_error *error, const char *line)
{
	static char program[] = "vigie";
	static char text[200];
	char *arguments[ARGUMENTS_MAX] = {program};
	int count = 1;

	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		arguments[count++] = word;
	return flags_parse(flags, count, arguments, error);
}

static void good(struct flags *flags, const char *line)
{
	struct vigie_error error = {""};

	if (parse(flags, &error, line))
		fail_msg("%s: %s", line, error.text);
}

static void bad(const char *line, const char *text)
{
	struct vigie_error error;
	struct flags flags;

	assert_int_equal(parse(&flags, &error, line), VIGIE_EINVAL);
	assert_string_equal(error.text, text);
}

static void test_defaults(void **state)
{
	struct flags flags;

	memset(&flags, 0xff, sizeof(flags));
	good(&flags, "");
	assert_null(flags.conf);
	assert_null(flags.pidfile);
	assert_int_equal(flags.port, 53);
	assert_false(flags.log_json || flags.quiet || flags.version || flags.plugins || flags.help);
}

static void test_log_format(void **state)
{
	struct flags flags;

	good(&flags, "-log-format json");
	assert_true(flags.log_json);
	good(&flags, "--log-format=text");
	assert_false(flags.log_json);
	bad("-log-format xml", "flag '-log-format' does not take 'xml'");
}

static void test_forms(void **state)
{
	static const char *const lines[] = {
		"-conf a=b -dns.port 1053",   "-conf=a=b -dns.port=1053",
		"--conf a=b --dns.port 1053", "--conf=a=b --p=1053",
		"-p 1053 -conf a=b",          "-p 1 -conf x -conf a=b -dns.port 1053"};
	struct flags flags;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		good(&flags, lines[i]);
		assert_string_equal(flags.conf, "a=b");
		assert_int_equal(flags.port, 1053);
	}
	good(&flags, "-pidfile -x"); /* the next word is the value, whatever it looks like */
	assert_string_equal(flags.pidfile, "-x");
	good(&flags, "-conf=");
	assert_string_equal(flags.conf, "");
}

static void test_booleans(void **state)
{
	struct flags flags;

	good(&flags, "-quiet -version --plugins -h");
	assert_true(flags.quiet && flags.version && flags.plugins && flags.help);
	good(&flags, "-help -quiet=true");
	assert_true(flags.help && flags.quiet);
	good(&flags, "-quiet=false -version=1 -plugins=0");
	assert_true(!flags.quiet && flags.version && !flags.plugins);
	good(&flags, "-quiet -quiet=F -version=T -h=t -plugins=TRUE");
	assert_true(!flags.quiet && flags.version && flags.help && flags.plugins);
	good(&flags, "-quiet=True -version=False -plugins=FALSE -h=f");
	assert_true(flags.quiet && !flags.version && !flags.plugins && !flags.help);
}

static void test_ports(void **state)
{
	struct flags flags;

	good(&flags, "-p 1");
	assert_int_equal(flags.port, 1);
	good(&flags, "-p 65535");
	assert_int_equal(flags.port, 65535);
	bad("-p 0", "flag '-p' does not take '0'");
	bad("-p 65536", "flag '-p' does not take '65536'");
	bad("-dns.port -1", "flag '-dns.port' does not take '-1'");
	bad("-dns.port=+53", "flag '-dns.port' does not take '+53'");
	bad("-dns.port=53x", "flag '-dns.port' does not take '53x'");
	bad("-dns.port=", "flag '-dns.port' does not take ''");
	bad("-dns.port 99999999999999999999", "flag '-dns.port' does not take '99999999999999999999'");
}

static void test_mistakes(void **state)
{
	bad("-unknown", "unknown flag '-unknown'");
	bad("-unknown=5", "unknown flag '-unknown=5'");
	bad("-con x", "unknown flag '-con'");
	bad("-confx x", "unknown flag '-confx'");
	bad("---conf x", "unknown flag '---conf'");
	bad("-=x", "unknown flag '-=x'");
	bad("--", "unknown flag '--'");
	bad("-", "unexpected argument '-'");
	bad("conf", "unexpected argument 'conf'");
	bad("-quiet true", "unexpected argument 'true'");
	bad("-conf", "flag '-conf' needs a value");
	bad("-quiet --p", "flag '--p' needs a value");
	bad("-quiet=maybe", "flag '-quiet' does not take 'maybe'");
	bad("-quiet=", "flag '-quiet' does not take ''");
}

/* The usage names every flag. */
static void test_usage(void **state)
{
	static const char *const names[] = {"-conf ",    "-dns.port ", "-p ",       "-pidfile ",
					    "-plugins ", "-quiet ",    "-version ", "-h "};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_non_null(strstr(flags_usage, names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_forms),
		cmocka_unit_test(test_log_format), cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_ports),      cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
