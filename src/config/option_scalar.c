/*
 * The types whose field is one number, or one plain text. They promise that
 * the field holds the value exactly: a number that is out of the row's range
 * or that the field could not hold is refused.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/nearest.h"
#include "util/text.h"

static void
store(const struct option_input *in, uint64_t number)
{
	void *field = option_field(in->option, in->base);
	uint32_t four = (uint32_t)number;
	uint16_t two = (uint16_t)number;
	uint8_t one = (uint8_t)number;

	if (in->option->size == sizeof(number))
		memcpy(field, &number, sizeof(number));
	else if (in->option->size == sizeof(four))
		memcpy(field, &four, sizeof(four));
	else if (in->option->size == sizeof(two))
		memcpy(field, &two, sizeof(two));
	else
		memcpy(field, &one, sizeof(one));
}

static uint64_t
load(const struct config_option *option, const void *base)
{
	const void *field = option_const_field(option, base);
	uint64_t eight;
	uint32_t four;
	uint16_t two;
	uint8_t one;

	if (option->size == sizeof(eight)) {
		memcpy(&eight, field, sizeof(eight));
		return eight;
	}
	if (option->size == sizeof(four)) {
		memcpy(&four, field, sizeof(four));
		return four;
	}
	if (option->size == sizeof(two)) {
		memcpy(&two, field, sizeof(two));
		return two;
	}
	memcpy(&one, field, sizeof(one));
	return one;
}

/* A number of the option's type as text. */
static char *
number_text(const struct config_option *option, uint64_t number, char *text)
{
	if (option->type == OPTION_DURATION)
		return text_from_duration(number, text);
	if (option->type == OPTION_SIZE)
		return text_from_size(number, text);
	if (option->type == OPTION_RATE)
		return text_from_rate(number, text);
	if (option->type == OPTION_MODE)
		snprintf(text, TEXT_NUMBER, "%04" PRIo64, number);
	else
		snprintf(text, TEXT_NUMBER, "%" PRIu64, number);
	return text;
}

static int
refuse_range(const struct option_input *in, bool large)
{
	const struct config_option *option = in->option;
	char limit[TEXT_NUMBER];

	if (large)
		return option_refuse(in, "is too large (at most %s)",
		    number_text(option, option->max, limit));
	if (option->flags & OPTION_ZERO)
		return option_refuse(in, "is too small (at least %s, or %s)",
		    number_text(option, option->min, limit),
		    option->type == OPTION_NUMBER ? "0" : "off");
	return option_refuse(in, "is too small (at least %s)",
	    number_text(option, option->min, limit));
}

