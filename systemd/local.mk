# systemd's units. They are filled here and not by configure, which would leave
# ${prefix} in the paths.
EXTRA_DIST += %D%/weir.service.in %D%/weir.socket.in
CLEANFILES += %D%/weir.service %D%/weir.socket
noinst_DATA += %D%/weir.service %D%/weir.socket
if INSTALL_UNITS
systemdsystemunit_DATA = %D%/weir.service %D%/weir.socket
endif

fill_unit = sed -e 's|@sbindir[@]|$(sbindir)|g' \
    -e 's|@bindir[@]|$(bindir)|g' \
    -e 's|@sysconfdir[@]|$(sysconfdir)|g'

# The Makefile holds the folders that are filled in.
%D%/weir.service: %D%/weir.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && $(fill_unit) \
	    $(srcdir)/%D%/weir.service.in >$@.tmp && mv $@.tmp $@

%D%/weir.socket: %D%/weir.socket.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && $(fill_unit) \
	    $(srcdir)/%D%/weir.socket.in >$@.tmp && mv $@.tmp $@
