# Tests of src/log.
check_PROGRAMS += %D%/check_log %D%/check_log_datagram %D%/check_log_json \
    %D%/check_log_sink %D%/check_log_text
%C%_check_log_SOURCES = %D%/check_log.c
%C%_check_log_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_log_LDADD = src/log/liblog.la $(CHECK_LIBS)
%C%_check_log_datagram_SOURCES = %D%/check_log_datagram.c
%C%_check_log_datagram_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_log_datagram_LDADD = src/log/liblog.la $(CHECK_LIBS)
%C%_check_log_json_SOURCES = %D%/check_log_json.c
%C%_check_log_json_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
%C%_check_log_json_LDADD = src/log/liblog.la $(CHECK_LIBS) $(JANSSON_LIBS)
%C%_check_log_sink_SOURCES = %D%/check_log_sink.c
%C%_check_log_sink_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_log_sink_LDADD = src/log/liblog.la $(CHECK_LIBS)
%C%_check_log_text_SOURCES = %D%/check_log_text.c
%C%_check_log_text_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_log_text_LDADD = src/log/liblog.la $(CHECK_LIBS)
