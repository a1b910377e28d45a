"""Tables of the link, the receiver's modes, the models and the flowgraph."""

from collections.abc import Callable, Iterable

from tables import figures, markdown, rate, table

MODES = ("keep", "mask", "list", "context")


@table("link")
def link() -> str:
    """Make the table of error rates of the coded link."""
    rows = []
    for code in ("k7", "k3"):
        for point in figures(f"link-{code}.json"):
            shares = [f"{point[key]:.4f}" for key in ("per", "per_genie", "ter")]
            rows.append((code, f"{point['esn0_db']:g}", *shares, f"{point['undetected']:g}"))
    return markdown(("code", "Es/N0 dB", "per", "per_genie", "ter", "undetected"), rows)


@table("decoder")
def decoder() -> str:
    """Make the table of decoders' speeds."""
    head = ("decoder", "Mbit/s", "ratio to async_decoder", "packets wrong")
    rows = figures("coding.json")["rows"]
    return markdown(
        head,
        (
            (row["decoder"], f"{row['mbit_per_s']:.2f}", f"{row['ratio_to_async_decoder']:.2f}", row["packets_wrong"])
            for row in rows
        ),
    )


@table("headers")
def headers() -> str:
    """Make the table of headers found and decoded."""
    report = figures("phy.json")
    names = {"awgn": "AWGN"}
    found: dict[tuple[str, str], list[str]] = {}
    for row in report["header"]:
        key = (names.get(row["channel"], row["channel"]), row["profile"])
        found.setdefault(key, []).append(f"{row['esn0_db']:g}: {row['success']:.4f}")
    rows = [(*key, ", ".join(points)) for key, points in found.items()]
    rival = ", ".join(f"{row['esn0_db']:g}: {row['success']:.3f}" for row in report["rival_header"])
    rows.append(("AWGN", "GNU Radio's `ofdm_tx`, `ofdm_rx`", rival))
    return markdown(("channel", "profile", "Es/N0 dB: share"), rows)


@table("sync-loss")
def sync_loss() -> str:
    """Make the table of losses to ideal synchronisation."""
    report = figures("phy.json")
    rows = ((mcs, f"{report['per10_esn0_db'][mcs]:.2f}", f"{loss:.2f}") for mcs, loss in report["sync_loss_db"].items())
    return markdown(("MCS", "Es/N0 dB, burst", "loss dB"), rows)


@table("clock-loss")
def clock_loss() -> str:
    """Make the table of further losses with clocks 20 ppm apart."""
    found: dict[str, dict[float, str]] = {}
    for row in figures("phy.json")["clock_loss_db"]:
        found.setdefault(row["mcs"], {})[row["sfo_ppm"]] = f"{row['further_loss_db']:.2f} dB"
    return markdown(("MCS", "+20 ppm", "-20 ppm"), ((mcs, loss[20], loss[-20]) for mcs, loss in found.items()))


@table("waveform-speed")
def waveform_speed() -> str:
    """Make the table of the waveform's speeds."""
    speeds = figures("phy.json")["rate_msps"]
    rows = (
        ("burst_sync on noise", 1, "burst_sync"),
        ("GNU Radio's ofdm_rx on noise", 1, "ofdm_rx"),
        ("whole receiver, back-to-back bursts of 64 packets", 2, "receiver"),
        ("the same, blocks free to move between processors", 2, "receiver, blocks free to roam"),
        ("transmitter, tokens to samples", 1, "transmitter"),
    )
    return markdown(
        ("what", "processors", "MS/s"), ((what, count, f"{speeds[name]:.2f}") for what, count, name in rows)
    )


def _by_point(rows: Iterable[dict], key: str) -> dict[float, dict[str, dict]]:
    found: dict[float, dict[str, dict]] = {}
    for row in rows:
        found.setdefault(row["esn0_db"], {})[row[key]] = row
    return found


@table("context")
def context() -> str:
    """Make the table of the receiver's modes in AWGN."""
    head, rows = ["Es/N0 dB"], []
    for mode in MODES:
        head += [f"{mode}: PER", "TER", "ms"]
    for esn0_db, modes in _by_point(figures("context.json")["curve"], "mode").items():
        cells = []
        for mode in MODES:
            row = modes[mode]
            cells += [rate(row["per"]), rate(row["ter"]), f"{row['ms_per_frame']:.0f}"]
        rows.append((f"{esn0_db:g}", *cells))
    return markdown(head, rows)


