import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tokcom import kernel_cache
from tokcom.kernel_cache import provide_kernel_cache


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A temporary folder of its own, and no NUMBA_CACHE_DIR."""
    import numba

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")


def test_with_a_folder_to_write_nothing_changes(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    provide_kernel_cache()
    assert not os.environ["NUMBA_CACHE_DIR"] and not list(tmp_path.iterdir())


def test_a_folder_that_is_named_is_left_alone(monkeypatch):
    monkeypatch.setattr(kernel_cache, "_writable", lambda folder: False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/some/where")
    provide_kernel_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/some/where"


def test_without_any_place_kernels_go_into_a_private_folder(monkeypatch, tmp_path, caplog):
    import numba

    monkeypatch.setattr(kernel_cache, "_writable", lambda folder: False)
    found = []
    for _ in range(2):
        monkeypatch.setenv("NUMBA_CACHE_DIR", "")
        provide_kernel_cache()
        found.append(os.environ["NUMBA_CACHE_DIR"])
    (folder,) = tmp_path.iterdir()
    assert found == [str(folder)] * 2 == [numba.config.CACHE_DIR] * 2, "what one process compiled, the next one finds"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(str(folder) in record.getMessage() for record in caplog.records) and len(caplog.records) == 2


def test_a_folder_that_others_could_write_is_not_used(monkeypatch, tmp_path):
    """What lies there would be executed."""
    monkeypatch.setattr(kernel_cache, "_writable", lambda folder: False)
    planted = tmp_path / f"tokcom-kernels-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    provide_kernel_cache()
    assert os.environ["NUMBA_CACHE_DIR"] != str(planted)
    assert stat.S_IMODE(os.stat(os.environ["NUMBA_CACHE_DIR"]).st_mode) == 0o700


def test_the_usual_folders_are_those_of_numba(tmp_path):
    code = (
        "from tokcom.coding.convolutional import _encode; from tokcom.kernel_cache import usual_folders; "
        "print(_encode.stats.cache_path, *usual_folders(), sep='\\n')"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    kept, beside, cache = map(Path, said.splitlines())
    assert kept == beside.parent / "coding" / "__pycache__" or cache in kept.parents
