import pytest

from tokcom.bounded_cache import BoundedCache


def test_what_was_asked_for_longest_ago_goes_first():
    cache, made = BoundedCache(10, len), []

    def get(key, size):
        return cache.get(key, lambda: made.append(key) or "x" * size)

    get("a", 4), get("b", 4), get("a", 4)
    assert made == ["a", "b"] and cache.bytes_held == 8
    get("c", 4)
    assert "b" not in cache and "a" in cache and cache.bytes_held == 8
    get("large", 30)
    assert len(cache) == 1 and cache.bytes_held == 30, "the latest is kept, whatever it holds"
    get("b", 4)
    assert made == ["a", "b", "c", "large", "b"] and cache.find("large") is None


def test_what_cannot_be_made_leaves_nothing_behind():
    cache = BoundedCache(10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert len(cache) == 0 and cache.get("a", lambda: "fine") == "fine"
