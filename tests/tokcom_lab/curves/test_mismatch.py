import numpy as np
import pytest
import torch

from tokcom.errors import TokcomError
from tokcom.frame import TokenFrame
from tokcom.models.zoo import load_context
from tokcom_lab.curves import mismatch

pytest.importorskip("constriction")


@pytest.fixture
def frames(tiny_model):
    prior, rng = load_context(str(tiny_model), "cpu"), np.random.default_rng(0)
    return [TokenFrame(rng.integers(0, 32, 16), prior.codebook, 32, (4, 4), cmi=n % 3 or None) for n in range(3)]


@pytest.fixture
def here(monkeypatch):
    """Machines are this process, and there are no others than of PyTorch."""

    def run(machine, task, material, model, turns, progress):
        threads = torch.get_num_threads()
        mismatch._work(mismatch._job(machine, task, material, model, turns))
        torch.set_num_threads(threads)

    monkeypatch.setattr(mismatch, "_run", run)
    monkeypatch.setattr(mismatch, "DECODERS", dict(list(mismatch.DECODERS.items())[:1]))


def test_machines_decode_what_another_has_coded(frames, here, tiny_model, tmp_path):
    found = mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path)
    ((name, condition),) = found["conditions"].items()
    assert "SSE4.1" in name and condition["largest_difference"] < 1e-4
    assert (found["blocks"], found["wrong"]) == (3, 0)


def test_wrong_blocks_are_counted(frames, here, tiny_model, tmp_path):
    mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path)
    (decoded,), (coded,) = tmp_path.glob("*.decode-0"), tmp_path.glob("*.tkc")
    decoded.unlink()
    data = bytearray(coded.read_bytes())
    data[-1] ^= 0x80  # of the last frame, sent raw
    coded.write_bytes(data)
    assert mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path)["wrong"] == 1


def test_what_is_done_is_not_done_again(frames, here, tiny_model, tmp_path):
    first = mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path)
    (coded,) = tmp_path.glob("*.tkc")
    coded.write_bytes(b"")
    assert mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path) == first


def test_a_process_that_fails_says_why(frames, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(mismatch.sys, "executable", "/bin/false")
    with pytest.raises(TokcomError, match="encode, torch: it ended with code 1"):
        mismatch.count_mismatches(frames, str(tiny_model), 2, cache=tmp_path)
