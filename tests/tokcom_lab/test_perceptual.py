import pytest

from tokcom.errors import ModelError
from tokcom_lab import perceptual
from tokcom_lab.perceptual import LIKENESSES


@pytest.mark.parametrize("name", LIKENESSES)
def test_a_package_that_is_missing_is_named(name, tmp_path, monkeypatch):
    def missing(package):
        raise ImportError

    monkeypatch.setattr(perceptual, "import_module", missing)
    with pytest.raises(ModelError, match=r"(lpips|open_clip) is not installed"):
        LIKENESSES[name](tmp_path)


@pytest.mark.parametrize("name", LIKENESSES)
def test_a_package_that_breaks_says_why(name, tmp_path, monkeypatch):
    def broken(package):
        raise RuntimeError("built for another PyTorch")

    monkeypatch.setattr(perceptual, "import_module", broken)
    with pytest.raises(ModelError, match="cannot be imported: built for another PyTorch"):
        LIKENESSES[name](tmp_path)


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("name", LIKENESSES)
def test_weights_that_are_missing_are_said(name, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(perceptual, "import_module", lambda package: None)
    with pytest.raises(ModelError, match="weights not installed"):
        LIKENESSES[name](tmp_path if folder else None)
