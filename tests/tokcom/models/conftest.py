import json

import pytest
import torch

from tokcom.bounded_cache import BoundedCache
from tokcom.device import network_bytes
from tokcom.models import networks
from tokcom.models.families import family
from tokcom_lab.training.export import Run, export_part


@pytest.fixture
def edited():
    """Changes entries of a folder's card."""

    def edit(folder, **changes):
        path = folder / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.fixture
def edited_part(edited):
    """Changes entries of a part in a folder's card."""

    def edit(folder, part, **changes):
        card = json.loads((folder / "card.json").read_text())
        edited(folder, **{part: card[part] | changes})

    return edit


@pytest.fixture
def retrained():
    """Writes other weights of a part, as a training does."""

    def train(folder, part):
        card = json.loads((folder / "card.json").read_text())[part]
        config_class, network_class = family(card["family"]).config_class(), family(card["family"]).network_class()
        config = config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in card["config"].items()})
        torch.manual_seed(1)
        run = Run("none", "none", 0, 0, 0.0)
        export_part(folder, part, card["family"], network_class(config), {}, run, ("cat", "dog", "owl"))

    return train


@pytest.fixture
def nothing_loaded(monkeypatch):
    """A process that holds no network yet: of one that does, the file is not read again."""
    monkeypatch.setattr(networks, "_kept", BoundedCache(networks.KEPT_BYTES, network_bytes))
    monkeypatch.setattr(networks, "_in_use", {})
