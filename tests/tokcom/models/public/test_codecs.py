"""Files of sound codecs as transformers keeps them, whose own computation is the original; and lost words."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST
from tokcom.models.zoo import load_tokenizer

transformers = pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")


def randomised(network, seed):
    rng = torch.Generator().manual_seed(seed)
    for name, each in network.state_dict().items():
        if not each.is_floating_point() or "inited" in name:
            continue
        noise = torch.randn(each.shape, generator=rng)
        plain = each.ndim > 1 and "original0" not in name and "alpha" not in name
        scaled = noise / max(each[0].numel(), 1) ** 0.5 if plain else (2 if "original0" in name else 0.5) + 0.1 * noise
        each.copy_(scaled.half().float())
    return network.eval()


def a_signal():
    return np.random.default_rng(0).uniform(-1, 1, 403).astype(np.float32)


@pytest.fixture
def encodec():
    shape = transformers.EncodecConfig(
        target_bandwidths=[25.6, 96.0], num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=16,
        num_lstm_layers=1, upsampling_ratios=[5, 2], sampling_rate=16_000,
    )  # fmt: skip
    return randomised(transformers.EncodecModel(shape), 1)


def encodec_file(encodec, path):
    """As published: normalised weights under their older names, and what training leaves."""
    older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    named = {}
    for name, each in encodec.state_dict().items():
        for new, old in older.items():
            name = name.replace(new, old)
        named[name] = each.clone()
    save_file(named, path)
    return path


def test_encodec(bring, encodec, tmp_path):
    path = encodec_file(encodec, tmp_path / "model.safetensors")
    codec = load_tokenizer(bring(tokenizer=("encodec", path, {"rate": 16_000, "quantizers": 4})), device="cpu")
    frame = codec.tokenize(a_signal(), 3)
    assert frame.grid == (4, 41) and frame.quantizers == 4 and codec.bit_rate == 4 * 4 * 1600
    padded = torch.from_numpy(np.pad(a_signal(), (0, 7)))[None, None]
    with torch.no_grad():
        codes = encodec.encode(padded, bandwidth=4 * 4 * 1.6).audio_codes
        expected = encodec.decode(codes, [None]).audio_values[0, 0].numpy()
    assert len(codes.unique()) > 6 and np.array_equal(frame.tokens, codes.flatten())
    assert expected.std() > 1e-3 and codec.detokenize(frame) == pytest.approx(expected, abs=1e-4)


def test_dac(bring, tmp_path):
    shape = transformers.DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[2, 5], decoder_hidden_size=16, n_codebooks=3, codebook_size=16,
        codebook_dim=4, sampling_rate=16_000,
    )  # fmt: skip
    network = randomised(transformers.DacModel(shape), 2)
    path = tmp_path / "model.safetensors"
    save_file({name: each.clone() for name, each in network.state_dict().items()}, path)
    codec = load_tokenizer(bring(tokenizer=("dac", path, {})), device="cpu")
    frame = codec.tokenize(a_signal())
    padded = torch.from_numpy(np.pad(a_signal(), (0, 7)))[None, None]
    with torch.no_grad():
        codes = network.encode(padded).audio_codes
        expected = network.decode(audio_codes=codes).audio_values.flatten().numpy()
    assert frame.grid == (3, 41) and len(codes.unique()) > 6 and np.array_equal(frame.tokens, codes.flatten())
    assert expected.std() > 1e-3 and codec.detokenize(frame) == pytest.approx(expected, abs=1e-4)


MIMI = {
    "encoder.encoder_seanet.": "encoder.", "encoder.encoder_transformer.": "encoder_transformer.",
    "encoder.downsample.": "downsample.", "decoder.upsample.": "upsample.",
    "decoder.decoder_transformer.": "decoder_transformer.", "decoder.decoder_seanet.": "decoder.",
}  # fmt: skip
"""Names in transformers' network, and in Mimi's file."""


def test_mimi(bring, tmp_path):
    """The file keeps sums of words' vectors and how often each word was used."""
    shape = transformers.MimiConfig(
        hidden_size=32, num_filters=4, upsampling_ratios=[5, 2], codebook_size=16, codebook_dim=12,
        vector_quantization_hidden_dimension=12, num_quantizers=6, upsample_groups=32, num_hidden_layers=2,
        intermediate_size=48, num_attention_heads=4, num_key_value_heads=4, sampling_rate=16_000,
    )  # fmt: skip
    network = randomised(transformers.MimiModel(shape), 3)
    rng = torch.Generator().manual_seed(4)
    state = network.state_dict()
    for name, each in state.items():
        if name.endswith("cluster_usage"):
            each.copy_(2.0 ** torch.randint(-1, 9, each.shape, generator=rng))
            state[name.replace("cluster_usage", "embed_sum")].mul_(each[:, None])
    named = {}
    for name, each in state.items():
        new = next((MIMI[start] + name.removeprefix(start) for start in MIMI if name.startswith(start)), name)
        named[new] = each.clone()
    assert len(named) == len(state)
    path = tmp_path / "model.safetensors"
    save_file(named, path)
    settings = {"rate": 16_000, "quantizers": 4, "head_width": 8}
    codec = load_tokenizer(bring(tokenizer=("mimi", path, settings)), device="cpu")
    frame = codec.tokenize(a_signal(), 3)
    assert frame.grid == (4, 21) and frame.quantizers == 4 and codec.bit_rate == 4 * 4 * 800
    padded = torch.from_numpy(np.pad(a_signal(), (0, 17)))[None, None]
    with torch.no_grad():
        codes = network.encode(padded, num_quantizers=4).audio_codes
        expected = network.decode(codes).audio_values[0, 0].numpy()
    assert len(codes.unique()) > 6 and np.array_equal(frame.tokens, codes.flatten())
    assert expected.std() > 1e-3 and codec.detokenize(frame) == pytest.approx(expected, abs=1e-4)


