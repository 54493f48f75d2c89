import shutil
import signal
import tempfile
import pathlib

import pytest

import weirtest

TEST_SECONDS = 60


@pytest.fixture(autouse=True)
def time_limit():
    """No test hangs for ever: after its time it fails where it stands."""
    def late(signum, frame):
        raise AssertionError("the test took too long")
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(TEST_SECONDS * weirtest.SCALE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture
def folder():
    """A folder with a short name: the path of a unix socket must fit it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make(folder):
    """make(config, ...): a weir that is not started yet; stopped at the end,
    when it must have lost no descriptor and end with status 0."""
    made = []

    def new(*args, **kw):
        place = folder / f"weir{len(made)}"
        w = weirtest.Weir(place, *args, **kw)
        made.append(w)
        return w
    yield new
    failures = []
    for w in made:
        try:
            w.finish()
        except AssertionError as e:
            failures.append(str(e))
    assert not failures, "\n".join(failures)


@pytest.fixture
def weir(make):
    """weir(config, ...): the same, started and bound; with a number of
    workers, once they serve."""
    def start(*args, **kw):
        w = make(*args, **kw).start()
        workers = int((kw.get("keys") or {}).get("workers", 1))
        if workers > 1:
            w.wait_log("a worker serves", workers)
            w.base = w.descriptors()
        return w
    return start


@pytest.fixture
def backend(make):
    """backend(handler, ...): a server for weir to forward to. It closes
    before weir must have given back its descriptors."""
    made = []

    def new(*args, **kw):
        b = weirtest.Backend(*args, **kw)
        made.append(b)
        return b
    yield new
    for b in made:
        b.close()


@pytest.fixture
def blackhole(make):
    made = []

    def new():
        made.append(weirtest.Blackhole())
        return made[-1]
    yield new
    for b in made:
        b.close()


@pytest.fixture
def spawn(make):
    """spawn(command, ...): a peer as a process; ended with the test."""
    import subprocess
    made = []

    def new(command, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.STDOUT)
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen([str(c) for c in command], **kw)
        made.append(p)
        return p
    yield new
    for p in made:
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for stream in (p.stdin, p.stdout):
            if stream:
                stream.close()
