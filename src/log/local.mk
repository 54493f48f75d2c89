# Floor 0: the daemon's voice.
noinst_LTLIBRARIES += %D%/liblog.la
%C%_liblog_la_SOURCES =
%C%_liblog_la_LIBADD = $(JANSSON_LIBS)
%C%_liblog_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
