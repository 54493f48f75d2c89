/*
 * weirctl: send one request to a running weir and print the answer, for people
 * as text, for scripts as JSON.
 *
 * The request goes to weir as it was typed; whether it is one, only weir
 * knows. The exit status is 0, 1 when the answer was an error or there was no
 * answer, 2 for a mistake in the command line; that of "weirctl health" is 0,
 * 1 or 2 for up, drain or down, and what does not answer is down.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/version.h>

#include "control/requests.h"
#include "weirctl/exchange.h"
#include "weirctl/render.h"
#include "weirctl/table.h"

#define EXIT_ANSWER	   1
#define EXIT_USAGE	   2

#define DEFAULT_TIMEOUT_MS 10000
#define TIMEOUT_MAX_S	   86400

struct options {
	const char *socket;
	uint64_t timeout_ms; /* 0: for ever */
	bool json;
	bool health; /* the request is "health", which has its own statuses */
	char request[CONTROL_REQUEST_MAX + 2]; /* with its line's end */
};

/* The requests are weir's own table, so that this cannot go out of date. */
static int
print_requests(FILE *out)
{
	struct table table;
	char text[128];
	int r;

	table_init(&table, 2, false);
#define REQUEST_ROW(id, name, arguments, fewest, most, changes, help)          \
	(void)snprintf(text, sizeof(text), "  %s %s", name, arguments);        \
	table_add(&table, text, TABLE_TEXT);                                   \
	table_add(&table, help, TABLE_TEXT);
	CONTROL_REQUESTS(REQUEST_ROW)
#undef REQUEST_ROW
	r = table_print(&table, out);
	table_finish(&table);
	return r;
}

static int
print_help(void)
{
	(void)printf("usage: weirctl [-j] [-s SOCKET] [-t SECONDS] REQUEST...\n"
		     "\n"
		     "  -s, --socket SOCKET    weir's control socket "
		     "(" CONTROL_DEFAULT_PATH ")\n"
		     "  -j, --json             print the answer's data as "
		     "JSON\n"
		     "  -t, --timeout SECONDS  wait so long for the answer "
		     "(10); 0: for ever\n"
		     "  -h, --help             print this\n"
		     "  -V, --version          print the version\n"
		     "\n"
		     "requests:\n");
	if (print_requests(stdout) != 0 || fflush(stdout) != 0)
		return EXIT_ANSWER;
	return EXIT_SUCCESS;
}

static bool
parse_timeout(const char *text, uint64_t *ms)
{
	char *end;
	double s;

	errno = 0;
	s = strtod(text, &end);
	/* Written so that a NaN is refused as well. */
	if (end == text || *end != '\0' || errno != 0 ||
	    !(s >= 0 && s <= TIMEOUT_MAX_S))
		return false;
	/* The shortest is 1 ms, as 0 is for ever. */
	*ms = (uint64_t)ceil(s * 1000);
	return true;
}

/* Append a word of the request. */
static bool
add_word(struct options *o, size_t *length, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	if (n == 0) {
		(void)fprintf(
		    stderr, "weirctl: a word of the request is empty\n");
		return false;
	}
	for (p = word; *p != '\0'; p++) {
		if ((unsigned char)*p > 0x20 && *p != 0x7f)
			continue;
		(void)fprintf(stderr,
		    "weirctl: a word of the request has a blank or a control "
		    "character (0x%02x) in it\n",
		    (unsigned char)*p);
		return false;
	}
	if (*length + n + 1 > CONTROL_REQUEST_MAX) {
		(void)fprintf(stderr,
		    "weirctl: the request is longer than %d bytes\n",
		    CONTROL_REQUEST_MAX);
		return false;
	}
	if (*length > 0)
		o->request[(*length)++] = ' ';
	memcpy(o->request + *length, word, n);
	*length += n;
	return true;
}

static bool
make_request(struct options *o, char *const *words)
{
	size_t length = 0;

	if (*words == NULL) {
		(void)fprintf(stderr,
		    "weirctl: a REQUEST is missing; weirctl -h lists them\n");
		return false;
	}
	o->health = strcmp(*words, "health") == 0;
	for (; *words != NULL; words++)
		if (!add_word(o, &length, *words))
			return false;
	memcpy(o->request + length, "\n", 2);
	return true;
}

