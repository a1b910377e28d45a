"""Tables of videos, from the file of `./run bench video`."""

from tables import figures, markdown, rate, table

FILE = "video.json"


def _rows(part: str, name: str = FILE) -> list[dict]:
    return [row for row in figures(name) if row["part"] == part]


@table("video-schemes")
def schemes(name: str = FILE) -> str:
    """Make the table of both ways of choosing tokens, without losses."""
    rows = [
        (
            row["scheme"], f"{row['bits_per_token']:.2f}", f"{100 * row['changed']:.0f}%", f"{row['psnr_db']:.2f}",
            f"{row['flicker']:.2f}", f"{row['airtime_ms']:.2f}",
        )
        for row in _rows("schemes", name)
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
def codecs(name: str = FILE) -> str:
    """Make the table of video codecs."""
    rows = [(row["scheme"], f"{row['bits_per_frame']:.0f}", f"{row['psnr_db']:.2f}") for row in _rows("codecs", name)]
    return markdown(("codec, budget", "bits per frame", "PSNR dB"), rows)


@table("video-still")
def still() -> str:
    """Make the same of still regions that are held, because the picture before is known."""
    return schemes("video-still.json")


@table("video-camvid")
def camvid() -> str:
    """Make the same of CamVid, a frame per second."""
    return schemes("video-camvid.json")


@table("video-camvid-codecs")
def camvid_codecs() -> str:
    """Make the table of video codecs there."""
    return codecs("video-camvid.json")


@table("video-groups")
def groups() -> str:
    """Make the table of airtime, with that of frames by themselves at the PSNR of groups, by linear interpolation."""
    content = [row for row in figures("video-groups.json") if row["part"] == "airtime"]
    alone = [row for row in content if row["scheme"] == "frame by frame" and row["received"]]
    cells = []
    for row in content:
        name = row["scheme"] if row["weight"] == 1 else f"{row['scheme']}, a bit weighs {row['weight']:g} times as much"
        came = ("", "", "")
        if row["received"]:
            came = f"{100 * row['ter']:.2f}%", f"{row['psnr_db']:.2f}", ""
            if row["scheme"] == "following":
                equal = _at(row["psnr_db"], [(each["psnr_db"], each["received_airtime_ms"]) for each in alone])
                came = *came[:2], f"{100 * (row['received_airtime_ms'] / equal - 1):+.0f}%"
        cells.append(
            (
                name, str(row["group"]), str(row["tokens_per_packet"]), f"{row['airtime_ms']:.2f}",
                f"{100 * row['expected_ter']:.2f}%", f"{row['whole_psnr_db']:.2f}", *came,
            )
        )  # fmt: skip
    head = (
        "tokens",
        "frames per burst",
        "tokens per packet",
        "airtime per frame, ms",
        "wrong, expected",
        "PSNR dB if none is",
    )
    return markdown((*head, "wrong, received", "PSNR dB, received", "airtime at equal PSNR"), cells)


def _at(place: float, points: list[tuple[float, float]]) -> float:
    """Interpolate between the two points nearest to a place, or go on beyond them."""
    (x, y), (u, v) = sorted(points, key=lambda point: abs(point[0] - place))[:2]
    return y + (place - x) * (v - y) / (u - x)


@table("video-speed")
def speed() -> str:
    """Make the table of the time that each stage takes."""
    (row,) = [row for row in figures("video-speed.json") if row["part"] == "speed"]
    head = (*(f"{name}, ms" for name in row["core_ms"]), "frames per second")
    return markdown(head, [(*(f"{value:.1f}" for value in row["core_ms"].values()), f"{row['frames_per_s']:.1f}")])


LOSSES, SHOWN = "video-losses.json", 8
"""File of losses from groups, and how many frames after a lost one are in the table."""


@table("video-losses")
def losses() -> str:
    """Make the table of packets lost from groups."""
    rows = [
        (
            row["scheme"], row["group"], row["pattern"], f"{100 * row['sent']:.0f}%", f"{row['psnr_clean_db']:.2f}",
            f"{row['psnr_db']:.2f}", f"{row['psnr_clean_db'] - row['psnr_db']:.2f}", f"{row['worst_frame_db']:.1f}",
        )
        for row in figures(LOSSES)
        if row["part"] == "losses"
    ]  # fmt: skip
    head = "tokens", "frames per burst", "losses", "packets sent", "PSNR dB, none lost", "PSNR dB", "below, dB"
    return markdown((*head, "worst frame, dB"), rows)


@table("video-propagation")
def propagation() -> str:
    """Make the table of how long a lost frame is seen, mean and worst of the videos."""
    cases: dict[tuple, dict[int, str]] = {}
    for row in figures(LOSSES):
        if row["part"] == "propagation" and row["frame"] <= SHOWN:
            cell = f"{row['psnr_lost_db']:.2f} ({row['worst_db']:.2f})"
            cases.setdefault((row["group"], row["lost"]), {})[row["frame"]] = cell
    frames = sorted({frame for cells in cases.values() for frame in cells})
    rows = [
        (group, f"{100 * lost:.0f}%", *(cells.get(frame, "") for frame in frames))
        for (group, lost), cells in cases.items()
    ]
    return markdown(("frames per burst", "other losses", *(f"{frame} later" for frame in frames)), rows)
