"""Tables of token networking, from the files of `./run bench network`."""

from tables import figures, markdown, table


@table("network-goodput")
def goodput() -> str:
    """Make the table of the goodput over loopback, and of memory."""
    found = figures("network-goodput.json")["goodput"]
    bare = found["packets_per_s"] / found["of_bare"]
    rows = [
        ["packets per second by processor time of the busier end", f"{found['cpu_packets_per_s']:,.0f}"],
        ["processor time per packet, sender", f"{found['sender_cpu_us']:.2f} µs"],
        ["processor time per packet, receiver", f"{found['receiver_cpu_us']:.2f} µs"],
        ["processor time per packet without a protocol, busier end", f"{found['bare_cpu_us']:.2f} µs"],
        ["packets per second by the clock", f"{found['packets_per_s']:,.0f}"],
        ["packets per second without a protocol, by the clock", f"{bare:,.0f}"],
        ["packets lost", f"{found['lost']:.2%} of {found['packets'] / (1 - found['lost']):,.0f}"],
        ["receiver's memory, start and end", f"{found['rss_mb_start']:.1f}, {found['rss_mb_end']:.1f} MB"],
    ]
    return markdown(["", ""], rows)


NAMES = {
    "none": "no overload",
    "surest": "easiest to predict (`surest`), chosen together by their cost to the picture",
    "surest by bits": "easiest to predict, by surprise only",
    "random": "random",
    "tail": "tail drop, the surest of each picture sent last",
    "tail, unsorted": "tail drop, of a sender without classes",
}


@table("network-overload")
def overload() -> str:
    """Make the table of pictures through an overloaded relay, by what it drops first."""
    rows = [
        [NAMES[row["drop"]], f"{row['packets_lost']:.0%}", f"{row['psnr_db']:.2f}", f"{row['lost_db']:.2f}"]
        for row in figures("network-overload.json")["overload"]
    ]
    return markdown(["dropped first", "packets lost", "PSNR dB", "loss of PSNR, dB"], rows)


@table("network-loss")
def losses() -> str:
    """Make the table of pictures over a path with bursts of losses."""
    return _losses("network-loss.json")


@table("network-loss-searched")
def losses_of_searched() -> str:
    """Make the same table of tokens found by search."""
    return _losses("network-loss-searched.json")


@table("network-loss-photo256")
def losses_of_photographs() -> str:
    """Make the same table of photographs of 256 x 256."""
    return _losses("network-loss-photo256.json")


def _losses(file: str) -> str:
    found: dict[str, list[dict]] = {}
    for row in figures(file)["loss"]:
        found.setdefault(row["scheme"], []).append(row)
    rows = []
    for scheme, own in found.items():
        overheads = list(dict.fromkeys(f"{row['overhead']:.2f}" for row in own))
        undecodable = " / ".join(f"{100 * row['undecodable']:.0f}" for row in own[1:]) + "%"
        cells = [scheme, ", ".join(overheads), *(f"{row['psnr_db']:.2f}" for row in own), undecodable]
        rows.append([f"**{cell}**" for cell in cells] if scheme == "mask" else cells)
    shares = [f"{row['loss']:.0%}" for row in next(iter(found.values()))]
    head = ["scheme", "overhead", f"PSNR dB at {shares[0]}", *shares[1:]]
    return markdown([*head, f"undecodable at {' / '.join(share.rstrip('%') for share in shares[1:])}%"], rows)


ARQ_CHANNELS = {
    "independent 20%": "independent, 20%",
    "bursty 20%": "bursts of 6 packets, 20%",
    "bursty 40%": "bursts of 6 packets, 40%",
    "EPA": "bursts on the air, EPA, 10 dB, 5 Hz",
}


@table("network-arq")
def repeats() -> str:
    """Make the table of repeat requests saved and of the risk, by channel."""
    found = [row for row in figures("network-arq.json")["arq"] if row["channel"] != "EPA"]
    rows, before = [], ""
    for row in found + figures("network-arq-epa.json")["arq"]:
        channel = ARQ_CHANNELS[row["channel"]]
        shares = [f"{row[name]:.0%}" for name in ("requests_saved", "random_saved", "oracle_saved")]
        risks = [f"{row['risk']:.1%}", f"{row['worst_risk']:.1%}", f"{row['splits_within']} of 20"]
        named = "" if channel == before else channel
        rows.append([named, f"{row['alpha']:.0%}", *shares, *risks, str(row["frames"] // 2)])
        before = channel
    head = ["channel", "alpha", "requests saved", "chance", "oracle", "risk", "worst of 20 splits"]
    return markdown([*head, "splits within alpha", "frames per half"], rows)


@table("network-order-numbers")
def order_by_numbers() -> str:
    """Make the table of packets without index that the numbers of their datagrams put in place."""
    rows = [
        [
            str(row["section"]),
            _path(row),
            f"{row['come']:.1%}",
            f"{row['asked']:.1%}",
            f"{row['unplaced']:.1%}",
            f"{row['misplaced']:.2%}",
            f"{row['overhead_bytes']:.1f}",
        ]
        for row in figures("network-order.json")["numbered"]
    ]
    head = ["packets per datagram", "datagrams lost", "packets that came", "frames for which the model was asked"]
    return markdown([*head, "without a place", "misplaced", "overhead, bytes per packet"], rows)


def _path(row: dict) -> str:
    lost = f"{row['loss']:.0%}"
    if row["loss"]:
        lost += ", independent" if row["burst"] == 1 else f", bursts of {row['burst']:.0f}"
    return lost + (f"; {row['lost_before']:.0%} of the packets before the sender" if row["lost_before"] else "")


@table("network-order-gaps")
def order_without_numbers() -> str:
    """Make the table of packets in order of which the model alone must find the gaps."""
    rows = [
        [str(row["section"]), f"{row['loss']:.0%}", f"{row['misplaced']:.1%}"]
        for row in figures("network-order.json")["ordered"]
    ]
    return markdown(["packets that come or are lost together", "lost", "misplaced"], rows)


@table("network-order")
def order_lost() -> str:
    """Make the table of packets without index, and without any numbers, that are put in the wrong place."""
    rows = [
        [
            f"{row['window']} packets" if row["window"] < 64 else "the whole frame",
            str(row["indexed"]),
            f"{row['misplaced']:.1%}",
        ]
        for row in figures("network-order.json")["unordered"]
    ]
    return markdown(["order unknown within", "packets that keep their index", "misplaced"], rows)
