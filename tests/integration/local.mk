# The program as its users meet it: started for real, on real sockets, beside
# real peers. Needs pytest.
EXTRA_DIST += %D%/conftest.py %D%/pytest.ini %D%/weirtest.py \
    $(INTEGRATION_TESTS)

INTEGRATION_TESTS =
TESTS += $(INTEGRATION_TESTS)

PY_LOG_COMPILER = $(PYTHON) -B -m pytest
AM_PY_LOG_FLAGS = -q -rfEs -p no:cacheprovider \
    -c '$(abs_top_srcdir)/tests/integration/pytest.ini'
