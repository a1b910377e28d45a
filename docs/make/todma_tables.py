"""Tables of token-domain multiple access."""

from tables import figures, markdown, rate, table

NAMES = {
    "todma": "channels and context", "pair": "channels alone, every pair weighed",
    "genie": "genie: channel, other transmitter and 15 of 16 own tokens known",
    "amp": "approximate message passing", "omp fill": "matching pursuit, clustering, filling in",
    "sic": "NOMA, K=7 and QPSK 2/3, successive cancellation", "spread": "random spreading, K=7 and QPSK 2/3, joint",
}  # fmt: skip
CASES = {
    "usual": "as above", "near-far": "one 10 dB stronger", "cfo": "offsets 200 Hz apart",
    "timing": "8 samples apart", "same-class": "pictures of one class",
    "alike": "one flat channel for both", "same-class-alike": "one flat channel, one class",
    "alike-rotated": "one flat channel, symbols turned by port",
}  # fmt: skip


def _name(receiver: str) -> str:
    if receiver.startswith("tdma"):
        _, mode, mcs = receiver.split()
        return f"TDMA, {'Viterbi' if mode == 'viterbi' else 'context decoding'}, {mcs}"
    return NAMES[receiver]


def _row(point: dict) -> tuple:
    return (
        rate(point["ter"]),
        rate(point["swapped"]),
        f"{point['psnr_db']:.2f}",
        f"{point['airtime_ms']:.1f}",
        point["scenes"],
    )


HEAD = ("TER", "swapped", "PSNR dB", "airtime ms", "scenes")


@table("todma-rivals")
def rivals() -> str:
    """All receivers at one Es/N0."""
    points = figures("todma-rivals.json")["points"] + figures("todma-context.json")["points"]
    return markdown(("receiver", *HEAD), ((_name(point["receiver"]), *_row(point)) for point in points))


@table("todma-targets")
def targets() -> str:
    """Two and three transmitters, by carriers per token."""
    rows = {}
    for name in ("todma", "todma-genie", "todma-short", "todma-short-genie", "todma-three"):
        for point in figures(f"{name}.json")["points"]:
            what = f"{point['users']}, {point['length']}, {point['esn0_db']:g} dB"
            # A receiver measured twice counts by the first file, which has more scenes.
            rows.setdefault((what, NAMES[point["receiver"]]), _row(point))
    return markdown(("transmitters, carriers, Es/N0", "receiver", *HEAD), [(*key, *row) for key, row in rows.items()])


@table("todma-cases")
def cases() -> str:
    """Impairments and ambiguous cases."""
    found: dict[str, dict[str, dict]] = {}
    for point in figures("todma-cases.json")["points"]:
        found.setdefault(point["case"], {})[point["receiver"]] = point
    rows = (
        (CASES[case], rate(each["pair"]["ter"]), rate(each["todma"]["ter"]), rate(each["todma"]["swapped"]),
         rate(each["todma"]["expected"]), each["todma"]["scenes"])
        for case, each in found.items()
    )  # fmt: skip
    head = (
        "case",
        "TER, channels alone",
        "TER, with context",
        "of them swapped",
        "expected by the posteriors",
        "scenes",
    )
    return markdown(head, rows)


@table("todma-coded")
def coded() -> str:
    """Coded rivals over Es/N0."""
    found: dict[str, dict[float, dict]] = {}
    for point in figures("todma-coded.json")["points"]:
        found.setdefault(point["receiver"], {})[point["esn0_db"]] = point
    values = sorted({value for each in found.values() for value in each})
    rows = (
        (_name(receiver), *(f"{rate(each[v]['ter'])}, {each[v]['psnr_db']:.1f} dB" for v in values),
         f"{next(iter(each.values()))['airtime_ms']:.1f}")
        for receiver, each in found.items()
    )  # fmt: skip
    return markdown(("TER, PSNR", *(f"{value:g} dB" for value in values), "airtime ms"), rows)
