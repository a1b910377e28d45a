"""Tables of videos, from the file of `./run bench video`."""

from tables import figures, markdown, rate, table

FILE = "video.json"


def _rows(part: str) -> list[dict]:
    return [row for row in figures(FILE) if row["part"] == part]


@table("video-schemes")
def schemes() -> str:
    """Make the table of both ways of choosing tokens, without losses."""
    rows = [
        (
            row["scheme"], f"{row['bits_per_token']:.2f}", f"{100 * row['changed']:.0f}%", f"{row['psnr_db']:.2f}",
            f"{row['flicker']:.2f}", f"{row['airtime_ms']:.2f}",
        )
        for row in _rows("schemes")
    ]  # fmt: skip
    return markdown(("tokens", "bits per token", "changed", "PSNR dB", "flicker", "airtime, ms"), rows)


@table("video-curve")
def curve() -> str:
    """Make the table of errors over Es/N0."""
    points: dict[float, dict[str, dict]] = {}
    for row in _rows("curve"):
        points.setdefault(row["esn0_db"], {})[row["scheme"]] = row
    names = list(next(iter(points.values())))
    head = ["Es/N0 dB", *(f"{name}: PER" if not number else name for number, name in enumerate(names))]
    head += [f"PSNR dB: {name}" if not number else name for number, name in enumerate(names)]
    rows = [
        (f"{value:g}", *(rate(by[name]["per"]) for name in names), *(f"{by[name]['psnr_db']:.2f}" for name in names))
        for value, by in points.items()
    ]
    return markdown(head, rows)


@table("video-loss")
def loss() -> str:
    """Make the table of concealment."""
    rows = [
        (
            "filled in by the prior" if row["scheme"] == "following" else "tokens of the frame before",
            f"{row['psnr_db']:.2f}", f"{row['below_db']:.2f}", f"{100 * row['ter']:.1f}%",
        )
        for row in _rows("loss")
    ]  # fmt: skip
    return markdown(("lost tokens are", "PSNR dB", "below that without losses, dB", "tokens wrong"), rows)


@table("video-codecs")
def codecs() -> str:
    """Make the table of video codecs."""
    rows = [(row["scheme"], f"{row['bits_per_frame']:.0f}", f"{row['psnr_db']:.2f}") for row in _rows("codecs")]
    return markdown(("codec, budget", "bits per frame", "PSNR dB"), rows)


@table("video-groups")
def groups() -> str:
    """Make the table of frames that are sent in groups, and of still regions."""
    content = figures("video-groups.json")
    by = {row["scheme"]: row for row in content if row["part"] == "schemes"}
    rows = [(scheme, 1, row["airtime_ms"]) for scheme, row in by.items()]
    rows += [
        (row["scheme"], row["group"], row["airtime_ms"])
        for row in content
        if row["part"] == "airtime" and row["group"] > 1
    ]
    shortest = by["frame by frame"]["airtime_ms"]
    cells = [
        (
            scheme, str(group), f"{by[scheme]['bits_per_token']:.2f}", f"{by[scheme]['psnr_db']:.2f}",
            f"{by[scheme]['flicker']:.2f}", f"{airtime:.2f}", f"{100 * (airtime / shortest - 1):+.0f}%",
        )
        for scheme, group, airtime in rows
    ]  # fmt: skip
    head = ("tokens", "frames per burst", "bits per token", "PSNR dB", "flicker", "airtime per frame, ms", "difference")
    return markdown(head, cells)
