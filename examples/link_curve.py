"""Packet error rates of several codes and constellations over Es/N0: ./run exec python examples/link_curve.py
[OUT.png]"""

import sys

import numpy as np
from matplotlib import pyplot as plt

from tokcom.link.packet_link import LinkConfig
from tokcom_lab.curves.link_curve import link_curve

LINKS = {
    "QPSK 1/2": (LinkConfig("k7", "qpsk"), np.arange(0.0, 4.5, 0.5)),
    "16-QAM 1/2": (LinkConfig("k7", "16qam"), np.arange(4.5, 9.5, 0.5)),
    "16-QAM 3/4": (LinkConfig("k7", "16qam", rate="3/4"), np.arange(8.0, 12.5, 0.5)),
    "16-QAM 1/2, the paper's K=3": (LinkConfig("k3", "16qam"), np.arange(4.5, 11.5, 0.5)),
}

plt.switch_backend("Agg")  # no window
figure, axis = plt.subplots(figsize=(7, 4.5))
for name, (config, esn0_db) in LINKS.items():
    points = list(link_curve(config, esn0_db.tolist(), packets=8192, seed=1))
    axis.semilogy(esn0_db, [point.per or np.nan for point in points], marker="o", label=name)
    print(f"{name}: " + ", ".join(f"{point.esn0_db:g} dB {point.per:.4f}" for point in points))
axis.set(xlabel="Es/N0 (dB)", ylabel="packet error rate", title="Four 10-bit tokens per packet, AWGN")
axis.set(xlim=(-1, 18), ylim=(1e-4, 1))
axis.grid(which="both", alpha=0.3)
axis.legend()
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "link_curve.png", dpi=110)
