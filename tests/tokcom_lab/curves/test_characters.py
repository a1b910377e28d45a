"""Energy per character: what each way of sending a text costs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

zstandard = pytest.importorskip("zstandard", reason="the packages of requirements/text.txt are not installed")

from tokcom.cli.main import main  # noqa: E402
from tokcom.models.text import load_text_tokenizer  # noqa: E402
from tokcom.models.zoo import load_context  # noqa: E402
from tokcom_lab.curves.characters import bits_of, block_is_wrong, compressor, symbols_of  # noqa: E402

PROSE = "The rain on the other train stays there, and the others are here."


def test_bits_are_those_of_real_codes(tiny_text_model):
    tokenizer, prior = load_text_tokenizer(str(tiny_text_model)), load_context(str(tiny_text_model))
    zstd = compressor([PROSE])
    found = bits_of(PROSE, tokenizer, prior, zstd)
    assert found["ascii"] == 8 * len(PROSE) and found["zstd"] < found["ascii"] / 4  # it knows the text
    raw = zstandard.ZstdCompressionDict(PROSE.encode(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=raw, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    unpacked = reader.decompress(zstd.compress(PROSE.encode()), max_output_size=1000)
    assert unpacked == PROSE.encode()
    tokens = tokenizer.tokenize(PROSE).tokens
    logs = prior.log_probabilities(tokens[None], np.ones((1, len(tokens)), bool), [None])
    bits = -sum(logs[place, token] for place, token in enumerate(tokens)) / np.log(2)
    assert found["arithmetic"] == pytest.approx(bits + 2, abs=1.5)


def test_blocks_fail_in_noise_and_only_there():
    rng = np.random.default_rng(0)
    assert not any(block_is_wrong(500, 12.0, rng) for _ in range(5))
    assert all(block_is_wrong(500, 0.0, rng) for _ in range(5))
    # K=7, rate 1/2, six bits of tail, four bits per symbol.
    assert symbols_of(100) == 53


def test_the_command_writes_figures_and_a_picture(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, figures, svg = tmp_path / "prose.txt", tmp_path / "figures.json", tmp_path / "curve.svg"
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(30)), encoding="utf-8")
    arguments = ["bench", "characters", "--data", str(data), "--model", str(tiny_text_model), "--messages", "2"]
    arguments += ["--shortest", "10", "--longest", "12", "--esn0-db", "3,30", "--svg", str(svg), "--json", str(figures)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(figures.read_text(encoding="utf-8"))
    schemes = {"ascii", "zstd", "arithmetic", "frequencies", "context"}
    assert set(content["schemes"]) == schemes and len(content["curve"]) == 10
    assert all(point["message_errors"] == 0 for point in content["curve"] if point["esn0_db"] == 30)
    assert svg.stat().st_size > 5000
