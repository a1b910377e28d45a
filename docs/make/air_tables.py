"""Tables of the receiver over the air, today's and the one before it tracked channels."""

from tables import figures, markdown, table

TODAY, BEFORE, WRONG, FIT = "air.json", "air-82cc7c7.json", "air-wrong.json", "air-fit.json"


def _wrong(name: str) -> str:
    counts: dict[str, dict[str, list[int]]] = {"all of them": {}}
    for row in figures(name)["accepted_wrong"]:
        for fault in ("all of them", row["fault"]):
            found = counts.setdefault(fault, {}).setdefault(row["mode"], [0, 0])
            found[0] += row["accepted"]
            found[1] += row["wrong"]
    rows = [(fault, *(f"{accepted}, {wrong}" for accepted, wrong in modes.values())) for fault, modes in counts.items()]
    return markdown(("fault", *(f"{mode}: accepted, wrong" for mode in counts["all of them"])), rows)


def _tracking(name: str, places: int) -> str:
    columns = {("qpsk-1/2", 64): "QPSK 1/2, 64 packets", ("16qam-1/2", 64): "16-QAM 1/2, 64"}
    columns |= {("qpsk-1/2", 256): "QPSK 1/2, 256", ("16qam-1/2", 256): "16-QAM 1/2, 256"}
    found: dict[str, dict[tuple[str, int], str]] = {}
    for row in figures(name)["tracking"]:
        if row["channel"] != "two Rayleigh paths":
            continue
        speed = row["sample_rate"]
        unit = f"{speed / 1e6:g} MS/s" if speed >= 1e6 else f"{speed / 1e3:g} kS/s"
        doppler = f"{row['doppler_hz']:g} Hz at {unit}" if row["doppler_hz"] else "none"
        cell = f"{row['per']:.{places}f} / {row['per_genie']:.{places}f}"
        found.setdefault(doppler, {})[row["mcs"], row["packets"]] = cell
    rows = ((doppler, *(cells.get(column, "") for column in columns)) for doppler, cells in found.items())
    return markdown(("Doppler", *columns.values()), rows)


def _echo(name: str) -> str:
    found: dict[str, dict[int, str]] = {}
    samples: list[int] = []
    for row in figures(name)["echo"]:
        samples.append(row["samples"])
        needed = "never" if row["esn0_db"] is None else f"{row['esn0_db']:.1f}"
        found.setdefault(f"{row['mcs']}, {row['level_db']:g} dB", {})[row["samples"]] = (
            f"{needed} ({row['ideal_db']:.1f})"
        )
    columns = sorted(set(samples))
    rows = ((scheme, *(cells.get(column, "") for column in columns)) for scheme, cells in found.items())
    return markdown(("echo after … samples", *map(str, columns)), rows)


def _interference(name: str, places: int) -> str:
    rows = []
    for row in figures(name)["interference"]:
        kind = row["kind"]
        if kind.startswith("CW"):
            kind += f", SIR {row['level_db']:g} dB"
        elif kind == "impulses":
            kind += f", {row['level_db']:+g} dB, {row['rate']:g} per second"
        shares = (f"{row['per']:.{places}f}", f"{row['per_genie']:.{places}f}", f"{row['found']:.3f}")
        rows.append((f"{kind}; Es/N0 {row['esn0_db']:g} dB", *shares))
    return markdown(("interference, 16-QAM 1/2", "PER", "genie", "found"), rows)


@table("air-fit")
def fit() -> str:
    """Make the table of correct packets that the test of fit refuses."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in figures(FIT)["fit"]:
        counts = found.setdefault((row["channel"], row["mode"]), [0, 0, 0])
        for place, key in enumerate(("right", "lost_to_fit", "wrong")):
            counts[place] += row[key]
    rows = (
        (*key, right, f"{refused} ({100 * refused / right:.2f}%)", wrong)
        for key, (right, refused, wrong) in found.items()
    )
    return markdown(("channel", "mode", "correct", "refused", "wrong"), rows)


table("air-wrong")(lambda: _wrong(WRONG))
table("air-wrong-before")(lambda: _wrong(BEFORE))
table("air-tracking")(lambda: _tracking(TODAY, 4))
table("air-tracking-before")(lambda: _tracking(BEFORE, 3))
table("air-echo")(lambda: _echo(TODAY))
table("air-echo-before")(lambda: _echo(BEFORE))
table("air-interference")(lambda: _interference(TODAY, 4))
table("air-interference-before")(lambda: _interference(BEFORE, 3))