def test_lost_words(bring, encodec, tmp_path):
    """A lost word takes those of finer quantizers with it; lost columns repeat what came, and fade; else silence."""
    path = encodec_file(encodec, tmp_path / "model.safetensors")
    codec = load_tokenizer(bring(tokenizer=("encodec", path, {"rate": 16_000, "quantizers": 4})), device="cpu")
    frame = codec.tokenize(a_signal())
    words = frame.tokens.reshape(frame.grid)

    def sound(words):
        return codec.detokenize(frame.with_tokens(words.ravel()))

    one, more = words.copy(), words.copy()
    one[1, 7] = LOST
    more[1:, 7] = LOST
    assert np.array_equal(sound(one), sound(more)) and not np.array_equal(sound(one), sound(words))
    late = words.copy()
    late[:, 30:] = LOST
    assert np.array_equal(
        sound(late)[:240], sound(words)[:240]
    )  # the network is causal, but for its convolutions' ends
    nothing = np.full_like(words, LOST)
    assert np.isfinite(sound(nothing)).all() and np.ptp(sound(nothing)[200:300]) < np.ptp(sound(words)[200:300])


def test_signals_and_frames_that_do_not_fit_are_named(bring, encodec, tmp_path):
    path = encodec_file(encodec, tmp_path / "model.safetensors")
    codec = load_tokenizer(bring(tokenizer=("encodec", path, {"rate": 16_000, "quantizers": 4})), device="cpu")
    for bad in (np.zeros(0, np.float32), np.zeros((2, 3), np.float32), np.zeros(4, np.int16)):
        with pytest.raises(ParameterError, match="a signal must be a 1-D array of 1 to 9600000 floats, not"):
            codec.tokenize(bad)
    with pytest.raises(ParameterError, match="not finite"):
        codec.tokenize(np.array([np.nan], np.float32))
    frame = codec.tokenize(a_signal())
    codec.quantizers = 2
    with pytest.raises(FrameError, match="grid 2 x columns"):
        codec.detokenize(frame)
