import os

from tokcom.processors import usable_processors


def test_they_are_those_that_this_process_may_use(monkeypatch):
    assert usable_processors() == len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert usable_processors() == 2


def test_where_the_system_does_not_say_they_are_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_processors() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors() == 1
