/* A fleet without processes, for tests of what stands above it. */
#ifndef TESTS_FAKE_FLEET_H
#define TESTS_FAKE_FLEET_H

#include <sys/queue.h>

#include <stdbool.h>

#include "control/subject.h"
#include "process/fleet.h"
#include "process/reload.h"
#include "tests/unit/control/fake_proxy.h"

struct fleet {
	struct proxy *proxy;
	bool later;	 /* calls wait for fake_fleet_answer() */
	bool refuse;	 /* memory for a call */
	unsigned silent; /* so many of its workers do not answer */
	unsigned workers;
	bool drain;
	enum log_level level;
	TAILQ_HEAD(, fleet_call) calls; /* that wait */
	unsigned cancelled;
	struct reload *reload; /* the test's, for the subject */
};

/* A reload that a test finishes. */
struct reload {
	bool check, refuse;
	reload_done *done; /* of who waits; NULL: nobody */
	void *user;
	struct reload_call **ret;
	unsigned cancelled;
};

/* One worker, which answers at once; and the subject of both. */
void fake_fleet_init(struct fleet *fleet, struct proxy *proxy);
struct control_subject fake_subject(struct fleet *fleet);

/* Tell who waits for the reload. */
void fake_reload_finish(
    struct reload *reload, const struct reload_result *result);

/* Answer the call that waits longest: all of it, or a part. False where none
 * waits. */
bool fake_fleet_answer(struct fleet *fleet);

#endif
