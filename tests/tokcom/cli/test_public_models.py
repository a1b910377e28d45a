"""Commands for public models: the licence is shown and accepted, files are matched, problems are one line."""

import json
import sys

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main


def run(*arguments):
    return CliRunner().invoke(main, ["models", *arguments])


def test_a_licence_must_be_accepted():
    """Without a terminal nobody can be asked: an option accepts it."""
    result = run("fetch", "vqgan-maskgit")
    assert result.exit_code == 2 and "Licence of the weights: MIT. Training data: ImageNet-1k." in result.output
    assert "call again with --accept-licence" in result.output


def test_fetching_without_internet_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = run("fetch", "vqgan-maskgit", "--accept-licence", "--to", str(tmp_path))
    assert result.exit_code == 1 and "huggingface_hub is not installed: pip install" in result.output


def test_importing_names_what_is_missing(tmp_path):
    result = run("import", "vqgan-maskgit", "--from", str(tmp_path / "last.ckpt"), "--to", str(tmp_path))
    assert result.exit_code == 1 and "last.ckpt: No such file" in result.output
    result = run("import", "amused-256", "--from", "text=model.safetensors", "vocab.json", "--to", str(tmp_path))
    assert result.exit_code == 1 and "the text of amused-256 needs merges.txt, too" in result.output
    result = run("import", "gpt-9", "--from", "x")
    assert result.exit_code == 1 and "no public model 'gpt-9'" in result.output


def test_the_list_has_what_can_be_fetched(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = run("list")
    assert result.exit_code == 0 and "vqgan-maskgit" in result.output and "openrail++" in result.output
    listed = json.loads(run("list", "--json").output)
    assert all("folder" in row for row in listed)


@pytest.mark.parametrize("installed", [{"vqgan-maskgit"}, set()], ids=["installed", "not installed"])
def test_rows_say_what_a_model_takes(installed):
    from tokcom.cli.public_models import public_rows

    rows = {row["name"]: row for row in public_rows(installed)}
    assert ("vqgan-maskgit" in rows) != ("vqgan-maskgit" in installed)
    row = rows["rar-b"]
    assert row["gigabytes"] == pytest.approx(0.63, abs=0.02) and row["memory_gb"] == 2 * row["gigabytes"]
    assert row["seconds"] > 0 and rows["dac-16khz"]["seconds"] is None
