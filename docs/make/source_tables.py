"""Tables of source coding, from the files of `./run bench compress` and `./run bench relevance`."""

import numpy as np
from scipy.special import logit
from tables import figures, markdown, table

from tokcom.mcs import find_mcs, mcs_table

COMPRESS, ADAPTIVE = "compress.json", "compress-adaptive.json"
RELEVANCE, SHOWN = "relevance.json", "relevance-shown.json"
LISTED = "packet-sizes-listed.json", "packet-sizes-listed-1.json"
CHANNELS = {"awgn": "AWGN", "epa": "EPA"}


@table("compress-tokens")
def compress_tokens() -> str:
    """Make the table of bits per token of photographs."""
    report = figures(COMPRESS)
    whole = report["tokens"]
    rows = [
        (f"in blocks of {whole['frames_per_block']} photographs, as in files", whole, whole["bits_coded"]),
        ("in one block per photograph", whole, whole["bits_coded_alone"]),
    ]
    for own in report["independent"]:
        count = own["blocks"]
        name = f"in {count} independent block{'s' * (count > 1)} per photograph"
        rows.append((name, own, own["bits_coded"]))
        if count > 1:
            rows.append((f"{name}, padded to equal length", own, own["bits_padded"]))
    lines = [
        (name, own["pictures"], f"{own['bits_ideal']:.3f}", f"{coded:.3f}", f"{coded / own['bits_ideal'] - 1:.1%}")
        for name, own, coded in rows
    ]
    return markdown(["coded", "photographs", "ideal code length", "coded", "above the ideal"], lines)


@table("compress-mismatch")
def compress_mismatch() -> str:
    """Make the table of blocks decoded on other machines than the encoder's."""
    rows = figures(COMPRESS)["mismatch"]["conditions"]
    lines = [
        [name, f"{row['blocks']:,}", row["wrong"], f"{1e5 * row['largest_difference']:.1f} · 10⁻⁵"]
        for name, row in rows.items()
    ]
    return markdown(["decoded by", "blocks", "wrong", "largest difference of a log-probability"], lines)


@table("compress-text")
def compress_text() -> str:
    """Make the table of bits per byte of texts."""
    rows = figures(COMPRESS)["text"]
    codecs = list(dict.fromkeys(row["codec"] for row in rows))
    sources = dict.fromkeys(row["source"] for row in rows)
    found = {(row["source"], row["codec"]): row for row in rows}
    lines = [
        [
            source,
            found[source, codecs[0]]["bytes"],
            *(f"{found[source, codec]['bits_per_byte']:.2f}" for codec in codecs),
        ]
        for source in sources
    ]
    return markdown(["text", "bytes", *codecs], lines)


@table("compress-speed")
def compress_speed() -> str:
    """Make the table of processor time per token of text."""
    speed = figures(COMPRESS)["text_speed"]
    line = [
        f"{speed['encoder_cpu_ms_per_token']:.1f} ms", f"{speed['decoder_cpu_ms_per_token']:.0f} ms",
        f"{speed['ratio']:.1f}", f"{1e5 * speed['largest_difference']:.1f} · 10⁻⁵",
    ]  # fmt: skip
    return markdown(["encoder", "decoder", "ratio", "largest difference"], [line])


@table("compress-messages")
def compress_messages() -> str:
    """Make the table of bytes of messages."""
    rows = figures(COMPRESS)["messages"]
    codecs = list(dict.fromkeys(row["codec"] for row in rows))
    found = {(row["source"], row["codec"]): row for row in rows}
    lines = [
        [source, found[source, codecs[0]]["messages"], *(found[source, codec]["bytes"] for codec in codecs)]
        for source in dict.fromkeys(row["source"] for row in rows)
    ]
    return markdown(["messages", "number", *codecs], lines)


@table("compress-link")
def compress_link() -> str:
    """Make the table of airtime where each scheme takes its fastest MCS."""
    rows = [row for row in figures(COMPRESS)["link"] if row["chosen"]]
    schemes = list(dict.fromkeys(row["scheme"] for row in rows))
    found = {(row["scheme"], row["esn0_db"]): row for row in rows}
    lines = []
    for value in sorted({row["esn0_db"] for row in rows}):
        own = [found[scheme, value] for scheme in schemes]
        lines.append([f"{value:g}", *(f"{row['airtime_ms']:.1f}, {row['mcs']}" for row in own)])
    return markdown(["Es/N0 dB", *schemes], lines)


