import json

import numpy as np

from tokcom.metrics.frame_report import frame_report, mean_report

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)


def report(received, recovered, **changed):
    arguments = {
        "image": "a", "esn0_db": 6.0, "packets": 4, "packets_lost": 1, "codebook_size": 1024, "cmi": None,
        "sent_tokens": np.arange(4), "received_tokens": np.array(received), "recovered_tokens": np.array(recovered),
        "sent": PICTURE, "tokenized": PICTURE, "lost": PICTURE ^ 1, "recovered": PICTURE ^ 1,
        "seconds": {"recovery": 0.25},
    }  # fmt: skip
    return frame_report(**arguments | changed)


def test_figures_of_a_frame():
    figures = report([0, 1, 2, -1], [0, 1, 2, 3])
    assert (figures["per"], figures["ter_channel"], figures["ter_recovered"], figures["exact_recovery"]) == (
        0.25,
        0.25,
        0,
        1,
    )
    assert figures["tce"] == 256 / 40
    assert figures["psnr_tokenizer_db"] is None, "equal pictures have no finite PSNR"
    assert abs(figures["psnr_lost_db"] - 48.13) < 0.01
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_means_leave_out_what_does_not_exist():
    mean = mean_report([report([0, 1, 2, 3], [0, 1, 2, 3]), report([0, 1, -1, -1], [0, 1, 2, 7])])
    assert mean["exact_recovery"] == 0.5 and mean["ter_channel"] == 0.25
    assert mean["psnr_tokenizer_db"] is None and "image" not in mean and "esn0_db" not in mean
