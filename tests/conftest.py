import os

import pytest
from hypothesis import settings

settings.register_profile("tokcom", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tokcom")

QUICK = ("tests/tokcom/", "tests/tokcom_lab/", "tests/blocks/test_pdu_blocks.py", "tests/wrong_uses/test_flowgraphs.py")
"""Beginnings of the names of tests that --quick takes: the library, the blocks in general."""
SLOW = (
    "tests/tokcom_lab/", "tests/tokcom/link/", "tests/tokcom/doctor/",
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


@pytest.fixture
def tiny_model(tmp_path):
    """Folder of a complete model with random weights: 16 x 16 pixels, 4 x 4 tokens of 32 words, 3 classes."""
    import torch

    from tokcom.context.classifier_network import ClassifierConfig, ClassifierNetwork
    from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
    from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
    from tokcom_lab.training.export import Run, export_part

    torch.manual_seed(0)
    folder = tmp_path / "zoo" / "tiny"
    run = Run("none", "none", 0, 0, 0.0)
    classes = ("cat", "dog", "owl")
    vq = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1))
    export_part(folder, "tokenizer", "vq", vq, {}, run, classes)
    maskgit = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2))
    export_part(folder, "context", "maskgit", maskgit, {}, run, classes)
    classifier = ClassifierNetwork(ClassifierConfig(16, 3, (4, 8)))
    export_part(folder, "classifier", "classifier", classifier, {}, run, classes)
    return folder


@pytest.fixture(scope="session")
def qt():
    """The Qt application that windows need; without a display."""
    from PyQt5.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])
