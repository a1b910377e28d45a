"""Tables of device and edge, from the file of `./run bench edge` and the cards of the models."""

import json
from pathlib import Path

from tables import ROOT, figures, markdown, rate, table

FILE = "edge.json"


@table("edge-models")
def models() -> str:
    """Make the table of the large and the small context of caltech64."""
    card = json.loads((Path(ROOT) / "models/caltech64/card.json").read_text(encoding="utf-8"))
    rows = []
    for part, name in (("context", "edge"), ("small_context", "device")):
        entry = card[part]
        bits, blind = entry["figures"]["bits_at_15"], entry["figures"]["bits_at_15_without_cmi"]
        config = entry["config"]
        rows.append([
            f"{name} (`{part}`)", f"{entry['parameters'] / 1e6:.2f} M", f"{config['depth']} x {config['width']}",
            f"{bits:.2f}", f"{blind:.2f}", f"{entry['figures']['exact_at_15']:.1%}",
        ])  # fmt: skip
    head = ["model", "parameters", "layers x width", "bits per masked token", "without label", "exact"]
    return markdown(head, rows)


@table("edge-decisions")
def decisions() -> str:
    """Make the table of frames that stay on the device, with the encoder's tokens."""
    return _decisions(FILE)


@table("edge-decisions-searched")
def decisions_searched() -> str:
    """Make the table of frames that stay on the device, with tokens that were searched for."""
    return _decisions("edge-searched.json")


def _decisions(file: str) -> str:
    rows = []
    for row in figures(file)["decisions"]:
        value = row["esn0_db"]
        excess = "" if row["excess"] is None else f"{row['excess']:+.1%}"
        rows.append([
            value if value == "all" else f"{value:g}", row["frames"], f"{row['stay']:.0%}", rate(row["ter_always"]),
            rate(row["ter"]), excess, rate(row["ter_never"]),
        ])  # fmt: skip
    head = ["Es/N0 dB", "frames", "stay", "TER, always edge", "TER, policy", "more", "TER, never edge"]
    return markdown(head, rows)


@table("edge-load")
def load() -> str:
    """Make the table of latency and throughput."""
    rows = [
        [row["clients"], row["server"], f"{row['p50_ms']:.0f}", f"{row['p99_ms']:.0f}", f"{row['pictures_per_s']:.1f}"]
        for row in figures(FILE)["load"]
    ]
    return markdown(["clients", "server", "p50 ms", "p99 ms", "pictures per second"], rows)


@table("edge-killed")
def killed() -> str:
    """Make the table of the killed server."""
    rows = [
        [row["questions"], row["answered"], row["by_edge"], row["by_device"], f"{row['deadline_ms']:.0f}",
         f"{row['slowest_ms']:.0f}"]
        for row in figures(FILE)["killed"]
    ]  # fmt: skip
    head = ["questions", "answered", "by the edge", "by the device", "deadline ms", "slowest answer after the kill, ms"]
    return markdown(head, rows)


@table("edge-fuzz")
def fuzz() -> str:
    """Make the table of spoilt messages."""
    rows = [
        [f"{row['messages']:,}", f"{row['refused']:,}", f"{row['read']:,}", row["raised"]]
        for row in figures(FILE)["fuzz"]
    ]
    return markdown(["messages", "refused as invalid", "still valid", "raised anything else"], rows)


def _written(part: str) -> str:
    rows = [
        [row["rule"], f"{row['temperature']:g}", row["drafts"], row["texts"],
         f"{row['identical']:,}" if row["rule"] == "identical" else "", f"{row['accepted']:.0%}",
         f"{row['words_per_round']:.2f}", f"{row['upload_bits']:.0f}", f"{row['upload_bits_per_word']:.0f}"]
        for row in figures(FILE)[part]
    ]  # fmt: skip
    head = ["rule", "temperature", "drafts", "texts", "identical", "accepted", "words per round"]
    return markdown([*head, "bits per draft", "upload, bits per word"], rows)


@table("edge-writing")
def writing() -> str:
    """Make the table of texts of random networks."""
    return _written("writing")


@table("edge-language")
def language() -> str:
    """Make the table of texts of a language model."""
    return _written("language")


@table("edge-replicas")
def replicas() -> str:
    """Make the table of a killed replica."""
    names = ("replicas", "questions", "answered", "by_edge", "by_device", "wrong", "repeated", "after_kill")
    found = figures("replicas.json")["replicas"]
    rows = [[*(row[name] for name in names), f"{row['slowest_ms'] / 1000:.1f}"] for row in found]
    head = ["replicas", "questions", "answered", "by the edge", "by the device", "wrong", "repeated", "after the kill"]
    return markdown([*head, "slowest answer, s"], rows)


SCALE = "scale.json"


@table("scale-collisions")
def collisions() -> str:
    """Make the table of ids that collide."""
    rows = [
        [f"{row['codebooks']:,}", f"{row['any_two']:.2g}", f"{row['a_new_one']:.2g}"]
        for row in figures(SCALE)["collisions"]
    ]
    return markdown(["codebooks", "two of them share an id", "a new one meets a known id"], rows)


@table("scale-caches")
def caches() -> str:
    """Make the table of caches by size."""
    rows = [
        [row["kept"], f"{row['cell_gigabytes']:.2f}", f"{row['hit']:.1%}", f"{row['pulls_per_cell_hour']:.1f}",
         f"{row['cell_mbit_per_s']:.2f}"]
        for row in figures(SCALE)["caches"]
    ]  # fmt: skip
    return markdown(["models kept", "GB per cell", "hits", "pulls per cell and hour", "Mbit/s per cell"], rows)


@table("scale-update")
def update() -> str:
    """Make the table of an update."""
    rows = [
        [f"{row['users']:,}", f"{row['origin_gigabytes']:.0f}", f"{row['cell_s']:.1f}",
         f"{row['devices_per_cell']:.1f}", f"{row['devices_s']:.0f}"]
        for row in figures(SCALE)["update"]
    ]  # fmt: skip
    head = [
        "devices with the model",
        "GB from the origin",
        "s until a cell has it",
        "devices per cell",
        "s until they have it",
    ]
    return markdown(head, rows)


@table("scale-questions")
def questions() -> str:
    """Make the table of the load of edge servers."""
    rows = [
        [f"{row['frames_per_cell_s']:.2f}", f"{row['questions_per_cell_s']:.2f}", f"{row['cells_per_server']:.1f}",
         f"{row['servers']:,}", f"{row['cell_mbit_per_s']:.1f}"]
        for row in figures(SCALE)["questions"]
    ]  # fmt: skip
    head = [
        "frames per cell and s",
        "questions per cell and s",
        "cells per server",
        "servers in all",
        "Mbit/s per cell",
    ]
    return markdown(head, rows)


@table("membership-private")
def membership_private() -> str:
    """Make the table of a model that was trained privately, beside one that was not."""
    found, rows = figures("membership-private.json"), []
    for name in ("plain", "private"):
        row, spent = found[name], found[name].get("privacy")
        told = f"{spent['epsilon']:.1f}, {spent['delta']:g}, {spent['noise']:.2f}" if spent else "none"
        rows.append([
            name, told, f"{row['figures']['bits_at_15']:.1f}", f"{row['advantage']:.2f} ± {row['standard_error']:.2f}",
            f"{row['auc']:.2f}",
        ])  # fmt: skip
    return markdown(["training", "ε, δ, noise", "bits per masked token, test", "advantage", "area under ROC"], rows)
