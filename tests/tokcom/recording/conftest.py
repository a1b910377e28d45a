import resource
from contextlib import contextmanager

import numpy as np
import pytest


@pytest.fixture
def noise():
    """Makes n samples of unit mean power."""

    def make(n, seed=0):
        values = np.random.default_rng(seed).standard_normal((n, 2), dtype=np.float32)
        return values.view(np.complex64)[:, 0] * np.float32(np.sqrt(0.5))

    return make


@pytest.fixture
def full_disk():
    """Makes a context in which no file can grow beyond so many bytes."""

    @contextmanager
    def limit(n_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
