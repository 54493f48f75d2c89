/*
 * A count that processes share: a page which is inherited by fork, with a slot
 * for each process. Only its owner writes to a slot, so nothing is locked, and
 * whoever asks sums those of the processes that live: what one counted that
 * was killed is gone with it.
 */
#include "config.h"

#include "net/count_priv.h"

#include <sys/mman.h>
#include <sys/types.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE	 4096
#define PID_BITS 22 /* Linux has no more */
#define NOBODY	 0
#define CHANGING 1 /* being taken over; no process has this */

struct slot {
	_Atomic uint64_t owner; /* a process, by number and time of its start */
	_Atomic int64_t count;
};

#define SLOTS (PAGE / sizeof(struct slot) - 1)

struct table {
	struct slot slots[SLOTS];
	struct slot others; /* of processes that found no slot */
};

struct weir__count {
	struct table *table;
	struct slot *own; /* NULL until there is something to count */
};

/* ---- processes ---- */

/* Read the state and the start of a process, in ticks. False where the system
 * does not tell. */
static bool
look_at(pid_t pid, char *state, uint64_t *start)
{
	char path[64], text[1024], *at;
	FILE *file;
	size_t n;
	int field;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')'); /* the name may hold anything */
	if (at == NULL || at[1] != ' ')
		return false;
	*state = at[2];
	for (field = 2; field < 22 && at != NULL; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return false;
	*start = strtoull(at, NULL, 10);
	return true;
}

static uint64_t
identity(pid_t pid, uint64_t start)
{
	return start << PID_BITS | (uint64_t)pid;
}

static uint64_t
own_identity(void)
{
	pid_t pid = getpid();
	uint64_t start = 0;
	char state;

	(void)look_at(pid, &state, &start);
	return identity(pid, start);
}

static bool
lives(uint64_t owner)
{
	pid_t pid = (pid_t)(owner & ((1U << PID_BITS) - 1));
	uint64_t start = 0;
	char state = 'R';

	if (!look_at(pid, &state, &start))
		return kill(pid, 0) == 0 || errno == EPERM;
	if (state == 'Z' || state == 'X')
		return false;
	return owner >> PID_BITS == 0 || owner == identity(pid, start);
}

/* ---- slots ---- */

static bool
take(struct slot *slot, uint64_t from, uint64_t me)
{
	if (!atomic_compare_exchange_strong(&slot->owner, &from, CHANGING))
		return false;
	atomic_store(&slot->count, 0);
	atomic_store(&slot->owner, me);
	return true;
}

static struct slot *
find_slot(struct table *table)
{
	uint64_t me = own_identity(), owner;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (take(&table->slots[i], NOBODY, me))
			return &table->slots[i];
	for (i = 0; i < SLOTS; i++) {
		owner = atomic_load(&table->slots[i].owner);
		if (owner > CHANGING && !lives(owner) &&
		    take(&table->slots[i], owner, me))
			return &table->slots[i];
	}
	return &table->others;
}

struct weir__count *
weir__count_new(void)
{
	struct weir__count *count = calloc(1, sizeof(*count));
	void *page;

	if (count == NULL)
		return NULL;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		free(count);
		return NULL;
	}
	count->table = page;
	return count;
}

void
weir__count_free(struct weir__count *count)
{
	if (count == NULL)
		return;
	if (count->own != NULL && count->own != &count->table->others) {
		atomic_store(&count->own->count, 0);
		atomic_store(&count->own->owner, NOBODY);
	}
	(void)munmap(count->table, PAGE);
	free(count);
}

void
weir__count_add(struct weir__count *count, int change)
{
	if (count->own == NULL)
		count->own = find_slot(count->table);
	(void)atomic_fetch_add_explicit(
	    &count->own->count, change, memory_order_relaxed);
}

void
weir__count_forked(struct weir__count *count)
{
	count->own = NULL;
}

size_t
weir__count_total(const struct weir__count *count)
{
	int64_t total = atomic_load(&count->table->others.count);
	const struct slot *slot;
	uint64_t owner;

	for (slot = count->table->slots; slot < count->table->slots + SLOTS;
	     slot++) {
		owner = atomic_load(&slot->owner);
		if (slot == count->own || (owner > CHANGING && lives(owner)))
			total += atomic_load(&slot->count);
	}
	return total > 0 ? (size_t)total : 0;
}
