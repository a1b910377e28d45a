import gc
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tokcom", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tokcom")

QUICK = (
    "tests/blocks/test_pdu_blocks.py",
    "tests/docs/test_docs.py::test_every_key",
    "tests/docs/test_docs.py::test_the_manual",
    "tests/docs/test_docs.py::test_what",
    "tests/examples/test_grc.py::test_every_block",
    "tests/test_packages.py::test_every_file",
    "tests/tokcom/",
    "tests/tokcom_lab/",
    "tests/tokcom_lab/training/test_training.py::test_folder_and_archive",
    "tests/wrong_uses/",
)  # fmt: skip
"""Beginnings of the names of tests that --quick takes: some of every subject."""
SLOW = Path(__file__).with_name("slow.txt")
"""And of those that it leaves out: tests whose variants together take `SLOW_S` or more. `./run test --find-slow` writes
the file; with --quick, it adds those that have become slow, as where a fixture was made by a test that is left out."""
SLOW_S = 0.25


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="the tests that take about a minute together")
    parser.addoption("--find-slow", action="store_true", help=f"write {SLOW.name}, which --quick leaves out")


def pytest_configure(config):
    from tokcom.interruption import end_in_order

    end_in_order(lambda: pytest.exit("stopped by SIGTERM"))
    if config.getoption("--find-slow") and not hasattr(config, "workerinput"):
        known = SLOW.read_text().splitlines() if config.getoption("--quick") else []
        config.pluginmanager.register(SlowTests(known))


class SlowTests:
    """Adds up how long each test takes, with all its variants, and writes the slow ones."""

    def __init__(self, known):
        self._known, self._seconds = set(known), defaultdict(float)

    def pytest_runtest_logreport(self, report):
        self._seconds[report.nodeid.partition("[")[0]] += report.duration

    def pytest_sessionfinish(self):
        slow = {name for name, seconds in self._seconds.items() if seconds >= SLOW_S and is_quick(name, ())}
        SLOW.write_text("".join(f"{name}\n" for name in sorted(slow | self._known)))


