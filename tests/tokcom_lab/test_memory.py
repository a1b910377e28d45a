import resource
from pathlib import Path

import numpy as np

from tokcom_lab import memory
from tokcom_lab.memory import resident_mb


def test_memory_in_use_grows_by_what_is_taken():
    before = resident_mb()
    held = np.ones(8 << 20)
    assert 50 < resident_mb() - before < 90, "64 MB"
    del held


def test_where_the_system_does_not_tell_it_is_the_most_that_was(monkeypatch):
    now = resident_mb()
    monkeypatch.setattr(memory, "Path", lambda name: Path("/nowhere"))
    assert resident_mb() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 >= 0.9 * now
