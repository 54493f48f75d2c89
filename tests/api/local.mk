# The lifecycle as a user of libweir sees it: only public headers, only the
# shared library, and the order of events compared with kept traces.
check_PROGRAMS += %D%/check_scenarios
%C%_check_scenarios_SOURCES = %D%/check_scenarios.c %D%/play.c %D%/play.h \
    %D%/script.c %D%/script.h %D%/trace.c %D%/verbs.c \
    %D%/verbs_socket.c %D%/verbs_tls.c %D%/words.c %D%/words.h
%C%_check_scenarios_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
%C%_check_scenarios_LDADD = libweir.la
EXTRA_DIST += tests/traces
