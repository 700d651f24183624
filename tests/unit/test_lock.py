"""Locks: held by one, free as soon as the holder is gone."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from mirrorpy.errors import LocalError, LockHeld
from mirrorpy.store.layout import Layout
from mirrorpy.store.lock import lock_repository, own_pool, share_pool

HOLD = """
import sys, time
from mirrorpy.store.lock import lock_repository
with lock_repository(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path) -> str:
    return f"{tmp_path}/lock"


def test_one_holder_at_a_time(path):
    with lock_repository(path):
        with pytest.raises(LockHeld) as raised, lock_repository(path):
            pass
        assert raised.value.exit_status == 7
        assert path in raised.value.message
    with lock_repository(path):
        pass
    assert os.path.exists(path)


def test_an_error_inside_frees_it(path):
    with pytest.raises(ZeroDivisionError), lock_repository(path):
        _ = 1 / 0
    with lock_repository(path):
        pass


def test_another_process_holds_it_until_it_is_killed(path):
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld), lock_repository(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with lock_repository(path):
        pass


def test_children_do_not_inherit_it(path):
    with lock_repository(path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], close_fds=False)
    try:
        assert _free_within(path, 5)
    finally:
        child.kill()
        child.wait()


def _free_within(path: str, seconds: float) -> bool:
    """Wait for a lock: the kernel closes a new program's files a moment after it has begun."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(LockHeld), lock_repository(path):
            return True
        time.sleep(0.01)
    return False


def test_two_repositories_do_not_lock_each_other(tmp_path):
    with lock_repository(f"{tmp_path}/a"), lock_repository(f"{tmp_path}/b"):
        pass


def test_the_pool_is_shared_by_syncs_and_swept_alone(tmp_path):
    layout = Layout.of(tmp_path)
    os.mkdir(layout.state)
    with share_pool(layout), share_pool(layout), pytest.raises(LockHeld), own_pool(layout):
        pass
    with own_pool(layout), pytest.raises(LockHeld), own_pool(layout):
        pass
    with share_pool(layout):
        pass


def test_a_sync_waits_for_a_sweep(tmp_path):
    layout = Layout.of(tmp_path)
    os.mkdir(layout.state)
    code = (
        "import sys; from pathlib import Path; from mirrorpy.store.layout import Layout;"
        "from mirrorpy.store.lock import share_pool\n"
        "with share_pool(Layout.of(Path(sys.argv[1]))): print('shared', flush=True)"
    )
    with own_pool(layout):
        waiter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        time.sleep(0.4)
        assert waiter.poll() is None
    with waiter:
        assert waiter.stdout.readline() == "shared\n"
    assert waiter.returncode == 0


def test_a_link_in_its_place_is_not_followed(tmp_path, path):
    (tmp_path / "target").write_text("mine")
    os.symlink("target", path)
    with pytest.raises(LocalError), lock_repository(path):
        pass


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(LocalError) as raised, lock_repository(f"{tmp_path}/absent/lock"):
        pass
    assert raised.value.exit_status == 6
