# Floor 0: the daemon's voice.
noinst_LTLIBRARIES += %D%/liblog.la
%C%_liblog_la_SOURCES = %D%/log.c %D%/log.h %D%/log_datagram.c \
    %D%/log_json.c %D%/log_priv.h %D%/log_sink.c %D%/log_text.c
%C%_liblog_la_LIBADD = $(JANSSON_LIBS)
%C%_liblog_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
