# Floor 5: the control socket and the faces of the figures.
noinst_LTLIBRARIES += %D%/libcontrol.la
%C%_libcontrol_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_libcontrol_la_LIBADD = src/process/libprocess.la $(JANSSON_LIBS) -lm
%C%_libcontrol_la_SOURCES = %D%/answer.c %D%/answer.h %D%/command.c \
    %D%/command.h %D%/command_change.c %D%/command_config.c %D%/command_figures.c \
    %D%/command_priv.h %D%/command_reload.c %D%/command_server.c \
    %D%/control_client.c %D%/control_client_priv.h \
    %D%/control_server.c %D%/control_server.h %D%/requests.h \
    %D%/stats_json.c %D%/stats_json.h %D%/subject.h