/* Read the command line. Returns -1 to go on, or the exit status. */
static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"socket", required_argument, NULL, 's'},
	    {"json", no_argument, NULL, 'j'},
	    {"timeout", required_argument, NULL, 't'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:jt:hV", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->socket = optarg;
			if (*optarg != '\0')
				break;
			(void)fprintf(
			    stderr, "weirctl: --socket: the path is empty\n");
			return EXIT_USAGE;
		case 'j':
			o->json = true;
			break;
		case 't':
			if (parse_timeout(optarg, &o->timeout_ms))
				break;
			(void)fprintf(stderr,
			    "weirctl: --timeout: \"%s\" is not 0 to %d "
			    "seconds\n",
			    optarg, TIMEOUT_MAX_S);
			return EXIT_USAGE;
		case 'h':
			return print_help();
		case 'V':
			(void)printf("weirctl %s\n", weir_version());
			return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_ANSWER;
		default:
			(void)fprintf(
			    stderr, "weirctl: weirctl -h tells the usage\n");
			return EXIT_USAGE;
		}
	}
	return make_request(o, argv + optind) ? -1 : EXIT_USAGE;
}

/* Of what a reload tells, people want to know what is not as it was. */
static void
hide_kept(json_t *sections)
{
	size_t i = json_array_size(sections);
	const char *change;

	while (i-- > 0) {
		change = json_string_value(
		    json_object_get(json_array_get(sections, i), "change"));
		if (change != NULL && strcmp(change, "kept") == 0)
			(void)json_array_remove(sections, i);
	}
}

/* Print the data of an answer. Returns 0 or -1. */
static int
print_data(const struct options *o, const json_t *data)
{
	int r;

	if (o->json) {
		r = json_dumpf(data, stdout,
		    JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		(void)putchar('\n');
	} else {
		hide_kept(json_object_get(data, "sections"));
		r = render(data, stdout);
	}
	if (r == 0 && fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	/* "weirctl config | head": nobody wants the rest. */
	if (errno != EPIPE)
		(void)fprintf(stderr,
		    "weirctl: the answer cannot be written: %s\n",
		    strerror(errno));
	return -1;
}

/* What cannot be asked is down. */
static int
no_answer(const struct options *o)
{
	json_t *down;

	if (!o->health)
		return EXIT_ANSWER;
	down = json_string("down");
	if (down != NULL)
		(void)print_data(o, down);
	json_decref(down);
	return 2;
}

static int
health_status(const json_t *data)
{
	const char *text = json_string_value(data);

	if (text != NULL && strcmp(text, "up") == 0)
		return 0;
	if (text != NULL && strcmp(text, "drain") == 0)
		return 1;
	return 2;
}

static int
print_answer(const struct options *o, const json_t *answer)
{
	const json_t *ok = json_object_get(answer, "ok");
	const json_t *data = json_object_get(answer, "data");
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *warning =
	    json_string_value(json_object_get(answer, "warning"));

	if (json_is_true(ok) && data != NULL) {
		if (warning != NULL)
			(void)fprintf(stderr, "weirctl: %s\n", warning);
		if (print_data(o, data) != 0)
			return o->health ? 2 : EXIT_ANSWER;
		return o->health ? health_status(data) : EXIT_SUCCESS;
	}
	if (json_is_false(ok) && error != NULL)
		(void)fprintf(stderr, "weirctl: %s\n", error);
	else
		(void)fprintf(stderr,
		    "weirctl: %s does not answer as weir does; is it weir's "
		    "control socket?\n",
		    o->socket);
	return no_answer(o);
}

static int
run(const struct options *o)
{
	struct exchange exchange;
	json_error_t problem;
	json_t *answer;
	int status;

	if (exchange_run(&exchange, o->socket, o->request, o->timeout_ms) !=
	    0) {
		(void)fprintf(stderr, "weirctl: %s\n", exchange.problem);
		exchange_finish(&exchange);
		return no_answer(o);
	}
	answer = json_loadb(
	    strbuf_get(&exchange.answer), exchange.answer.length, 0, &problem);
	exchange_finish(&exchange);
	/* What is no JSON is no object either. */
	status = print_answer(o, answer);
	json_decref(answer);
	return status;
}

int
main(int argc, char **argv)
{
	static struct options options = {
	    .socket = CONTROL_DEFAULT_PATH,
	    .timeout_ms = DEFAULT_TIMEOUT_MS,
	};
	int status = parse_options(&options, argc, argv);

	return status >= 0 ? status : run(&options);
}
