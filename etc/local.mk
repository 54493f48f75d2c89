# The example configuration. An installed one is its owner's: it is never
# overwritten, and removed only while it is still the example.
EXTRA_DIST += %D%/weir.conf

INSTALL_DATA_LOCAL += install-weir-conf
UNINSTALL_LOCAL += uninstall-weir-conf
.PHONY: install-weir-conf uninstall-weir-conf

install-weir-conf:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/weir'
	@if test -e '$(DESTDIR)$(sysconfdir)/weir/weir.conf'; then \
	    echo ' kept $(DESTDIR)$(sysconfdir)/weir/weir.conf as it is'; \
	else \
	    echo ' $(INSTALL_DATA) $(srcdir)/etc/weir.conf $(DESTDIR)$(sysconfdir)/weir/weir.conf'; \
	    $(INSTALL_DATA) '$(srcdir)/etc/weir.conf' \
	        '$(DESTDIR)$(sysconfdir)/weir/weir.conf'; \
	fi

uninstall-weir-conf:
	@if cmp -s '$(srcdir)/etc/weir.conf' \
	    '$(DESTDIR)$(sysconfdir)/weir/weir.conf'; then \
	    rm -f '$(DESTDIR)$(sysconfdir)/weir/weir.conf'; \
	fi
	-@rmdir '$(DESTDIR)$(sysconfdir)/weir' 2>/dev/null
