import os

import pytest
from hypothesis import settings

settings.register_profile("tokcom", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tokcom")

QUICK = ("tests/tokcom/", "tests/blocks/test_pdu_blocks.py", "tests/wrong_uses/test_flowgraphs.py")
"""Beginnings of the names of tests that --quick takes: the library, the blocks in general."""
SLOW = (
    "tests/tokcom/training/", "tests/tokcom/experiments/", "tests/tokcom/link/", "tests/tokcom/doctor/",
    "tests/tokcom/coding/test_list_decoding.py::test_without_a_check_posteriors_are_exact",
    "tests/tokcom/channel/test_multipath.py::test_mean_power_of_the_taps_is_1_over_the_band_in_use",
    "tests/tokcom/channel/test_model.py::test_the_stream_does_not_depend_on_cuts",
    "tests/tokcom/modulation/test_semantic.py::test_bisection_of_the_largest_codebook",
)  # fmt: skip
"""And of those that it leaves out of them: each takes a second or more."""


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="the tests that take about a minute together")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--quick"):
        return
    kept = [item for item in items if item.nodeid.startswith(QUICK) and not item.nodeid.startswith(SLOW)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


# No window.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def photographs():
    """Paths of four photographs."""
    from tokcom.tokenizers.pictures import sample_pictures

    return sample_pictures()


@pytest.fixture(scope="session")
def qt():
    """The Qt application that windows need; without a display."""
    from PyQt5.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])
