"""Tables of speech, from the file of `./run bench speech`."""

from tables import figures, markdown, table

FILE = "speech.json"
SHOWN = ("tokens drop", "tokens keep", "tokens list", "tokens context", "Codec2 700C", "Codec2 1300")
CLEAN = 30.0


@table("speech")
def speech() -> str:
    """Make the table of ESTOI by system and Es/N0."""
    curve = {(point["esn0_db"], point["system"]): point for point in figures(FILE)["curve"]}
    rows = []
    for value in sorted({value for value, _ in curve}):
        label = "no noise" if value == CLEAN else f"{value:g}"
        rows.append([label, *(f"{curve[value, name]['estoi']:.2f}" for name in SHOWN)])
    return markdown(["Es/N0 dB", *SHOWN], rows)


@table("speech-clean")
def speech_clean() -> str:
    """Make the table of rates and quality without noise, with losses, and of the Es/N0 that is needed."""
    content = figures(FILE)
    clean = {point["system"]: point for point in content["curve"] if point["esn0_db"] == CLEAN}
    lost = {each["system"]: each["estoi"] for each in content["losses"]}
    names = {"tokens drop": "tokens drop", "tokens context": "tokens mask"} | {
        name: name for name in ("Codec2 700C", "Codec2 1300")
    }
    rows = []
    for name, concealing in names.items():
        point, needed = clean[name], content["esn0_db_at_95_percent"][name]
        rows.append(
            [
                name, f"{point['bit_rate']:.0f}", str(point["symbols_per_packet"]), f"{point['estoi']:.2f}",
                f"{point['lsd_db']:.1f}", f"{point['digits_right']:.0%}", f"{lost[concealing]:.2f}", f"{needed:.1f}",
            ]
        )  # fmt: skip
    head = [
        "system", "bit/s", "symbols per 80 ms", "ESTOI", "log-spectral distance dB", "digits right",
        "ESTOI, 20% of packets lost", "Es/N0 dB for 95% of ESTOI",
    ]  # fmt: skip
    return markdown(head, rows)
