import numpy as np
import pytest

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST
from tokcom.metrics.tokens import exact_recovery_rate, token_communication_efficiency, token_error_rate

SENT = np.array([1, 2, 3, 4])


def test_lost_and_wrong_tokens_are_errors():
    assert token_error_rate(SENT, np.array([1, LOST, 9, 4])) == 0.5


def test_exact_recovery_counts_losses_alone():
    assert exact_recovery_rate(SENT, np.array([1, LOST, LOST, 9]), np.array([1, 2, 8, 9])) == 0.5
    assert exact_recovery_rate(SENT, SENT, SENT) is None


def test_tce_of_the_paper():
    """256 x 256 pixels, 256 tokens of 10 bits: 25.6 pixels per bit once sent, less by 1 - PER when sent again."""
    assert token_communication_efficiency(65536, 256, 1024) == pytest.approx(25.6)
    assert token_communication_efficiency(65536, 256, 1024, 1 / (1 - 0.2)) == pytest.approx(25.6 * 0.8)


def test_bad_input_is_named():
    with pytest.raises(FrameError, match=r"\(3,\).*\(4,\)"):
        token_error_rate(SENT, SENT[:3])
    with pytest.raises(ParameterError, match=r"transmissions 0.5"):
        token_communication_efficiency(1, 1, 2, 0.5)
