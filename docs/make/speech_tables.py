"""Tables of speech, from the files of `./run bench speech`."""

from tables import figures, markdown, table

CURVES, CLEAN_FILES = ("speech.json", "speech-lyra.json"), ("speech-clean.json", "speech-clean-lyra.json")
LYRA = "Lyra 3200"
SHOWN = ("tokens drop", "tokens keep", "tokens list", "tokens context", "Codec2 700C", "Codec2 1300", LYRA)
CLEAN = 30.0


@table("speech")
def speech() -> str:
    """Make the table of ESTOI by system and Es/N0, with the Es/N0 that each needs in its last row."""
    curve, needed = {}, {}
    for name in CURVES:
        content = figures(name)
        curve |= {(point["esn0_db"], point["system"]): point["estoi"] for point in content["curve"]}
        needed |= content["esn0_db_at_95_percent"]
    rows = []
    for value in sorted({value for value, system in curve if system == SHOWN[0]}):
        label = "no noise" if value == CLEAN else f"{value:g}"
        rows.append([label, *(_estoi(curve[value, name]) for name in SHOWN)])
    rows.append(["**dB for 95% of the ESTOI without noise**", *(f"**{needed[name]:.1f}**" for name in SHOWN)])
    return markdown(["Es/N0 dB", *SHOWN], rows)


@table("speech-lyra")
def speech_lyra() -> str:
    """Make the table of Lyra's ESTOI over the Es/N0 that it needs."""
    curve = {point["esn0_db"]: point["estoi"] for point in figures(CURVES[1])["curve"] if 3 <= point["esn0_db"] < CLEAN}
    head = ["Es/N0 dB", *(f"{value:g}" for value in sorted(curve))]
    return markdown(head, [[LYRA, *(_estoi(curve[value]) for value in sorted(curve))]])


@table("speech-clean")
def speech_clean() -> str:
    """Make the table of rates and quality without noise, and with losses."""
    contents = [figures(name) for name in CLEAN_FILES]
    lost = {each["system"]: each["estoi"] for content in contents for each in content["losses"]}
    rows = [
        [
            point["system"].removesuffix(" drop"), f"{point['bit_rate']:.0f}", f"{point['estoi']:.2f}",
            f"{point['lsd_db']:.1f}", f"{point['digits_right']:.0%}", f"{lost[point['system']]:.2f}",
        ]
        for content in contents
        for point in content["curve"]
        if point["esn0_db"] == CLEAN
    ]  # fmt: skip
    head = ["system", "bit/s", "ESTOI", "log-spectral distance dB", "digits right", "ESTOI, 20% of packets lost"]
    return markdown(head, rows)


def _estoi(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"
