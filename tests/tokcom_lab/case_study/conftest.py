import numpy as np
import pytest

from tokcom_lab.case_study.cells import StudySettings, jobs_of

TOKEN_SCHEMES = ("vqgan", "vqgan+r", "tokcom", "tokcom-nocmi", "list", "context", "context-nocmi")


@pytest.fixture
def settings(tiny_model):
    return StudySettings(str(tiny_model), "k7", attempts=20)


@pytest.fixture
def jobs():
    """Two pictures of 16 x 16 pixels at two Es/N0."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    return jobs_of(pictures, ("one", "two"), (1, None), (4, 12), (0,), TOKEN_SCHEMES, shown=1)


@pytest.fixture
def steady():
    """Cells without what a clock said."""
    return lambda cells: [
        (cell.scheme, {key: value for key, value in cell.figures.items() if not key.startswith("ms_")}, cell.picture)
        for cell in cells
    ]