@table("listed-thresholds")
def listed_thresholds() -> str:
    """Make the table of dB that list decoding saves, by code rate and size, in the mean of the constellations."""
    sizes, rates = (16, 64, 256, 512, 760), dict.fromkeys(row.rate for row in mcs_table())
    lines = []
    for rate in rates:
        rows = [row for row in mcs_table() if row.rate == rate]
        gains = np.mean(
            [[np.subtract(row.thresholds_db(bits), row.thresholds_db(bits, True)) for bits in sizes] for row in rows],
            axis=0,
        )
        lines.append(
            [
                rate if rate != "1/1" else "uncoded 256-QAM",
                *(f"{tenth:.1f} / {hundredth:.1f}" for tenth, hundredth in gains),
            ]
        )
    return markdown(["rate", *(f"{bits} bits" for bits in sizes)], lines)


@table("listed-losses")
def listed_losses() -> str:
    """Make the table of packets lost where a share is predicted, and of the difference in dB."""
    lines = []
    for name in LISTED:
        rows, errors = figures(name), []
        for row in rows:
            tenth, hundredth = find_mcs(row["mcs"]).thresholds_db(row["payload_bits"], True)
            per_db = np.diff(logit([0.01, 0.1])) / (hundredth - tenth)
            errors.append(np.diff(logit([row["predicted"], row["per"]])) / per_db)
        lost = [row["per"] for row in rows]
        spread, most = np.sqrt(np.mean(np.square(errors))), np.abs(errors).max()
        lines.append([
            f"{rows[0]['predicted']:.0%}", f"{np.mean(lost):.1%}", f"{min(lost):.1%} to {max(lost):.1%}",
            f"{spread:.2f} dB", f"{most:.2f} dB",
        ])  # fmt: skip
    return markdown(["predicted", "lost", "by MCS and size", "error, root mean square", "largest"], lines)


@table("compress-adaptive")
def compress_adaptive() -> str:
    """Make the table of airtime and losses of coded pictures by the decoder that their MCS is chosen for."""
    rows, lines = figures(ADAPTIVE)["adaptive"], []
    for channel, target in dict.fromkeys((row["channel"], row["target"]) for row in rows):
        before, after = (
            [row for row in rows if (row["channel"], row["target"], row["chosen_for"]) == (channel, target, decoder)]
            for decoder in ("Viterbi", "list")
        )
        airtime = [sum(row["airtime_ms"] for row in each) / len(each) for each in (before, after)]
        saved = [1 - new["airtime_ms"] / old["airtime_ms"] for old, new in zip(before, after, strict=True)]
        lost = [
            f"{sum(row['lost'] for row in each) / sum(row['packets'] for row in each):.2%}" for each in (before, after)
        ]
        lines.append([
            CHANNELS[channel], f"{target:.0%}", f"{airtime[0]:.2f} → {airtime[1]:.2f}",
            f"{1 - airtime[1] / airtime[0]:.1%}", f"{min(saved):.0%} to {max(saved):.0%}", " → ".join(lost),
            f"{max(row['lost'] / row['packets'] for row in after):.1%}",
        ])  # fmt: skip
    head = [
        "channel", "target PER", "airtime, ms", "saved", "saved by Es/N0", "packets lost", "largest at any Es/N0"
    ]  # fmt: skip
    return markdown(head, lines)


@table("relevance")
def relevance() -> str:
    """Make the table of accuracy and PSNR by rule."""
    rows = [row for row in figures(RELEVANCE) if row["esn0_db"] is None]
    whole = [
        [row["rule"], "", "", f"{row['accuracy']:.1%}", _db(row["psnr_db"])] for row in rows if row["share_sent"] == 1
    ]
    part = [
        [row["rule"], f"{row['share_sent']:.0%}", row["bits"], f"{row['accuracy']:.1%}", _db(row["psnr_db"])]
        for row in rows
        if row["share_sent"] < 1
    ]
    return markdown(["rule", "tokens sent", "bits", "accuracy", "PSNR dB"], whole + part)


@table("relevance-shown")
def relevance_shown() -> str:
    """Make the table of accuracy and PSNR by what is shown in place of missing tokens."""
    lines = []
    for row in figures(SHOWN):
        sent = "" if row["share_sent"] == 1 else f"{row['share_sent']:.0%}"
        named = [f"{row[name]:.1%}" for name in ("accuracy", "classifier_accuracy")]
        lines.append([row["rule"], sent, row["shown"] or "", *named, _db(row["psnr_db"])])
    return markdown(["rule", "tokens sent", "shown", "judge", "model's classifier", "PSNR dB"], lines)


@table("relevance-air")
def relevance_air() -> str:
    """Make the table of accuracy at equal airtime."""
    rows = [row for row in figures(RELEVANCE) if row["esn0_db"] is not None]
    lines = [
        [
            f"{row['esn0_db']:g}",
            row["rule"],
            f"{row['share_sent']:.0%}",
            row["mcs"],
            f"{row['accuracy']:.1%}",
            _db(row["psnr_db"]),
        ]
        for row in rows
    ]
    return markdown(["Es/N0 dB", "rule", "tokens sent", "MCS", "accuracy", "PSNR dB"], lines)


def _db(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
