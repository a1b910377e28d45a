import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "apps" / "tokcom_bench"


def test_the_decoders_of_the_coding_benchmark_agree():
    """A short run: the speeds mean nothing, but both decoders must fail on nearly the same packets."""
    command = [
        sys.executable,
        str(BENCH),
        "coding",
        "--packets",
        "1024",
        "--rounds",
        "1",
        "--esn0-db",
        "6",
        "--json",
        "-",
    ]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["rows"]
    wrong = {row["decoder"]: row["packets_wrong"] for row in rows}
    assert len(rows) == 5 and all(row["mbit_per_s"] > 0 for row in rows)
    ours = [value for name, value in wrong.items() if name.startswith("tokcom")]
    theirs = [value for name, value in wrong.items() if name.startswith("gr-fec")]
    assert len(set(ours)) == 1 and 0.05 < ours[0] < 0.25
    assert all(abs(value - ours[0]) < 0.02 for value in theirs)
