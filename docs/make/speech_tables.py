"""Tables of speech, from the files of `./run bench speech`."""

from tables import figures, markdown, table

CURVE, CLEAN_FILE = "speech.json", "speech-clean.json"
SHOWN = ("tokens drop", "tokens keep", "tokens list", "tokens context", "Codec2 700C", "Codec2 1300")
CLEAN = 30.0


@table("speech")
def speech() -> str:
    """Make the table of ESTOI by system and Es/N0, with the Es/N0 that each needs in its last row."""
    content = figures(CURVE)
    curve = {(point["esn0_db"], point["system"]): point for point in content["curve"]}
    rows = []
    for value in sorted({value for value, _ in curve}):
        label = "no noise" if value == CLEAN else f"{value:g}"
        rows.append([label, *(f"{round(curve[value, name]['estoi'], 2) + 0.0:.2f}" for name in SHOWN)])
    needed = content["esn0_db_at_95_percent"]
    rows.append(["**dB for 95% of the ESTOI without noise**", *(f"**{needed[name]:.1f}**" for name in SHOWN)])
    return markdown(["Es/N0 dB", *SHOWN], rows)


@table("speech-clean")
def speech_clean() -> str:
    """Make the table of rates and quality without noise, and with losses."""
    content = figures(CLEAN_FILE)
    lost = {each["system"]: each["estoi"] for each in content["losses"]}
    rows = [
        [
            point["system"].removesuffix(" drop"), f"{point['bit_rate']:.0f}", f"{point['estoi']:.2f}",
            f"{point['lsd_db']:.1f}", f"{point['digits_right']:.0%}", f"{lost[point['system']]:.2f}",
        ]
        for point in content["curve"]
        if point["esn0_db"] == CLEAN
    ]  # fmt: skip
    head = ["system", "bit/s", "ESTOI", "log-spectral distance dB", "digits right", "ESTOI, 20% of packets lost"]
    return markdown(head, rows)