static int
parse_number(const struct option_input *in)
{
	const struct config_option *option = in->option;
	char hint[TEXT_NUMBER];
	uint64_t number = 0;
	int r;

	switch (option->type) {
	case OPTION_DURATION:
		r = text_duration(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(in, "is not a duration (try %s)",
			    text_duration_hint(in->value, hint));
		break;
	case OPTION_SIZE:
		r = text_size(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(in, "is not a size (try %s)",
			    text_size_hint(in->value, hint));
		break;
	case OPTION_RATE:
		r = text_rate(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(in, "is not a rate (try %s)",
			    text_rate_hint(in->value, hint));
		break;
	case OPTION_MODE:
		r = text_octal(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(
			    in, "is not an octal mode (try 0660)");
		break;
	default:
		r = option->type == OPTION_HEX
			? text_number_hex(in->value, &number)
			: text_number(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(in, "is not a number (%s to %s)",
			    number_text(option, option->min, hint),
			    number_text(
				option, option->max, (char[TEXT_NUMBER]){""}));
		break;
	}
	if (r == -ERANGE || number > option->max)
		return refuse_range(in, true);
	if (number < option->min &&
	    !(number == 0 && (option->flags & OPTION_ZERO)))
		return refuse_range(in, false);
	if (option->step != 0 && number % option->step != 0)
		return option_refuse(in, "is no multiple of %s",
		    number_text(option, option->step, hint));
	store(in, number);
	return 0;
}

static int
parse_choice(const struct option_input *in)
{
	const struct option_choice *choice;
	struct strbuf list = STRBUF_NULL;
	int r;

	for (choice = in->option->choices; choice->name != NULL; choice++) {
		if (strcmp(choice->name, in->value) == 0) {
			store(in, (uint64_t)choice->value);
			strbuf_free(&list);
			return 0;
		}
		if (choice != in->option->choices)
			strbuf_text(&list, choice[1].name ? ", " : " or ");
		strbuf_text(&list, choice->name);
	}
	r = option_refuse(in, "is not known (%s)", strbuf_get(&list));
	strbuf_free(&list);
	return r;
}

static int
parse_text(const struct option_input *in)
{
	char **field = option_field(in->option, in->base);
	size_t i;

	if (in->length > in->option->max)
		return option_refuse(
		    in, "is longer than %" PRIu64 " bytes", in->option->max);
	for (i = 0; i < in->length; i++)
		if ((unsigned char)in->value[i] < 0x20 || in->value[i] == 0x7f)
			return option_refuse(in, "holds a control character");
	return option_set_text(field, in->value, in->length);
}

/* A name that is kept as text, once it is known to exist. */
static int
parse_name(const struct option_input *in)
{
	uid_t uid;
	gid_t gid;

	if (in->length > 0 && in->option->type == OPTION_USER_NAME &&
	    option_user_id(in->value, &uid) < 0)
		return option_refuse(in, "is no user of this system");
	if (in->length > 0 && in->option->type == OPTION_GROUP_NAME &&
	    option_group_id(in->value, &gid) < 0)
		return option_refuse(in, "is no group of this system");
	return option_set_text(
	    option_field(in->option, in->base), in->value, in->length);
}

/* The owner of a socket file; nothing stands for weir's own. */
static int
parse_id(const struct option_input *in)
{
	struct config_listener *listener = in->base;

	if (in->option->type == OPTION_USER_ID) {
		if (in->length > 0 &&
		    option_user_id(in->value, &listener->unix_user) < 0)
			return option_refuse(in, "is no user of this system");
		listener->unix_user_set = in->length > 0;
		return 0;
	}
	if (in->length > 0 &&
	    option_group_id(in->value, &listener->unix_group) < 0)
		return option_refuse(in, "is no group of this system");
	listener->unix_group_set = in->length > 0;
	return 0;
}

/* 0 stands for auto, one a core. */
static int
parse_workers(const struct option_input *in)
{
	uint64_t number = 0;
	int r = 0;

	if (strcmp(in->value, "auto") != 0) {
		r = text_number(in->value, &number);
		if (r == -EINVAL)
			return option_refuse(
			    in, "is neither auto nor a number (try 1)");
		if (r == -ERANGE || number > in->option->max)
			return refuse_range(in, true);
		if (number < in->option->min)
			return refuse_range(in, false);
	}
	store(in, number);
	return 0;
}

static int
parse_boolean(const struct option_input *in)
{
	bool value;

	if (text_boolean(in->value, &value) < 0)
		return option_refuse(in, "is neither yes nor no");
	store(in, value);
	return 0;
}

int
option_parse_scalar(const struct option_input *in)
{
	switch (in->option->type) {
	case OPTION_BOOLEAN:
		return parse_boolean(in);
	case OPTION_CHOICE:
		return parse_choice(in);
	case OPTION_TEXT:
		return parse_text(in);
	case OPTION_USER_NAME:
	case OPTION_GROUP_NAME:
		return parse_name(in);
	case OPTION_USER_ID:
	case OPTION_GROUP_ID:
		return parse_id(in);
	case OPTION_WORKERS:
		return parse_workers(in);
	default:
		return parse_number(in);
	}
}

static const char *
choice_text(const struct config_option *option, const void *base)
{
	const struct option_choice *choice = option->choices;

	while (choice->name != NULL &&
	       (uint64_t)choice->value != load(option, base))
		choice++;
	return choice->name;
}

/* Whether a number is the default; then it is shown as that is written. */
static bool
is_default(const struct config_option *option, uint64_t number)
{
	uint64_t standard;

	return option->type == OPTION_DURATION && option->value != NULL &&
	       text_duration(option->value, &standard) == 0 &&
	       standard == number;
}

void
option_print_scalar(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_listener *listener = base;
	char number[TEXT_NUMBER];
	const char *text;

	switch (option->type) {
	case OPTION_BOOLEAN:
		text = load(option, base) ? "yes" : "no";
		break;
	case OPTION_CHOICE:
		text = choice_text(option, base);
		break;
	case OPTION_TEXT:
	case OPTION_USER_NAME:
	case OPTION_GROUP_NAME:
		text = *(char *const *)option_const_field(option, base);
		break;
	case OPTION_USER_ID:
		snprintf(number, sizeof(number), "%ju",
		    (uintmax_t)listener->unix_user);
		text = listener->unix_user_set ? number : NULL;
		break;
	case OPTION_WORKERS:
		snprintf(
		    number, sizeof(number), "%" PRIu64, load(option, base));
		text = load(option, base) == 0 ? "auto" : number;
		break;
	case OPTION_GROUP_ID:
		snprintf(number, sizeof(number), "%ju",
		    (uintmax_t)listener->unix_group);
		text = listener->unix_group_set ? number : NULL;
		break;
	default:
		text = is_default(option, load(option, base))
			   ? option->value
			   : number_text(option, load(option, base), number);
		break;
	}
	if (text != NULL)
		emit(option->key, text, strlen(text), user);
}
