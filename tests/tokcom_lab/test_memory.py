import mmap
import resource
from pathlib import Path

from tokcom_lab import memory
from tokcom_lab.memory import resident_mb


def test_memory_in_use_grows_by_what_is_taken():
    """Pages of the system's own: an allocator may still hold some that earlier tests freed."""
    before = resident_mb()
    with mmap.mmap(-1, 64 << 20) as held:
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert 50 < resident_mb() - before < 90, "64 MB"


def test_where_the_system_does_not_tell_it_is_the_most_that_was(monkeypatch):
    now = resident_mb()
    monkeypatch.setattr(memory, "Path", lambda name: Path("/nowhere"))
    assert resident_mb() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 >= 0.9 * now
