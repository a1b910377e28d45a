"""Families of networks: lazily imported, and open for other packages."""

import subprocess
import sys
from dataclasses import MISSING, fields
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from tokcom.errors import ModelError
from tokcom.models import families
from tokcom.models.codebooks import codebook
from tokcom.models.families import FAMILIES, Family, family
from tokcom.models.zoo import load_tokenizer


def bring(monkeypatch, **others):
    """Let another package bring families."""
    found = {name: EntryPoint(name, value, families.ENTRY_POINTS) for name, value in others.items()}
    monkeypatch.setattr(families, "_others", lambda: found)


MINE = Family("tokcom.tokenizers.vq_network:VQConfig", "tokcom.tokenizers.vq_network:VQNetwork", f"{__name__}:mine")


def mine(network, codebook, **options):
    """A tokenizer of another package."""
    return "mine", network, codebook, options


def test_a_family_of_another_package_is_loaded_as_our_own(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "their_families", sys.modules[__name__])
    bring(monkeypatch, theirs="their_families:MINE")
    card = tiny_model / "card.json"
    card.write_text(card.read_text().replace('"family": "vq"', '"family": "theirs"'))
    made, network, name, _ = load_tokenizer(str(tiny_model))
    assert made == "mine" and name == codebook(str(tiny_model)).name
    assert network.codebook.shape == (32, 8) and np.isfinite(network.codebook.numpy()).all()


def test_what_no_one_brings_is_named(monkeypatch):
    bring(monkeypatch, theirs="no_such_module:FAMILY", odd="math:pi")
    with pytest.raises(ModelError, match=r"family 'mamba' is unknown; it must be one of vq, .*theirs, odd"):
        family("mamba")
    with pytest.raises(ModelError, match="'theirs' of no_such_module:FAMILY cannot be loaded: No module named"):
        family("theirs")
    with pytest.raises(ModelError, match=r"'odd': math:pi is 3\.14.*, not a tokcom\.models\.families\.Family"):
        family("odd")


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_names_is_there(name):
    found = family(name)
    try:
        network, config = found.network_class(), found.config_class()
    except ModelError as error:
        pytest.skip(str(error))
    assert callable(network) and callable(found.user())
    if all(each.default is not MISSING for each in fields(config)):  # some have no usual shape
        with torch.device("meta"):
            assert network(config()) is not None


def test_naming_families_imports_none_of_them():
    program = "import sys, tokcom.models.families; print([m for m in sys.modules if 'network' in m or m == 'torch'])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
