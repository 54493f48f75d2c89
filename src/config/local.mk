# Floor 2: file and command line to a checked configuration.
noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(INIH_CFLAGS)
%C%_libconfig_la_LIBADD = libweir.la src/util/libutil.la $(INIH_LIBS)
%C%_libconfig_la_SOURCES =
