# Fuzzers of what reads bytes of strangers, and the inputs that they found.
# "make check" replays the inputs with whatever compiler there is; "make fuzz"
# looks for more, with clang's libFuzzer: FUZZ=hello FUZZ_SECONDS=60.
FUZZ = hello proxy_header endpoint srv
FUZZ_SECONDS = 60

FUZZ_REPLAY = %D%/replay.c %D%/fuzz.h
check_PROGRAMS += %D%/replay_hello %D%/replay_proxy_header \
    %D%/replay_endpoint %D%/replay_srv
%C%_replay_hello_SOURCES = %D%/fuzz_hello.c $(FUZZ_REPLAY)
%C%_replay_hello_LDADD = src/proto/libproto.la
%C%_replay_proxy_header_SOURCES = %D%/fuzz_proxy_header.c $(FUZZ_REPLAY)
%C%_replay_proxy_header_LDADD = src/proto/libproto.la
%C%_replay_endpoint_SOURCES = %D%/fuzz_endpoint.c $(FUZZ_REPLAY)
%C%_replay_endpoint_LDADD = libweir.la
%C%_replay_srv_SOURCES = %D%/fuzz_srv.c $(FUZZ_REPLAY)
%C%_replay_srv_LDADD = src/net/libnet.la

EXTRA_DIST += %D%/README.md %D%/corpus %D%/run

.PHONY: fuzz
fuzz:
	FUZZ_CPPFLAGS='$(DEFS) -I. $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(CARES_CFLAGS)' \
	    FUZZ_LIBS='$(CARES_LIBS)' \
	    FUZZ_SECONDS=$(FUZZ_SECONDS) $(srcdir)/%D%/run $(FUZZ)
