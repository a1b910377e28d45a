"""Tables of source coding, from the files of `./run bench compress` and `./run bench relevance`."""

from tables import figures, markdown, table

COMPRESS, RELEVANCE = "compress.json", "relevance.json"


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
