# The program as its users meet it: started for real, on real sockets, beside
# real peers. Needs pytest.
EXTRA_DIST += %D%/conftest.py %D%/pytest.ini %D%/weirtest.py \
    $(INTEGRATION_TESTS)

INTEGRATION_TESTS = %D%/test_address.py %D%/test_backpressure.py \
    %D%/test_command.py %D%/test_config.py %D%/test_control.py \
    %D%/test_echo.py %D%/test_examples.py %D%/test_fdstore.py %D%/test_forward.py \
    %D%/test_health.py %D%/test_install.py \
    %D%/test_limits.py %D%/test_log.py %D%/test_names.py %D%/test_notify.py \
    %D%/test_peers.py %D%/test_pipe.py %D%/test_signals.py \
    %D%/test_timeouts.py %D%/test_upgrade.py %D%/test_upstream.py %D%/test_workers.py
TESTS += $(INTEGRATION_TESTS)

# What comes before a connection begins.
FRONT_TESTS = %D%/test_proxy_protocol.py %D%/test_sni.py %D%/test_tls.py
EXTRA_DIST += %D%/fronttest.py $(FRONT_TESTS)
TESTS += $(FRONT_TESTS)

# The configuration, changed while clients are served.
TESTS += %D%/test_reload.py
EXTRA_DIST += %D%/test_reload.py

PY_LOG_COMPILER = $(PYTHON) -B -m pytest
AM_PY_LOG_FLAGS = -q -rfEs -p no:cacheprovider \
    -c '$(abs_top_srcdir)/tests/integration/pytest.ini'
