import json
import os

import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder that a user stands in, with things in it that are not what they should be."""
    folder = tmp_path / "place"
    for name in ("empty", "models/bare", "data/train/owl"):
        (folder / name).mkdir(parents=True)
    (folder / "text.png").write_text("no picture")
    (folder / "broken.sigmf-meta").write_text("{")
    described = {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": 1e6}
    lonely = {"global": described, "captures": [], "annotations": []}
    (folder / "lonely.sigmf-meta").write_text(json.dumps(lonely))
    (folder / "file").write_text("a file")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def nothing_left(place):
    """Fails where anything has come, gone or grown in the user's folder."""

    def content():
        return sorted((str(entry.relative_to(place)), entry.stat().st_size) for entry in place.rglob("*"))

    before = content()
    yield
    assert content() == before
    assert os.getcwd() == str(place)
