import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tokcom.cli.main import main
from tokcom.models.zoo import load_tokenizer
from tokcom.source.container import from_bytes
from tokcom.tokenizers.pictures import load_picture

pytest.importorskip("constriction")
pytest.importorskip("tokenizers", reason="the packages of requirements/text.txt are not installed")


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.png" for name in ("cat", "owl at night", "dog")]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def compressed(pictures, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    file = tmp_path / "three.tkc"
    done = CliRunner().invoke(main, ["compress", *map(str, pictures), "--model", "tiny", "-o", str(file)])
    assert done.exit_code == 0, done.output
    assert f"3 pictures, 48 tokens in {file.stat().st_size} bytes" in done.stdout and "5 uncoded" in done.stdout
    return file


def test_pictures_come_back_as_their_tokens_show_them(pictures, compressed, tiny_model, tmp_path):
    done = CliRunner().invoke(main, ["decompress", str(compressed), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0 and "3 of 3 pictures" in done.stdout, done.output
    tokenizer = load_tokenizer(str(tiny_model), 0)
    for number, path in enumerate(pictures, 1):
        found = np.asarray(Image.open(tmp_path / f"out/three-{number:04d}-{path.stem}.png"))
        shown = tokenizer.detokenize(tokenizer.tokenize(load_picture(path)))
        np.testing.assert_array_equal(found, shown)


@pytest.mark.parametrize("choice", ["spread", "regions"])
def test_pictures_are_thinned_to_a_size_and_filled_in(pictures, compressed, tiny_model, tmp_path, choice):
    file = tmp_path / "small.tkc"
    arguments = [
        "compress",
        *map(str, pictures),
        "--model",
        "tiny",
        "-o",
        str(file),
        "--bytes",
        "8",
        "--choice",
        choice,
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    coded = from_bytes(file.read_bytes())
    rules = [len(outline.thinning) for outline in coded.outlines]
    assert all(rules) and max(len(block) + rule for block, rule in zip(coded.blocks, rules, strict=True)) <= 8
    done = CliRunner().invoke(main, ["decompress", str(file), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0 and "3 of 3 pictures" in done.stdout, done.output
    assert len(list((tmp_path / "out").glob("small-*.png"))) == 3


def test_a_damaged_block_is_told_and_the_rest_written(compressed, tmp_path, monkeypatch):
    from tokcom.source.container import CodedFrames, to_bytes

    coded = from_bytes(compressed.read_bytes())
    wrong = bytes([coded.blocks[0][0] ^ 0x80]) + coded.blocks[0][1:]
    damaged = CodedFrames(coded.outlines * 2, coded.names * 2, coded.turns, 3, (coded.blocks[0], wrong[:2]))
    compressed.write_bytes(to_bytes(damaged))
    done = CliRunner().invoke(main, ["decompress", str(compressed), "--to", str(tmp_path)])
    assert done.exit_code == 1 and "3 of 6 pictures" in done.stdout
    assert f"{compressed}: block 2 of 2 (frames 4 to 6): " in done.output


def test_files_that_cannot_be_read(compressed, tmp_path, monkeypatch):
    file = tmp_path / "bad.tkc"
    for data, says in (
        (b"", "ends after 0 bytes"), (b"\x89PNG", "not a file of coded tokens"),
        (compressed.read_bytes()[:-3], "truncated"),
    ):  # fmt: skip
        file.write_bytes(data)
        done = CliRunner().invoke(main, ["decompress", str(file)])
        assert done.exit_code == 1 and done.output.startswith(f"Error: {file}: ") and says in done.output
    monkeypatch.delenv("TOKCOM_MODELS")
    done = CliRunner().invoke(main, ["decompress", str(compressed), "--to", str(tmp_path)])
    assert done.exit_code == 1 and "no model with codebook 'tiny@" in done.output


@pytest.fixture
def text_files(tmp_path):
    texts = {"a.txt": "the rain on the train\n" * 3, "b.md": "ñ"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return [tmp_path / name for name in texts]


def test_texts_come_back_byte_for_byte(text_files, tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_text_model.parent))
    file = tmp_path / "two.tkc"
    done = CliRunner().invoke(main, ["compress", *map(str, text_files), "--model", "tiny-text", "-o", str(file)])
    assert done.exit_code == 0, done.output
    assert f"2 texts, 68 bytes in {file.stat().st_size}; " in done.stdout
    done = CliRunner().invoke(main, ["decompress", str(file), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0 and "2 of 2 texts" in done.stdout, done.output
    for number, path in enumerate(text_files, 1):
        found = tmp_path / f"out/two-{number:04d}-{path.name}"
        assert found.read_bytes() == path.read_bytes()


def test_a_message_comes_back(tiny_text_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_text_model.parent))
    done = CliRunner().invoke(main, ["compress", "--message", "the rain", "--model", "tiny-text"])
    assert done.exit_code == 0, done.output
    (digits,) = re.findall("^[0-9a-f]+$", done.stdout, re.MULTILINE)
    assert 0 < len(bytes.fromhex(digits)) <= 9
    done = CliRunner().invoke(main, ["decompress", "--message", digits, "--model", "tiny-text"])
    assert done.exit_code == 0 and "the rain" in done.stdout.splitlines(), done.output


def test_files_that_cannot_be_compressed_together_or_at_all(text_files, pictures, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"ma\xf1ana")
    (tmp_path / "empty.txt").write_bytes(b"")
    for files, says in (
        ([*text_files, pictures[0]], "compress texts and pictures separately"),
        ([tmp_path / "latin.txt"], "byte 2 is not UTF-8"), ([tmp_path / "empty.txt"], "empty.txt is empty"),
    ):  # fmt: skip
        done = CliRunner().invoke(main, ["compress", *map(str, files)])
        assert done.exit_code == 1 and says in done.output
