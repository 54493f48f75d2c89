/* What requests are about: the weir that runs. */
#ifndef CONTROL_SUBJECT_H
#define CONTROL_SUBJECT_H

struct fleet;
struct proxy;
struct reload;

/* All of it outlives who is given it. */
struct control_subject {
	struct proxy *proxy;
	struct fleet *fleet;
	struct reload *reload;
	int verbose; /* so many -v; -1: -q */
};

#endif
