/*
 * Becoming another user. Promises that after success there is no way back,
 * and that it was checked; leaves when to do it to the daemon.
 */
#include "config.h"

#include "process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"

/* A bare number as an id; (id)-1 means "unchanged" to the system. */
static bool
parse_id(const char *text, unsigned *ret)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value >= UINT_MAX)
		return false;
	*ret = (unsigned)value;
	return true;
}

static int
find_user(
    struct privileges *ret, const char *user, bool has_group, char **error)
{
	struct passwd *entry;
	unsigned id;
	bool is_number = parse_id(user, &id);

	errno = 0;
	entry = getpwnam(user);
	if (entry == NULL && is_number)
		entry = getpwuid(id);
	ret->user_set = true;
	if (entry == NULL) {
		if (!is_number)
			return failure(error, -ENOENT,
			    "user \"%s\" does not exist (see \"getent "
			    "passwd\"; a number is fine too)",
			    user);
		if (!has_group)
			return failure(error, -ENOENT,
			    "user %s has no entry in the user database, so "
			    "its group is not known: set group as well",
			    user);
		ret->user = id;
		return 0;
	}
	ret->user = entry->pw_uid;
	ret->group = entry->pw_gid;
	ret->name = strdup(entry->pw_name);
	return ret->name == NULL ? failure(error, -ENOMEM, "out of memory") : 0;
}

static int
find_group(struct privileges *ret, const char *group, char **error)
{
	struct group *entry = getgrnam(group);
	unsigned id;

	ret->group_set = true;
	if (entry != NULL) {
		ret->group = entry->gr_gid;
		return 0;
	}
	if (!parse_id(group, &id))
		return failure(error, -ENOENT,
		    "group \"%s\" does not exist (see \"getent group\"; a "
		    "number is fine too)",
		    group);
	ret->group = id;
	return 0;
}

static int
find(struct privileges *ret, const char *user, const char *group, char **error)
{
	int result = 0;

	if (user != NULL)
		result = find_user(ret, user, group != NULL, error);
	if (result == 0 && group != NULL)
		result = find_group(ret, group, error);
	return result;
}

int
privileges_find(
    struct privileges *ret, const char *user, const char *group, char **error)
{
	int result;

	*ret = (struct privileges){0};
	result = find(ret, user, group, error);
	if (result < 0)
		privileges_free(ret);
	return result;
}

void
privileges_free(struct privileges *privileges)
{
	free(privileges->name);
	*privileges = (struct privileges){0};
}

/* Whether real, effective and saved ids are all as asked. The group that only
 * follows from the user matters where we set it ourselves. */
static bool
is_done(const struct privileges *privileges, bool with_group)
{
	uid_t real_user, user, saved_user;
	gid_t real_group, group, saved_group;

	if (getresuid(&real_user, &user, &saved_user) < 0 ||
	    getresgid(&real_group, &group, &saved_group) < 0)
		return false;
	if (with_group &&
	    (real_group != privileges->group || group != privileges->group ||
		saved_group != privileges->group))
		return false;
	return !privileges->user_set ||
	       (real_user == privileges->user && user == privileges->user &&
		   saved_user == privileges->user);
}

static int
set_groups(const struct privileges *privileges, char **error)
{
	gid_t group = privileges->group;
	int result;

	if (privileges->name != NULL)
		result = initgroups(privileges->name, group);
	else
		result = setgroups(1, &group);
	if (result < 0 || setresgid(group, group, group) < 0)
		return failure(error, -errno,
		    "cannot become group %lu: %m (only root may)",
		    (unsigned long)group);
	return 0;
}

static int
set_user(const struct privileges *privileges, char **error)
{
	uid_t user = privileges->user;

	if (!privileges->user_set)
		return 0;
	if (setresuid(user, user, user) < 0)
		return failure(error, -errno,
		    "cannot become user %lu: %m (only root may)",
		    (unsigned long)user);
	/* What setuid() promises went wrong before in odd places. */
	if (user != 0 && setuid(0) == 0)
		return failure(error, -EPERM,
		    "user %lu could become root again: not going on",
		    (unsigned long)user);
	return 0;
}

int
privileges_drop(const struct privileges *privileges, char **error)
{
	int result;

	if (!privileges->user_set && !privileges->group_set)
		return 0;
	/* Root shall lose its supplementary groups even if it stays root. */
	if (geteuid() != 0 && is_done(privileges, privileges->group_set))
		return 0;
	result = set_groups(privileges, error);
	if (result == 0)
		result = set_user(privileges, error);
	if (result == 0 && !is_done(privileges, true))
		result = failure(error, -EPERM,
		    "the system did not take user %lu, group %lu: not going "
		    "on",
		    (unsigned long)privileges->user,
		    (unsigned long)privileges->group);
	return result;
}
