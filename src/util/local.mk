# Floor 0: pure helpers; silent, no globals, no events.
noinst_LTLIBRARIES += %D%/libutil.la
%C%_libutil_la_SOURCES =
