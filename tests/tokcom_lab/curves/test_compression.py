import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.frame import LOST, TokenFrame
from tokcom.models.zoo import load_context
from tokcom.source.blocks import SourceSettings
from tokcom_lab.curves.compression import RememberingPrior, independent_bits, token_bits

pytest.importorskip("constriction")


@pytest.fixture
def prior(tiny_model):
    return load_context(str(tiny_model), "cpu")


@pytest.fixture
def frames(prior):
    rng = np.random.default_rng(0)
    return [
        TokenFrame(rng.integers(0, 32, 16), prior.codebook, 32, (4, 4), cmi=label, frame_id=number)
        for number, label in enumerate([None, 1, 2, 0])
    ]


def test_a_model_that_remembers_is_asked_once(prior, frames):
    asked = []
    remembering = RememberingPrior(prior)
    ask = prior.log_probabilities
    prior.log_probabilities = lambda tokens, wanted, told: asked.append(len(tokens)) or ask(tokens, wanted, told)
    tokens = np.stack([np.where(np.arange(16) % 3, frame.tokens, LOST) for frame in frames]).astype(np.int32)
    told, wanted = list(map(Condition.of, frames)), tokens == LOST
    first = remembering.log_probabilities(tokens[:2], wanted[:2], told[:2])
    np.testing.assert_array_equal(first, ask(tokens[:2], wanted[:2], told[:2]))
    whole = remembering.log_probabilities(tokens, wanted, told)
    np.testing.assert_allclose(whole, ask(tokens, wanted, told), atol=1e-5)
    assert asked == [2, 2]


def test_coded_bits_count_everything(prior, frames):
    """Random tokens: no model helps, and what is added to their five bits is at most the rest of a byte and a bit."""
    found = token_bits(frames, prior, SourceSettings(3))
    assert found["pictures"] == 4 and 5 <= found["bits_ideal"] < 5.5
    assert found["bits_coded"] == 8 * np.ceil((1 + 4 * 16 * 5) / 8) / 64
    assert found["bits_coded_alone"] == 8 * 11 / 16
    split = independent_bits(frames, prior, SourceSettings(3, 2))
    # A block of eight tokens: four bits of its bounds, a bit, and five bits per token.
    assert split["blocks"] == 2 and split["bits_coded"] == split["bits_padded"] == 2 * 8 * 6 / 16
