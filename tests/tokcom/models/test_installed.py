import shutil
from pathlib import Path

import pytest

from tokcom.errors import ModelError
from tokcom.models.folders import PUBLISHED, list_models
from tokcom.models.installed import model_card


def test_an_unknown_model_is_answered_with_those_installed(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    with pytest.raises(ModelError, match=r"no model 'huge'; installed: tiny"):
        model_card("huge")


def test_a_folder_without_a_card_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"card\.json: no such file"):
        model_card(str(tmp_path))


def test_hidden_folders_are_no_models(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    shutil.copytree(tiny_model, tiny_model.parent / ".trash")
    assert "tiny" in list_models() and ".trash" not in list_models()


def test_the_shipped_models_say_where_they_come_from():
    shipped = [name for name, folder in list_models().items() if folder.parent != Path.cwd() / PUBLISHED]
    assert "caltech64" in shipped
    for name in shipped:
        content = model_card(name).content
        assert content["licence"] and content["data"]["licence"] and content["description"]
        assert all({"seed", "hours", "command"} <= content[part]["training"].keys() for part in model_card(name).parts)
