import os

import pytest
from hypothesis import settings

settings.register_profile("tokcom", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tokcom")

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