@table("context-epa")
def context_epa() -> str:
    """Make the table of the receiver's modes through EPA fading."""
    head, rows = ["mean Es/N0 dB"], []
    for mode in MODES:
        head += [f"{mode}: PER", "TER"]
    for esn0_db, modes in _by_point(figures("context-epa.json")["curve"], "mode").items():
        cells = [f"{modes[mode][key]:.4f}" for mode in MODES for key in ("per", "ter")]
        rows.append((f"{esn0_db:g}", *cells))
    return markdown(head, rows)


@table("context-shown")
def context_shown() -> str:
    """Make the table of the PSNR of words and of what is shown."""
    modes = ("mask", "context")
    head = ["Es/N0 dB", *(f"`{mode}`, {what}" for mode in modes for what in ("tokens wrong", "words", "shown"))]
    rows = []
    for esn0_db, by_mode in _by_point(figures("context-shown.json")["curve"], "mode").items():
        cells = []
        for mode in modes:
            row = by_mode[mode]
            cells += [rate(row["ter"]), f"{row['psnr_tokens_db']:.2f}", f"{row['psnr_db']:.2f}"]
        rows.append((f"{esn0_db:g}", *cells))
    return markdown(head, rows)


@table("context-photo256")
def context_photo256() -> str:
    """Make the table of modes list and context of `photo256`."""
    head = ("Es/N0 dB", "PER, `list`", "PER, `context`", "TER, `list`", "TER, `context`", "passes per frame, `context`")
    rows = []
    for esn0_db, modes in _by_point(figures("context-photo256.json")["curve"], "mode").items():
        pair = [modes[mode] for mode in ("list", "context")]
        rows.append(
            (
                f"{esn0_db:g}",
                *(f"{row['per']:.3f}" for row in pair),
                *(f"{row['ter']:.4f}" for row in pair),
                f"{pair[1]['passes']:.1f}",
            )
        )
    return markdown(head, rows)


def _reliability(name: str) -> str:
    rows = ((f"{row['posterior']:.5f}", f"{row['right']:.5f}", row["packets"]) for row in figures(name))
    return markdown(("posterior (mean)", "correct", "packets"), rows)


@table("reliability")
def reliability() -> str:
    """Make the table of calibrated posteriors of `caltech64`."""
    return _reliability("reliability.json")


@table("reliability-photo256")
def reliability_photo256() -> str:
    """Make the table of calibrated posteriors of `photo256`."""
    return _reliability("reliability-photo256.json")


def _by_labels(rows: Iterable[dict]) -> dict[tuple[str, float], dict[str, dict]]:
    found: dict[tuple[str, float], dict[str, dict]] = {}
    for row in rows:
        found.setdefault((row["scheme"], row["esn0_db"]), {})[row["labels"]] = row
    return found


def _mapping() -> list[dict]:
    return [row for file in ("mapping.json", "mapping-map.json") for row in figures(file)["mapping"]]


def _over(labels: dict[str, dict], key: str, other: str) -> str:
    return f"{labels['semantic'][key] / labels[other][key]:.2f}"


@table("mapping-nearest")
def mapping_nearest() -> str:
    """Make the table of 1024-QAM whose receiver takes the nearest point."""
    found = {
        esn0_db: labels
        for (scheme, esn0_db), labels in _by_labels(figures("mapping.json")["mapping"]).items()
        if scheme == "1024qam"
    }
    measures = {
        "cosine distance, semantic over natural": lambda labels: _over(labels, "embedding_distance", "natural"),
        "semantic over random": lambda labels: _over(labels, "embedding_distance", "random"),
        "Euclidean distance, semantic over natural": lambda labels: _over(labels, "euclidean_distance", "natural"),
        "PSNR, semantic less natural, dB": _gained,
    }
    return _measures("1024-QAM, nearest point, Es/N0 dB", found, measures)


@table("mapping-map")
def mapping_map() -> str:
    """Make the table of 1024-QAM whose receiver knows the context's prior."""
    found = {esn0_db: labels for (_, esn0_db), labels in _by_labels(figures("mapping-map.json")["mapping"]).items()}
    measures = {
        "cosine distance, semantic over natural": lambda labels: _over(labels, "embedding_distance", "natural"),
        "wrong tokens, natural and semantic": lambda labels: ", ".join(
            f"{100 * labels[kind]['token_error_rate']:.1f}%" for kind in ("natural", "semantic")
        ),
        "PSNR, semantic less natural, dB": _gained,
    }
    return _measures("1024-QAM, MAP under the context's prior, Es/N0 dB", found, measures)


def _gained(labels: dict[str, dict]) -> str:
    return f"{labels['semantic']['psnr_db'] - labels['natural']['psnr_db']:.1f}"


def _measures(title: str, found: dict[float, dict[str, dict]], measures: dict[str, Callable[[dict], str]]) -> str:
    rows = [(name, *map(measure, found.values())) for name, measure in measures.items()]
    return markdown((title, *(f"{esn0_db:g}" for esn0_db in found)), rows)