def is_quick(name, slow):
    return name.startswith(QUICK) and name.partition("[")[0] not in slow


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--quick"):
        return
    slow = set(SLOW.read_text().splitlines())
    kept, left_out = [], []
    for item in items:
        (kept if is_quick(item.nodeid, slow) else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_collection_finish():
    """Take what the tests were made of from the garbage collector, which would look at all of it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Stop the flowgraphs that a failed test leaves running. Its traceback holds them; collected as garbage later, they
    would wait for their threads, and these for the interpreter's lock, which the collector has."""
    report = yield
    radio = sys.modules.get("gnuradio.gr")
    if report.failed and radio is not None:
        for flowgraph in [each for each in gc.get_objects() if isinstance(each, radio.top_block)]:
            flowgraph.stop()
            flowgraph.wait()
    return report


# No window.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def termination_stays():
    """Fails a test that leaves a handler of SIGTERM behind: forks of later tests would not end."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture(scope="session")
def photographs():
    """Paths of four photographs."""
    from tokcom.tokenizers.pictures import sample_pictures

    return sample_pictures()


@pytest.fixture
def tiny_model(make_tiny_model, tmp_path):
    """Folder of a complete model with random weights: 16 x 16 pixels, 4 x 4 tokens of 32 words, 3 classes."""
    return make_tiny_model(tmp_path / "zoo")


@pytest.fixture(scope="session")
def make_tiny_model():
    """Makes such a model in a folder of models."""

    def make(models):
        import torch

        from tokcom.context.classifier_network import ClassifierConfig, ClassifierNetwork
        from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
        from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
        from tokcom_lab.training.export import Run, export_part

        torch.manual_seed(0)
        folder = models / "tiny"
        run = Run("none", "none", 0, 0, 0.0)
        classes = ("cat", "dog", "owl")
        vq = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1))
        export_part(folder, "tokenizer", "vq", vq, {}, run, classes)
        maskgit = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2))
        export_part(folder, "context", "maskgit", maskgit, {}, run, classes)
        classifier = ClassifierNetwork(ClassifierConfig(16, 3, (4, 8)))
        export_part(folder, "classifier", "classifier", classifier, {}, run, classes)
        return folder

    return make


@pytest.fixture
def tiny_video_model(tiny_model):
    """Folder of the tiny model with a prior of videos, and a search for tokens."""
    import json

    import torch

    from tokcom.context.following_network import FollowingConfig, FollowingNetwork
    from tokcom_lab.training.export import Run, export_part

    torch.manual_seed(1)
    following = FollowingNetwork(FollowingConfig(32, 4, 4, 3, 16, 1, 2, 3, 2))
    torch.nn.init.normal_(following.source.weight, std=0.5)
    export_part(
        tiny_model, "following", "following", following, {}, Run("none", "none", 0, 0, 0.0), ("cat", "dog", "owl")
    )
    path = tiny_model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["tokenizer"]["search"] = {"rate": 0.1, "visits": 1}
    path.write_text(json.dumps(card), encoding="utf-8")
    return tiny_model


@pytest.fixture(scope="session")
def qt():
    """The Qt application that windows need; without a display."""
    from PyQt5.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture(scope="session")
def tiny_text_model(tmp_path_factory):
    """Folder of a model of text with random weights: byte-level BPE of 300 words, of which the first two are control
    words."""
    import json

    import numpy as np
    import torch

    tokenizers = pytest.importorskip("tokenizers", reason="the packages of requirements/text.txt are not installed")
    from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
    from tokcom.models.text_export import write_text_model

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [[a, b] for a in "theraion" for b in "thersn"][:42]
    words = ["<|end|>", "<|none|>", *alphabet, *dict.fromkeys("".join(merge) for merge in merges)]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocabulary = {
        "version": "1.0", "normalizer": None, "post_processor": None, "pre_tokenizer": by_bytes, "decoder": by_bytes,
        "added_tokens": [{"id": number, "content": words[number], **plain} for number in (0, 1)],
        "model": {"type": "BPE", "vocab": {word: place for place, word in enumerate(words)}, "merges": merges},
    }  # fmt: skip
    torch.manual_seed(0)
    network = LlamaNetwork(LlamaConfig(len(words), 24, 2, 6, 2, 32, 256, 1e4, 1e-5, 0, (0,)))
    for each in network.parameters():
        each.data = torch.randn_like(each) * 0.2
    folder = tmp_path_factory.mktemp("zoo") / "tiny-text"
    about = {"name": "tiny-text", "description": "random weights", "licence": "none", "data": "none"}
    even = np.full(len(words), 1 / len(words), np.float32)
    write_text_model(folder, about, json.dumps(vocabulary), network.eval().requires_grad_(False), even)
    return folder


@pytest.fixture(scope="session")
def tiny_speech_model(tmp_path_factory):
    """Folder of a model of speech with random weights: 4 quantizers of 128 words, a prior of 12 frames."""
    import torch

    from tokcom.context.speech_prior_network import SpeechPriorConfig, SpeechPriorNetwork
    from tokcom.tokenizers.speech_network import SpeechConfig, SpeechNetwork
    from tokcom_lab.training.export import Run, export_part

    torch.manual_seed(0)
    config = SpeechConfig(width=24, detail_width=16, encoder_blocks=1, decoder_blocks=1, detail_blocks=1)
    prior = SpeechPriorNetwork(SpeechPriorConfig(frames=12, width=16, depth=1, heads=2))
    folder, run = tmp_path_factory.mktemp("models") / "tinyspeech", Run("./run speech train", "none", 0, 0, 0.0)
    export_part(folder, "tokenizer", "speech", SpeechNetwork(config), {}, run, (), modality="speech")
    export_part(folder, "context", "speech-prior", prior, {}, run, ())
    return folder
