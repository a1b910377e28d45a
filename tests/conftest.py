import os

import pytest
from hypothesis import settings

settings.register_profile("tokcom", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tokcom")

QUICK = (
    "tests/blocks/test_pdu_blocks.py",
    "tests/docs/test_docs.py::test_every_key",
    "tests/docs/test_docs.py::test_keys",
    "tests/docs/test_docs.py::test_the_manual",
    "tests/docs/test_docs.py::test_what",
    "tests/examples/test_grc.py::test_every_block",
    "tests/test_packages.py::test_every_file",
    "tests/tokcom/",
    "tests/tokcom_lab/",
    "tests/tokcom_lab/case_study/test_report.py::test_the_files",
    "tests/tokcom_lab/cli/test_bench.py::test_the_power",
    "tests/tokcom_lab/training/test_pyramid.py::test_a_step_and_a_measurement",
    "tests/tokcom_lab/training/test_training.py::test_folder_and_archive",
    "tests/wrong_uses/",
)  # fmt: skip
"""Beginnings of the names of tests that --quick takes: some of every subject."""
SLOW = (
    "tests/blocks/test_pdu_blocks.py::test_metadata_is_forwarded_and_time_is_kept[burst_demodulator]",
    "tests/blocks/test_pdu_blocks.py::test_metadata_is_forwarded_and_time_is_kept[image_",
    "tests/blocks/test_pdu_blocks.py::test_pictures_that_come_too_fast",
    "tests/tokcom/channel/test_fading.py::test_magnitudes",
    "tests/tokcom/channel/test_model.py::test_the_stream_does_not_depend_on_cuts",
    "tests/tokcom/channel/test_multipath.py::test_mean_power_of_the_taps_is_1_over_the_band_in_use",
    "tests/tokcom/coding/test_list_decoding.py::test_without_a_check_posteriors_are_exact",
    "tests/tokcom/link/test_bursts.py::test_the_longest_bursts",
    "tests/tokcom/link/test_faults.py::test_a_flood",
    "tests/tokcom/models/test_onnx_export.py",
    "tests/tokcom/modulation/test_semantic.py::test_bisection_of_the_largest_codebook",
    "tests/tokcom/phy/test_detector.py::test_the_metric_is_the_share",
    "tests/tokcom/phy/test_searcher.py::test_bursts_are_the_same_however",
    "tests/tokcom/phy/test_searcher.py::test_memory_is_constant",
    "tests/tokcom/phy/test_searcher.py::test_no_burst_is_found_where_none_is[hum]",
    "tests/tokcom/phy/test_tracking.py::test_a_steady_turn",
    "tests/tokcom/phy/test_tracking.py::test_cells_that_are_not_known",
    "tests/tokcom/recording/test_reader.py::test_chunks_hold_every_sample",
    "tests/tokcom/test_house.py::test_importing_loads_no_more_than_it_needs[tokcom.models.zoo",
    "tests/tokcom/test_processors.py::test_threads_that_wait",
    "tests/tokcom_lab/air/test_genie.py",
    "tests/tokcom_lab/air/test_sections.py",
    "tests/tokcom_lab/case_study/test_report.py",
    "tests/tokcom_lab/case_study/test_schedule.py",
    "tests/tokcom_lab/cli/test_bench",
    "tests/tokcom_lab/curves/test_adaptation_bench.py",
    "tests/tokcom_lab/curves/test_context_curve.py",
    "tests/tokcom_lab/curves/test_mapping_curve.py",
    "tests/tokcom_lab/curves/test_photograph_quality.py",
    "tests/tokcom_lab/test_faults.py",
    "tests/tokcom_lab/training/test_labels.py::test_every_purpose",
    "tests/tokcom_lab/training/test_losses.py::test_the_critic",
    "tests/tokcom_lab/training/test_neighbours.py::test_what_neighbours_tell",
    "tests/tokcom_lab/training/test_photograph_runs.py",
    "tests/tokcom_lab/training/test_pyramid.py",
    "tests/tokcom_lab/training/test_sentence_maskgit.py",
    "tests/tokcom_lab/training/test_training.py",
)  # fmt: skip
"""And of those that it leaves out: they take most of a second or more. Of several that fit, the longest decides."""


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="the tests that take about a minute together")


def is_quick(name):
    beginnings = [each for each in (*QUICK, *SLOW) if name.startswith(each)]
    return bool(beginnings) and max(beginnings, key=len) in QUICK


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--quick"):
        return
    kept, left_out = [], []
    for item in items:
        (kept if is_quick(item.nodeid) else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


# No window.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


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
