"""The autoencoder for photographs: shapes, what its blocks do, how far a wrong token reaches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from tokcom.tokenizers import pyramid_network
from tokcom.tokenizers.pyramid_network import NormalizedBlock, PyramidConfig, PyramidVQNetwork
from tokcom.tokenizers.vq import VQTokenizer

SMALL = PyramidConfig(
    64, 8, 32, 4, encoder_widths=(8, 12), encoder_blocks=(1, 1), decoder_widths=(12, 8, 8), decoder_blocks=(1, 1, 1)
)


@pytest.fixture
def network() -> PyramidVQNetwork:
    torch.manual_seed(0)
    made = PyramidVQNetwork(SMALL).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, NormalizedBlock):
            torch.nn.init.normal_(module.second.weight, std=0.1)
    return made


def test_the_shipped_shape_is_that_of_the_paper():
    """256 x 256 pictures in 16 x 16 tokens of 10 bits (Section VII)."""
    with torch.device("meta"):
        network = PyramidVQNetwork(PyramidConfig())
        pictures = torch.zeros(2, 3, 256, 256)
        assert network.latents(pictures).shape == (2, 16, 16, 16)
        assert network.decode_vectors(network.codebook[torch.zeros(2, 16, 16, dtype=torch.long)]).shape == (
            2, 3, 256, 256,
        )  # fmt: skip
    assert sum(parameter.numel() for parameter in network.parameters()) < 17.5e6


def test_tokens_are_the_codes_nearest_to_the_latents(network):
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    latents = network.latents(pictures)
    distances = (latents[..., None, :] - network.codebook).square().sum(-1)
    assert torch.equal(network.encode(pictures), distances.argmin(-1))
    assert torch.allclose(latents.norm(dim=-1), torch.ones(2, 8, 8), atol=1e-5)


def test_sharpening_adds_what_a_smooth_picture_lacks(network):
    """Against another implementation of the binomial filter; what is plain stays plain."""
    tokens = torch.randint(0, 32, (2, 8, 8), generator=torch.Generator().manual_seed(3))
    plain = network.decode(tokens)
    sharpened = PyramidVQNetwork(replace(SMALL, sharpening=0.7)).eval().requires_grad_(False)
    sharpened.load_state_dict(network.state_dict())
    kernel = np.outer([1, 2, 1], [1, 2, 1])[None, None] / 16
    expected = plain + 0.7 * (plain - convolve(plain.double().numpy(), kernel, mode="nearest"))
    assert torch.allclose(sharpened.decode(tokens).double(), expected, atol=1e-5)
    assert torch.equal(pyramid_network._smoothed(torch.full((1, 3, 4, 4), 0.5)), torch.full((1, 3, 4, 4), 0.5))
    with pytest.raises(ValueError, match="sharpening is -1; it must be 0 to 4"):
        replace(SMALL, sharpening=-1)


def test_a_block_is_the_identity_until_it_has_learnt():
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(NormalizedBlock(8)(x), x)


def test_a_block_does_not_see_the_scale_of_its_input():
    """What it adds depends on directions alone, so that deep stacks stay tame."""
    block = NormalizedBlock(8)
    torch.nn.init.normal_(block.second.weight, std=0.3)
    x = torch.randn(1, 8, 5, 5)
    assert torch.allclose(block(x) - x, block(7 * x) - 7 * x, atol=1e-4)


def test_a_wrong_token_stays_near_its_place(network):
    """Convolutions reach so far and no farther, and no norm spreads it over the picture."""
    tokens = torch.randint(0, 32, (1, 8, 8))
    other = tokens.clone()
    other[0, 0, 0] = (other[0, 0, 0] + 5) % 32
    changed = (network.decode(tokens) != network.decode(other)).any(1)[0]
    # In tokens: the stem and one block at every scale, 3 convolutions at whole, 2 at half, 2 and the head at a quarter.
    reach = 8 * (1 + 3 + 2 / 2 + 3 / 4)
    rows, columns = torch.nonzero(changed).max(0).values
    assert changed.any() and rows < reach and columns < reach


def test_a_picture_goes_through_the_tokenizer(network):
    tokenizer = VQTokenizer(network, "small")
    picture = np.random.default_rng(0).integers(0, 256, (80, 64, 3), dtype=np.uint8)
    frame = tokenizer.tokenize(picture)
    assert frame.grid == (8, 8) and tokenizer.detokenize(frame).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patch_size": 16}, "patches of 8 pixels, not 16"),
        ({"decoder_blocks": (1, 1)}, "decoder"),
        ({"image_size": 60}, "60 pixels are not a multiple of patches of 8"),
    ],
)
def test_scales_that_do_not_meet_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        PyramidConfig(**SMALL.as_dict() | changes)