@table("mapping-uncoded")
def mapping_uncoded() -> str:
    """Make the table of labels without code."""
    kinds = ("natural", "random", "semantic")
    head = ["scheme", "Es/N0 dB", "wrong tokens: natural, random, semantic", "distance: natural", "random", "semantic"]
    rows = []
    for (scheme, esn0_db), labels in _by_labels(_mapping()).items():
        if not scheme.startswith("coded "):
            wrong = ", ".join(f"{labels[kind]['token_error_rate']:.3f}" for kind in kinds)
            distance = [f"{labels[kind]['embedding_distance']:.3f}" for kind in kinds]
            rows.append(
                (scheme, f"{esn0_db:g}", wrong, *distance, *(f"{labels[kind]['psnr_db']:.2f}" for kind in kinds))
            )
    return markdown([*head, "PSNR dB: natural", "random", "semantic"], rows)


@table("mapping-coded")
def mapping_coded() -> str:
    """Make the table of labels of coded packets."""
    kinds = ("natural", "semantic")
    head, rows = ["mode", "Es/N0 dB"], []
    keys = {"PER": ("per", 4), "wrong tokens": ("token_error_rate", 4), "distance": ("embedding_distance", 4)}
    keys["PSNR dB"] = ("psnr_db", 2)
    for title in keys:
        head += [f"{title}: natural", "semantic"]
    for (scheme, esn0_db), labels in _by_labels(figures("mapping.json")["mapping"]).items():
        if scheme.startswith("coded "):
            cells = [f"{labels[kind][key]:.{places}f}" for key, places in keys.values() for kind in kinds]
            rows.append((scheme.removeprefix("coded "), f"{esn0_db:g}", *cells))
    return markdown(head, rows)


@table("photographs")
def photographs() -> str:
    """Make the table of the quality of `photo256`."""
    head = (
        "tokens",
        "PSNR dB",
        "SSIM",
        "sharpness",
        "agreement",
        "cosine",
        "bits at 15% masked, with / without sentence",
        "exact",
    )
    rows = []
    for tokens, name in (("searched by latents", "photographs.json"), ("nearest", "photographs-nearest.json")):
        found = figures(name)["figures"]
        rows.append((
            tokens,
            f"{found['psnr_db']:.2f}",
            *(f"{found[key]:.3f}" for key in ("ssim", "sharpness", "lite2_agreement", "lite2_cosine")),
            f"{found['bits_told']:.2f} / {found['bits_untold']:.2f}",
            f"{found['exact_told']:.3f} / {found['exact_untold']:.3f}",
            f"{found['tokenize_ms']:.0f} / {found['detokenize_ms']:.0f}",
        ))  # fmt: skip
    return markdown((*head, "tokenize / detokenize, ms"), rows)


@table("flowgraph")
def flowgraph() -> str:
    """Make the table of the flowgraph in real time."""
    head = ("search passes", "samples per second", "frames per second", "latency p50 / p99, ms", "cores")
    rows = []
    for row in figures("flowgraph.json"):
        memory = " / ".join(f"{row[key]:.0f}" for key in ("rss_mb_start", "rss_mb_end"))
        latency = f"{row['latency_ms']['p50']:.0f} / {row['latency_ms']['p99']:.0f}"
        speed = row["visits"], f"{row['sample_rate'] / 1e3:g} k", f"{row['frames_per_second']:.1f}", latency
        rows.append((*speed, row["cpu_cores"], memory, row["drops"]))
    return markdown((*head, "memory at the start / end, MB", "drops"), rows)


@table("device")
def device() -> str:
    """Make the table of the networks' speeds by device."""
    speeds = {(row["mode"], row["device"]): row for row in figures("device.json")["speeds"]}
    names = {
        "tokenize": "tokenize, without search",
        "predict": "predict: one pass of the context model",
        "search": "search, as the model's card sets it",
    }
    rows = []
    for mode in dict.fromkeys(mode for mode, _ in speeds):
        torch, onnx = (speeds.get((mode, name)) for name in ("cpu", "onnx"))
        work = names.get(mode, f"mode {mode}" if "dB" in mode else mode)
        rows.append((work, *_speed(torch), *(_speed(onnx) if onnx else ("", ""))))
    head = ("work", "PyTorch, pictures/s", "processor ms", "ONNX Runtime, pictures/s", "processor ms")
    return markdown(head, rows)


def _speed(row: dict) -> tuple[str, str]:
    milliseconds = row["processor_ms"]
    return f"{row['pictures_per_s']:.3g}", f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
