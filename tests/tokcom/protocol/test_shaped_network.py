"""Congestion control against Linux's own token bucket, on the loopback device of a network namespace of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RATE = 50_000
"""Bytes per second that pass."""
SHAPED = (
    "ip link set lo up && "
    f"tc qdisc add dev lo root tbf rate {8 * RATE}bit burst 3000 limit 12000 && "
    'exec "$0" "$@"'
)  # fmt: skip
PROGRAM = """
import asyncio, json, subprocess
import numpy as np
from tokcom.frame import TokenFrame
from tokcom.packets.codebook import Codebook
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.udp import UdpReceiver, UdpSender

COUNT = 100

async def run():
    rng, got = np.random.default_rng(0), []
    sent = [TokenFrame(rng.integers(0, 1024, 256), "model", 1024, (16, 16), frame_id=i) for i in range(COUNT)]

    settings = ReceiverSettings("all", WaitSettings(deadline_s=60, wait_s=1, rounds=100))
    end = Receiver([Codebook("model", 1024)], settings)
    receiver = UdpReceiver(end, "127.0.0.1", 0, lambda received: got.append(received.frame))
    sender = UdpSender(Sender(SenderSettings(deadline_s=60)), "127.0.0.1", receiver.port)
    for frame in sent:
        sender.offer(frame)
    finished = await sender.finish(240)
    same = all(frame == sent[frame.frame_id] for frame in got)
    counters = sender.sender.counters
    sender.close()
    receiver.close()
    return {"finished": finished, "frames": len(got), "same": same, "datagrams": counters.datagrams}

told = asyncio.run(run())
(shaper,) = json.loads(subprocess.run(["tc", "-s", "-j", "qdisc", "show", "dev", "lo"], capture_output=True).stdout)
print(json.dumps(told | {"overlimits": shaper["overlimits"], "drops": shaper["drops"]}))
"""


def in_a_namespace(*command):
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", SHAPED, *command], capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def namespaces():
    missing = [each for each in ("unshare", "ip", "tc") if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    code, _, problem = in_a_namespace("true")
    if code:
        pytest.skip(f"no network namespace with tbf here: {problem.strip()}")


def test_a_sender_fits_a_shaper_of_the_kernel(namespaces):
    folder = str(Path(__file__).resolve().parents[3] / "python")
    program = f"import sys; sys.path.insert(0, {folder!r})\n{PROGRAM}"
    code, out, problem = in_a_namespace(sys.executable, "-c", program)
    assert code == 0, problem
    told = json.loads(out.splitlines()[-1])
    # Whole in spite of the shaper, which had to hold back, and seldom to drop (more where the sender waits for a busy
    # processor); the last frames are not missed if all of their datagrams were dropped.
    assert told["finished"] and told["same"] and told["frames"] >= 90 and told["overlimits"] > 0
    assert told["drops"] < 0.25 * told["datagrams"]
