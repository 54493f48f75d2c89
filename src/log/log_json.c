/*
 * The JSON format: one object a line, "time", "level" and "message" first,
 * then the fields. Promises valid JSON in valid UTF-8 whatever bytes a value
 * holds: each that is no UTF-8 becomes U+FFFD. Leaves writing the line to the
 * sinks.
 */
#include "config.h"

#include <jansson.h>

#include "log/log_priv.h"

/* New JSON text of bytes that may be no UTF-8; NULL for want of memory. */
static json_t *
text_to_json(const char *text)
{
	json_t *value = json_string(text);
	struct log_buffer clean;

	if (value != NULL)
		return value;
	log_buffer_init(&clean);
	while (*text != '\0') {
		uint32_t character;
		size_t length = log_utf8_decode(text, &character);

		if (length == 0)
			log_buffer_add(&clean, "\xef\xbf\xbd", 3);
		else
			log_buffer_add(&clean, text, length);
		text += length == 0 ? 1 : length;
	}
	if (!clean.failed)
		value = json_stringn(clean.data, clean.length);
	log_buffer_free(&clean);
	return value;
}

static json_t *
number_to_json(uint64_t number)
{
	if (number <= INT64_MAX)
		return json_integer((json_int_t)number);
	/* jansson's integers end there; readers of JSON take such numbers for
	 * doubles anyway. */
	return json_real((double)number);
}

static json_t *
field_to_json(const struct log_field *field)
{
	if (field->kind == LOG_NUMBER)
		return number_to_json(field->number);
	return text_to_json(field->text == NULL ? "-" : field->text);
}

static int
add_head(json_t *object, const struct log_entry *entry)
{
	struct log_buffer stamp;
	int result;

	log_buffer_init(&stamp);
	log_buffer_time(&stamp, entry->time);
	result = stamp.failed ? -1
			      : json_object_set_new(object, "time",
				    json_stringn(stamp.data, stamp.length));
	log_buffer_free(&stamp);
	if (result != 0)
		return -1;
	if (json_object_set_new(object, "level",
		json_string(log_level_text(entry->level))) != 0)
		return -1;
	return json_object_set_new(
	    object, "message", text_to_json(entry->message));
}

static int
add_all(json_t *object, const struct log_entry *entry)
{
	if (add_head(object, entry) != 0)
		return -1;
	if (entry->fields == NULL)
		return 0;
	for (const struct log_field *f = entry->fields; f->key != NULL; f++)
		if (json_object_set_new(object, f->key, field_to_json(f)) != 0)
			return -1;
	return 0;
}

static int
on_chunk(const char *data, size_t length, void *user)
{
	struct log_buffer *buffer = user;

	log_buffer_add(buffer, data, length);
	return buffer->failed ? -1 : 0;
}

void
log_json_encode(struct log_buffer *buffer, const struct log_entry *entry)
{
	json_t *object = json_object();

	if (object == NULL || add_all(object, entry) != 0 ||
	    json_dump_callback(object, on_chunk, buffer, JSON_COMPACT) != 0)
		buffer->failed = true;
	json_decref(object);
}
