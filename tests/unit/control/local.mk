# Tests of src/control, on a proxy without sockets.
CONTROL_CHECK_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir) $(CHECK_CFLAGS) \
    $(JANSSON_CFLAGS)
CONTROL_CHECK_LDADD = src/control/libcontrol.la $(CHECK_LIBS) $(JANSSON_LIBS)

CONTROL_CHECK_FAKES = %D%/fake_fleet.c %D%/fake_fleet.h %D%/fake_proxy.c \
    %D%/fake_proxy.h

check_PROGRAMS += %D%/check_answer %D%/check_command \
    %D%/check_control_server %D%/check_stats_json
%C%_check_answer_SOURCES = %D%/check_answer.c
%C%_check_answer_CPPFLAGS = $(CONTROL_CHECK_CPPFLAGS)
%C%_check_answer_LDADD = $(CONTROL_CHECK_LDADD)
%C%_check_command_SOURCES = %D%/check_command.c $(CONTROL_CHECK_FAKES)
%C%_check_command_CPPFLAGS = $(CONTROL_CHECK_CPPFLAGS)
%C%_check_command_LDADD = $(CONTROL_CHECK_LDADD)
%C%_check_control_server_SOURCES = %D%/check_control_server.c \
    $(CONTROL_CHECK_FAKES)
%C%_check_control_server_CPPFLAGS = $(CONTROL_CHECK_CPPFLAGS)
%C%_check_control_server_LDADD = $(CONTROL_CHECK_LDADD)
%C%_check_stats_json_SOURCES = %D%/check_stats_json.c $(CONTROL_CHECK_FAKES)
%C%_check_stats_json_CPPFLAGS = $(CONTROL_CHECK_CPPFLAGS)
%C%_check_stats_json_LDADD = $(CONTROL_CHECK_LDADD)

# weirctl has a floor of its own.
include tests/unit/weirctl/local.mk
