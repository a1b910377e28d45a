import gc
import os
import signal

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
SLOW = (
    "tests/blocks/test_pdu_blocks.py::test_metadata_is_forwarded_and_time_is_kept[burst_demodulator]",
    "tests/blocks/test_pdu_blocks.py::test_pictures_of_several_models",
    "tests/blocks/test_pdu_blocks.py::test_pictures_that_come_too_fast",
    "tests/blocks/test_pdu_blocks.py::test_tokenizer_searches_as_the_library_does",
    "tests/tokcom/adaptation/test_cqi.py::test_on_a_flat_channel_effective",
    "tests/tokcom/adaptation/test_mcs.py::test_packets_fail_as_often",
    "tests/tokcom/adaptation/test_mcs.py::test_where_a_tenth_of_packets_of_any_size_is_predicted_a_tenth_fails",
    "tests/tokcom/adaptation/test_outer_loop.py::test_it_finds_the_target_on_bernoulli_losses[-4",
    "tests/tokcom/adaptation/test_outer_loop.py::test_it_finds_the_target_on_bernoulli_losses[3",
    "tests/tokcom/channel/test_fading.py::test_autocorrelation",
    "tests/tokcom/channel/test_fading.py::test_magnitudes",
    "tests/tokcom/channel/test_fading.py::test_the_fourth_moment",
    "tests/tokcom/channel/test_model.py::test_the_stream_does_not_depend_on_cuts",
    "tests/tokcom/channel/test_multipath.py::test_mean_power_of_the_taps_is_1_over_the_band_in_use",
    "tests/tokcom/channel/test_oscillator.py::test_a_clock_offset_samples_tones",
    "tests/tokcom/coding/test_list_decoding.py::test_a_proven_winner",
    "tests/tokcom/coding/test_list_decoding.py::test_packets_whose_crcs_are_preset",
    "tests/tokcom/coding/test_list_decoding.py::test_posteriors_count",
    "tests/tokcom/coding/test_list_decoding.py::test_the_bound_holds",
    "tests/tokcom/cli/test_text.py",
    "tests/tokcom/coding/test_list_decoding.py::test_without_a_check_posteriors_are_exact",
    "tests/tokcom/context/test_causal_beams.py",
    "tests/tokcom/context/test_recovery.py::test_draws_follow",
    "tests/tokcom/link/test_bursts.py::test_the_longest_bursts",
    "tests/tokcom/link/test_bursts.py::test_three_paths",
    "tests/tokcom/link/test_faults.py::test_a_flood",
    "tests/tokcom/link/test_faults.py::test_bad_and_loud",
    "tests/tokcom/link/test_faults.py::test_samples_missing",
    "tests/tokcom/link/test_faults.py::test_two_bursts",
    "tests/tokcom/link/test_recovery.py::test_acceptance_follows",
    "tests/tokcom/link/test_recovery.py::test_packets_that_were_not_sent_are_guessed_beside",
    "tests/tokcom/link/test_recovery.py::test_sound_packets_pass",
    "tests/tokcom/link/test_recovery.py::test_what_no_code_word_explains",
    "tests/tokcom/link/test_recovery_set.py::test_frames_that_wait",
    "tests/tokcom/models/test_onnx_export.py",
    "tests/tokcom_lab/edge/test_load.py",
    "tests/tokcom/modulation/test_direct.py::test_confusion_of_squares",
    "tests/tokcom/models/test_text.py",
    "tests/tokcom/models/test_text_import.py",
    "tests/tokcom/modulation/test_semantic.py::test_bisection_of_the_largest_codebook",
    "tests/tokcom/phy/test_detector.py::test_the_metric_is_the_share",
    "tests/tokcom/phy/test_fading.py::test_the_estimate_is_the_least",
    "tests/tokcom/phy/test_header_codec.py::test_any_header_comes_back_at_any_scale",
    "tests/tokcom/phy/test_searcher.py::test_a_burst_as_long",
    "tests/tokcom/phy/test_searcher.py::test_bursts_are_found_among_impulses",
    "tests/tokcom/phy/test_searcher.py::test_bursts_are_found_beside",
    "tests/tokcom/phy/test_searcher.py::test_bursts_are_the_same_however",
    "tests/tokcom/phy/test_searcher.py::test_memory_is_constant",
    "tests/tokcom/phy/test_searcher.py::test_no_burst_is_found_where_none_is[hum]",
    "tests/tokcom/phy/test_second_implementation.py::test_both_transmitters_send_the_same_samples[more cells",
    "tests/tokcom/phy/test_second_implementation.py::test_both_transmitters_send_the_same_samples[the largest",
    "tests/tokcom/phy/test_second_implementation.py::test_both_transmitters_send_the_same_samples[the longest ext",
    "tests/tokcom/phy/test_tracking.py::test_a_steady_turn",
    "tests/tokcom/phy/test_tracking.py::test_cells_that_are_not_known",
    "tests/tokcom/recording/test_reader.py::test_chunks_hold_every_sample",
    "tests/tokcom/source/test_blocks.py::test_a_decoder_that_is",
    "tests/tokcom/source/test_blocks.py::test_damage",
    "tests/tokcom/source/test_blocks.py::test_photographs",
    "tests/tokcom/source/test_blocks.py::test_round_trip",
    "tests/tokcom/test_house.py::test_importing_loads_no_more_than_it_needs[tokcom.models.zoo",
    "tests/tokcom/test_processors.py::test_linear_algebra",
    "tests/tokcom/test_processors.py::test_threads_that_wait",
    "tests/tokcom/tokenizers/test_pictures.py::test_a_large_picture",
    "tests/tokcom/tokenizers/test_pictures.py::test_a_photograph_of_108",
    "tests/tokcom/tokenizers/test_rate_distortion.py::test_a_higher_rate",
    "tests/tokcom/tokenizers/test_rate_distortion.py::test_what_it_finds",
    "tests/tokcom_lab/air/test_genie.py",
    "tests/tokcom_lab/air/test_paths.py::test_a_fading_path",
    "tests/tokcom_lab/air/test_paths.py::test_powers_of_rayleigh",
    "tests/tokcom_lab/air/test_sections.py",
    "tests/tokcom_lab/case_study/test_picture_codecs.py::test_any_beginning",
    "tests/tokcom_lab/case_study/test_picture_codecs.py::test_the_budget",
    "tests/tokcom_lab/case_study/test_report.py",
    "tests/tokcom_lab/case_study/test_schedule.py",
    "tests/tokcom_lab/cli/test_bench",
    "tests/tokcom_lab/cli/test_cli.py::test_calibrate",
    "tests/tokcom_lab/cli/test_cli.py::test_models_map",
    "tests/tokcom_lab/curves/test_adaptation_bench.py",
    "tests/tokcom_lab/curves/test_context_curve.py",
    "tests/tokcom_lab/curves/test_finite_length.py::test_the_bound_on",
    "tests/tokcom_lab/curves/test_mapping_curve.py",
    "tests/tokcom_lab/curves/test_packet_sizes.py::test_thresholds",
    "tests/tokcom_lab/curves/test_photograph_quality.py",
    "tests/tokcom_lab/curves/test_text_curve.py",
    "tests/tokcom_lab/curves/test_waveform.py::test_bursts_lose",
    "tests/tokcom_lab/curves/test_waveform.py::test_nothing",
    "tests/tokcom_lab/curves/test_waveform.py::test_the_robust",
    "tests/tokcom_lab/multiple_access/",
    "tests/tokcom_lab/test_faults.py",
    "tests/tokcom_lab/training/test_dataset.py::test_a_zip_holds",
    "tests/tokcom_lab/training/test_dataset.py::test_several_sources",
    "tests/tokcom_lab/training/test_labels.py::test_every_purpose",
    "tests/tokcom_lab/training/test_losses.py::test_the_critic",
    "tests/tokcom_lab/training/test_neighbours.py::test_what_neighbours_tell",
    "tests/tokcom_lab/training/test_photograph_runs.py",
    "tests/tokcom_lab/training/test_pyramid.py",
    "tests/tokcom_lab/training/test_sentence_maskgit.py",
    "tests/tokcom_lab/training/test_training.py",
    "tests/wrong_uses/test_commands.py::test_another_users",
    "tests/wrong_uses/test_commands.py::test_ctrl_c",
    "tests/wrong_uses/test_commands.py::test_the_doctor_before",
)  # fmt: skip
"""And of those that it leaves out: they take a quarter of a second or more. Of several that fit, the longest counts."""


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


def pytest_collection_finish():
    """Take what the tests were made of from the garbage collector, which would look at all of it again and again."""
    gc.collect()
    gc.freeze()


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
