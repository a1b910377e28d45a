"""Tables of what labels, sentences and sounds are worth, from the file of `./run bench conditions`."""

from collections.abc import Sequence

from tables import figures, markdown, table

FILE, SOUNDING, CODE = "conditions.json", "conditions-sounds.json", "sentence-code.json"


def _gain(row: dict, name: str, places: int) -> str:
    if f"{name}_gain" not in row or row["told"] == "nothing":
        return ""
    mean, low, high = row[f"{name}_gain"]
    return f"{mean:+.{places}f} ({low:+.{places}f} … {high:+.{places}f})"


def _kinds(rows: Sequence[dict]) -> list[str]:
    return list(dict.fromkeys(row["told"] for row in rows))


@table("conditions-bits")
def bits() -> str:
    """Make the table of bits per lost token, and of the differences from those of a receiver that is told nothing."""
    rows = figures(FILE)["lost"]
    found = {(row["lost"], row["told"]): row for row in rows}
    shares = sorted({row["lost"] for row in rows})
    head = ["told", *(f"{100 * share:g}% lost" for share in shares)]
    lines = [["nothing", *(f"{found[share, 'nothing']['bits']:.2f}" for share in shares)]]
    for kind in _kinds(rows)[1:]:
        lines.append([kind, *(_gain(found[share, kind], "bits", 3) for share in shares)])
    return markdown(head, lines)


@table("conditions-pictures")
def pictures() -> str:
    """Make the table of pictures that are filled in."""
    lines = []
    for row in figures(FILE)["lost"]:
        if "psnr_db" in row:
            lines.append(
                [
                    f"{100 * row['lost']:g}%", row["told"], f"{row['psnr_db']:.2f}", _gain(row, "psnr_db", 2),
                    f"{100 * row['named']:.0f}%", _gain(row, "named", 2),
                ]
            )  # fmt: skip
    return markdown(["lost", "told", "PSNR dB", "gain", "class named", "gain"], lines)


@table("conditions-air")
def air() -> str:
    """Make the table of packet error rates over the air."""
    rows = figures(FILE)["air"]
    found = {(row["esn0_db"], row["told"]): row for row in rows}
    values = sorted({row["esn0_db"] for row in rows})
    head = ["told", "samples", *(f"{value:g} dB" for value in values)]
    lines = []
    for kind in _kinds(rows):
        cells = []
        for value in values:
            row = found[value, kind]
            gain = _gain(row, "per", 3)
            cells.append(f"{row['per']:.3f}" + (f", {gain}" if gain else ""))
        lines.append([kind, found[values[0], kind]["samples"], *cells])
    return markdown(head, lines)


@table("sentence-code")
def code() -> str:
    """Make the table of how close the point of a code is, by its bytes."""
    cosines = figures(CODE)["cosine"]
    head = ["bytes of the code", *map(str, range(1, len(cosines) + 1))]
    return markdown(head, [["mean cosine", *(f"{each:.2f}" for each in cosines)]])


@table("conditions-sounds")
def sounds() -> str:
    """Make the table of photographs of things that make a sound."""
    rows = figures(SOUNDING)["lost"]
    lines = [[row["told"], f"{row['bits']:.2f}", _gain(row, "bits", 3), f"{100 * row['exact']:.1f}%"] for row in rows]
    return markdown(["told", f"bits per lost token, {100 * rows[0]['lost']:g}% lost", "difference", "guessed"], lines)
