# Floor 5: the control socket and the faces of the figures.
noinst_LTLIBRARIES += %D%/libcontrol.la
%C%_libcontrol_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_libcontrol_la_LIBADD = src/process/libprocess.la $(JANSSON_LIBS)
%C%_libcontrol_la_SOURCES =
