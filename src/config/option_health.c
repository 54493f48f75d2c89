/*
 * How a server is asked whether it is well: off, tcp, or what is sent to it and
 * what it has to answer, both in quotes with C escapes.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/text.h"

#define BYTES_MAX 4096 /* of what is sent, and of what is expected */

static const char blanks[] = " \t";

/* Read "..." at *text, and move behind it. */
static int
read_quoted(const struct option_input *in, const char **text, const char *what,
    struct strbuf *ret)
{
	const char *p = *text + strspn(*text, blanks);
	size_t taken;
	char byte;

	if (*p++ != '"')
		return option_refuse(in,
		    "has no quoted text after %s (send \"PING\\r\\n\" "
		    "expect \"+PONG\")",
		    what);
	for (; *p != '"'; p += taken) {
		if (*p == '\0')
			return option_refuse(in,
			    "has a quote after %s that is not closed (a value "
			    "with ; or # after a blank needs double quotes "
			    "around all of it, or \\x3b and \\x23)",
			    what);
		byte = *p;
		taken = *p == '\\' ? text_unescape_one(p, &byte) : 1;
		if (taken == 0)
			return option_refuse(in,
			    "has a \\ after %s that is no escape (\\r \\n \\t "
			    "\\\\ \\\" \\xHH \\0)",
			    what);
		strbuf_char(ret, byte);
	}
	*text = p + 1;
	if (ret->length > BYTES_MAX)
		return option_refuse(
		    in, "has more than %d bytes after %s", BYTES_MAX, what);
	return ret->failed ? -ENOMEM : 0;
}

/* Move behind a word where *text begins with it. */
static bool
take_word(const char **text, const char *word)
{
	const char *p = *text + strspn(*text, blanks);
	size_t length = strlen(word);

	if (strncmp(p, word, length) != 0)
		return false;
	*text = p + length;
	return true;
}

static int
read_dialogue(
    const struct option_input *in, struct strbuf *send, struct strbuf *expect)
{
	const char *text = in->value;
	int r = 0;

	if (take_word(&text, "send"))
		r = read_quoted(in, &text, "send", send);
	if (r == 0 && !take_word(&text, "expect"))
		return option_refuse(in,
		    "is not known (off, tcp, or send \"...\" expect \"...\")");
	if (r == 0)
		r = read_quoted(in, &text, "expect", expect);
	if (r == 0 && text[strspn(text, blanks)] != '\0')
		r = option_refuse(in, "goes on after what is expected");
	if (r == 0 && expect->length == 0)
		r = option_refuse(
		    in, "expects nothing (tcp is a connection alone)");
	return r;
}

static void
set(struct config_upstream *upstream, enum config_health kind,
    struct strbuf *send, struct strbuf *expect)
{
	free(upstream->health_send);
	free(upstream->health_expect);
	upstream->health = kind;
	upstream->health_send_length = send->length;
	upstream->health_expect_length = expect->length;
	upstream->health_send =
	    send->length > 0 ? (unsigned char *)strbuf_take(send) : NULL;
	upstream->health_expect =
	    expect->length > 0 ? (unsigned char *)strbuf_take(expect) : NULL;
}

int
option_parse_health(const struct option_input *in)
{
	struct strbuf send = STRBUF_NULL, expect = STRBUF_NULL;
	enum config_health kind = CONFIG_HEALTH_SEND_EXPECT;
	int r = 0;

	if (strcmp(in->value, "off") == 0)
		kind = CONFIG_HEALTH_OFF;
	else if (strcmp(in->value, "tcp") == 0)
		kind = CONFIG_HEALTH_TCP;
	else
		r = read_dialogue(in, &send, &expect);
	if (r == 0)
		set(in->base, kind, &send, &expect);
	strbuf_free(&send);
	strbuf_free(&expect);
	return r;
}

void
option_print_health(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_upstream *upstream = base;
	struct strbuf text = STRBUF_NULL;

	switch (upstream->health) {
	case CONFIG_HEALTH_OFF:
		strbuf_text(&text, "off");
		break;
	case CONFIG_HEALTH_TCP:
		strbuf_text(&text, "tcp");
		break;
	case CONFIG_HEALTH_SEND_EXPECT:
		if (upstream->health_send_length > 0) {
			strbuf_text(&text, "send ");
			strbuf_quote(&text, upstream->health_send,
			    upstream->health_send_length);
			strbuf_char(&text, ' ');
		}
		strbuf_text(&text, "expect ");
		strbuf_quote(&text, upstream->health_expect,
		    upstream->health_expect_length);
		break;
	}
	emit(option->key, text.failed ? NULL : strbuf_get(&text), text.length,
	    user);
	strbuf_free(&text);
}
