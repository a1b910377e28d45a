import pytest

PATIENCE_MS = 120_000


@pytest.fixture
def until(qt):
    """Lets windows live until a condition holds; returns whether it did."""
    from PyQt5.QtCore import QEventLoop, QTimer

    def wait(condition):
        loop, looking = QEventLoop(), QTimer()
        looking.timeout.connect(lambda: condition() and loop.quit())
        looking.start(20)
        QTimer.singleShot(PATIENCE_MS, loop.quit)
        loop.exec_()
        return condition()

    return wait
