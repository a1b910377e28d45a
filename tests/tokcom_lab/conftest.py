import json
import shutil

import pytest

from tokcom.models.installed import model_card


@pytest.fixture(scope="session")
def adaptive_text_model(tiny_text_model, tmp_path_factory):
    """A copy of the tiny model of text, with the residual errors of a model of pictures, which need not be right for
    it."""
    folder = tmp_path_factory.mktemp("adaptive") / "model"
    shutil.copytree(tiny_text_model, folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["context"]["residual"] = model_card("caltech64").part("context")["residual"] | {
        "context": card["context"]["sha256"]
    }
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder
