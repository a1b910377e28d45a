"""Calibrations that come with the package."""

from pathlib import Path

import pytest

from tokcom.models import shipped_fits
from tokcom.models.card import Card
from tokcom.models.shipped_fits import FITS, with_fits


def card(name="smollm2", **context):
    return Card(Path("model"), {"name": name, "context": {"family": "llama", "sha256": "abc"} | context})


@pytest.fixture
def shipped(monkeypatch):
    """Two calibrations, the second of other weights."""
    fits = {"acceptance": {"context": "abc", "log_odds": [1]}, "residual": {"context": "other"}}
    monkeypatch.setattr(shipped_fits, "_shipped", lambda name: fits)


def test_a_card_gets_what_was_fitted_to_its_weights(shipped):
    given = card()
    found = with_fits(given).content["context"]
    assert found["acceptance"] == {"context": "abc", "log_odds": [1]} and "residual" not in found
    assert found["sha256"] == "abc" and "acceptance" not in given.content["context"]


def test_what_a_card_has_and_what_is_not_of_it_stays(shipped):
    own = {"context": "abc", "log_odds": [2]}
    assert with_fits(card(acceptance=own)).content["context"]["acceptance"] == own
    for other in (card("mine"), card(sha256="def"), Card(Path("model"), {"name": "smollm2"})):
        assert with_fits(other) == other


def test_every_shipped_file_names_the_weights_and_the_command():
    for name in FITS.values():
        for entry in shipped_fits._shipped(name).values():
            assert len(entry["context"]) == 64 and entry["command"].startswith("./run ")
