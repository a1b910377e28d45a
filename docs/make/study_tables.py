"""Tables of adaptation, the search for tokens, labels, acceptance and the case study."""

from tables import figures, markdown, table

SHOWN = ("vqgan+r", "vqgan", "tokcom", "tokcom-nocmi", "list", "context", "context-nocmi", "webp", "avif", "jpeg2000")
"""Schemes in the tables of quality."""


def _policies(file: str = "adaptation.json") -> dict[tuple[str, float], dict[str, dict]]:
    found: dict[tuple[str, float], dict[str, dict]] = {}
    for row in figures(file)["adaptation"]:
        found.setdefault((row["channel"], row["esn0_db"]), {})[row["policy"]] = row
    return found


def _signed(value: float, places: int) -> str:
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def _airtime(row: dict, places: int = 2) -> str:
    return f"{row['airtime_ms']:.2f}, {100 * row['ter']:.{places}f}%"


@table("adaptation")
def adaptation() -> str:
    """Make the table of `semantic` at the errors of `cqi`."""
    head = ("channel", "Es/N0 dB", "`cqi`: ms, tokens wrong", "`semantic`", "airtime, `semantic` over `cqi`")
    rows, saved = [], []
    for (channel, esn0_db), policies in _policies("adaptation-semantic.json").items():
        cqi, semantic = policies["cqi"], policies["semantic"]
        saved.append(100 * (semantic["airtime_ms"] / cqi["airtime_ms"] - 1))
        cells = [_airtime(policies[name]) for name in ("cqi", "semantic")]
        quality = f"{cqi['psnr_db']:.2f} → {semantic['psnr_db']:.2f}"
        rows.append((channel.upper(), f"{esn0_db:g}", *cells, f"{_signed(saved[-1], 1)}%", quality))
    rows.append(("mean", "", "", "", f"{_signed(sum(saved) / len(saved), 1)}%", ""))
    return markdown((*head, "PSNR dB, `cqi` → `semantic`"), rows)


@table("adaptation-fixed")
def adaptation_fixed() -> str:
    """Make the table of the best single MCS."""
    rows = [
        (channel.upper(), f"{esn0_db:g}", *(_airtime(policies[name]) for name in ("fixed", "cqi", "semantic")))
        for (channel, esn0_db), policies in _policies().items()
    ]
    return markdown(("channel", "Es/N0 dB", "best `fixed`: ms, tokens wrong", "`cqi`", "`semantic`"), rows)


@table("adaptation-strict")
def adaptation_strict() -> str:
    """Make the table of `semantic` at the errors of `cqi-context`."""
    rows = []
    for (channel, esn0_db), policies in _policies("adaptation-strict.json").items():
        cqi, semantic = policies["cqi-context"], policies["semantic-strict"]
        saved = _signed(100 * (semantic["airtime_ms"] / cqi["airtime_ms"] - 1), 0)
        rows.append((channel.upper(), f"{esn0_db:g}", _airtime(cqi, 3), _airtime(semantic, 3), f"{saved}%"))
    return markdown(("channel", "Es/N0 dB", "`cqi-context`: ms, tokens wrong", "`semantic`", "airtime"), rows)


@table("adaptation-power")
def adaptation_power() -> str:
    """Make the table of `semantic-power`."""
    rows = []
    for (channel, esn0_db), policies in _policies().items():
        cqi, power = policies["cqi"], policies["semantic-power"]
        saved = _signed(power["energy_db"] - cqi["energy_db"], 1)
        rows.append((channel.upper(), f"{esn0_db:g}", _airtime(cqi), _airtime(power), saved))
    return markdown(
        ("channel", "Es/N0 dB", "`cqi`: ms, tokens wrong", "`semantic-power`", "energy per burst, dB"), rows
    )


@table("outer-loop")
def outer_loop() -> str:
    """Make the table of the outer loop."""
    rows = (
        (
            f"{row['esn0_db']:g}",
            f"{100 * row['per']:.1f}%",
            f"{100 * row['per_without']:.1f}%",
            _signed(row["mean_offset_db"], 1),
        )
        for row in figures("adaptation.json")["outer_loop"]["points"]
    )
    return markdown(("mean Es/N0 dB", "packets lost", "inner loop alone", "mean offset dB"), rows)


@table("power")
def power() -> str:
    """Make the table of a power per packet."""
    found: dict[float, list[dict]] = {}
    for row in figures("power.json")["power"]:
        found.setdefault(row["esn0_db"], []).append(row)
    rows = []
    for esn0_db, bounds in found.items():
        saved = " / ".join(f"{row['saved_db']:.2f}" for row in bounds)
        spread = " / ".join(f"{row['spread_db']:.1f}" for row in bounds)
        most = max(row["saved_most_db"] for row in bounds)
        rows.append((f"{esn0_db:g}", f"{saved} dB", f"{most:.2f} dB", f"{spread} dB"))
    head = ("Es/N0 dB", "saved at 0.2% / 2% of the tokens wrong, mean", "largest of 100 photographs")
    return markdown((*head, "strongest over weakest packet"), rows)


@table("token-search")
def token_search() -> str:
    """Make the table of the search for tokens of `caltech64`."""
    return _rates("tokens.json", 0.12, "rate, nepers per bit")


@table("token-search-photo256")
def latent_search() -> str:
    """Make the table of the search for tokens of `photo256`, by latents."""
    return _rates("tokens-photo256.json", 0.004, "rate per bit")


def _rates(name: str, of_card: float, head: str) -> str:
    """Make a table of rates of a search for tokens, with that of the model's card in bold."""
    found: dict[float, list[dict]] = {}
    for point in figures(name)["points"]:
        found.setdefault(point["rate"], []).append(point)
    visits = ", ".join(str(point["visits"]) for point in next(iter(found.values())))
    rows = []
    for rate, points in found.items():
        psnr, bits = (", ".join(f"{point[key]:.2f}" for point in points) for key in ("psnr_db", "bits"))
        rows.append((f"**{rate:g}**" if rate == of_card else f"{rate:g}", psnr, bits))
    return markdown((head, f"PSNR dB after {visits} passes", "bits per masked token, 15% masked"), rows)


@table("mapping-context")
def mapping_context() -> str:
    """Make the table of labels in mode `context`."""
    kinds = ("natural", "semantic", "contextual")
    found: dict[float, dict[str, dict]] = {}
    for row in figures("mapping-context.json")["mapping"]:
        found.setdefault(row["esn0_db"], {})[row["labels"]] = row
    head = ["Es/N0 dB"]
    for title in ("PER", "wrong tokens", "distance"):
        head += [f"{title}: natural", *kinds[1:]]
    rows = []
    for esn0_db, labels in found.items():
        per = [f"{labels[kind]['per']:.4f}" for kind in kinds]
        wrong = [f"{100 * labels[kind]['token_error_rate']:.2f}%" for kind in kinds]
        rows.append((f"{esn0_db:g}", *per, *wrong, *(f"{labels[kind]['embedding_distance']:.4f}" for kind in kinds)))
    return markdown(head, rows)


@table("accept-list")
def accept_list() -> str:
    """Make the table of thresholds of acceptance in mode `list`."""
    return _thresholds("accept-list.json", 4)


@table("accept-context")
def accept_context() -> str:
    """Make the table of thresholds of acceptance in mode `context`."""
    return _thresholds("accept-context.json", 2)


def _thresholds(name: str, esn0_db: float) -> str:
    report = figures(name)
    crossings = {row["accept"]: row["esn0_db_at_per_10"] for row in report["crossings"]}
    first, last = (pick(point["esn0_db"] for point in report["points"]) for pick in (min, max))
    rows = []
    for point in report["points"]:
        if point["esn0_db"] == esn0_db and point["accept"] in crossings:
            accept = f"{point['accept']:g}".removeprefix("0")
            needed, outside = (
                crossings[point["accept"]],
                f"below {first:g} dB" if point["per"] < 0.1 else f"above {last:g} dB",
            )
            rows.append(
                (
                    f"**{accept}**" if point["accept"] == 0.9985 else accept,
                    outside if needed is None else f"{needed:.2f} dB",
                    f"{point['undetected'] * 1e4:.1f}e-4",
                    f"{point['promised'] * 1e4:.1f}e-4",
                )
            )
    head = ("accept from", "PER 10% at", f"accepted although wrong at {esn0_db:g} dB", "as the posteriors predict")
    return markdown(head, rows)


@table("vocabulary")
def vocabulary() -> str:
    """Make the table of priors that list only part of a large codebook."""
    report = figures("vocabulary.json")
    found: dict[str, list[dict]] = {}
    for point in report["points"]:
        found.setdefault(point["prior"], []).append(point)
    rows = []
    for prior, points in found.items():
        per = [f"{point['per']:.3f}" for point in points]
        loss = "" if prior == "all words" else f"{report['loss_db'][prior]:.2f} dB"
        taken = sum(point["ms_per_packet"] for point in points) / len(points)
        rows.append((prior, *per, loss, f"{taken:.1f}"))
    points = [f"PER at {point['esn0_db']:g} dB" for point in found["all words"]]
    return markdown(("prior", *points, "loss", "ms per packet"), rows)


def _study(name: str) -> dict[str, dict[float, dict]]:
    found: dict[str, dict[float, dict]] = {}
    for row in figures(f"case-study/{name}.json"):
        if row.get("esn0_db") is not None:
            unlabelled = "-nocmi" if row["cmi"] is False else ""
            found.setdefault(row["scheme"] + unlabelled, {})[row["esn0_db"]] = row
    return found


def _share(value: float, places: int) -> str:
    if value == 0:
        return "0"
    return f"{value:.{places}f}".removeprefix("0") if value < 1 else f"{value:.{places}f}"


@table("photographs-paper")
def photographs_paper() -> str:
    """Make the table of 256 x 256 photographs beside the paper's published values."""
    published, found = figures("case-study/published.json"), _study("photographs-paper")
    points = sorted(found["vqgan"])
    masked = [found["tokcom"][point] for point in points]
    once, repeated = published["tce_once"], [published["tce_once"] * (1 - per) for per in published["per"]]

    def ours(scheme: str, figure: str, places: int) -> list[str]:
        return [_with_interval(found[scheme][point], figure, places) for point in points]

    def theirs(figure: str, places: int) -> list[str]:
        return [_share(value, places) for value in published[figure]]

    rows = [
        ("PER, published", *theirs("per", 3)),
        ("PER, ours", *ours("vqgan", "per", 3)),
        ("TER, published", *theirs("ter_channel", 3)),
        ("TER, ours", *ours("vqgan", "ter_channel", 3)),
        ("TCE, once, published and ours", *(f"{row['tce']:.1f}" for row in masked)),
        (f"TCE with repetition, {once:g} (1 - published PER)", *(f"{each:.1f}" for each in repeated)),
        ("TCE with repetition, ours", *(f"{found['vqgan+r'][point]['tce']:.1f}" for point in points)),
        (
            'published "TER after" over PER',
            *(_share(ter / per, 3) for ter, per in zip(published["ter_recovered"], published["per"], strict=True)),
        ),
        ("exact recovery, ours", *(_share(row["exact_recovery"], 3) for row in masked)),
        ("tokens wrong after masking, ours", *(_share(row["ter_recovered"], 3) for row in masked)),
    ]
    return markdown(("", *(f"{point:g} dB" for point in points)), rows)


@table("photographs-paper-quality")
def photographs_paper_quality() -> str:
    """Make the table of quality by scheme of photographs on the link `paper`."""
    return _quality("photographs-paper")


@table("photographs-k7-quality")
def photographs_k7_quality() -> str:
    """Make the table of quality by scheme of photographs on the link `k7`."""
    return _quality("photographs-k7")


def _quality(name: str) -> str:
    """Make a table of PSNR in dB and semantic score by scheme."""
    found = _study(name)
    points = sorted(found["vqgan"])
    rows = [("PER", *(_share(found["vqgan"][point]["per"], 3) for point in points))]
    for scheme in (each for each in SHOWN if each in found):
        by_point = found[scheme]
        cells = (f"{by_point[at]['psnr_db']:.1f}, {_share(by_point[at]['semantic'], 2)}" for at in points)
        rows.append((f"`{scheme}`", *cells))
    return markdown(("Es/N0 dB", *(f"{point:g}" for point in points)), rows)


def _with_interval(row: dict, figure: str, places: int) -> str:
    low, high = row["ci"][figure]
    return f"{_share(row[figure], places)} ± {_share((high - low) / 2, places)}"


@table("case-study-psnr")
def case_study_psnr() -> str:
    """Make the table of PSNR by scheme on the link `k7`."""
    found = _study("k7")
    points = sorted(found["vqgan"])
    per = [_share(found["vqgan"][point]["per"], 3 if found["vqgan"][point]["per"] >= 5e-4 else 4) for point in points]
    rows = [("PER", *per)]
    for name in ("vqgan+r", "vqgan", "tokcom", "list", "context", "context-nocmi", "webp", "avif", "jpeg2000"):
        rows.append((f"`{name}`", *(f"{found[name][point]['psnr_db']:.1f}" for point in points)))
        if name == "vqgan+r":
            rows.append(("its TCE", *(_share(found[name][point]["tce"], 2) for point in points)))
    return markdown(("Es/N0 dB", *(f"{point:g}" for point in points)), rows)


@table("case-study-tokens")
def case_study_tokens() -> str:
    """Make the table of wrong tokens by scheme on the link `k7`."""
    found = _study("k7")
    points = [point for point in sorted(found["vqgan"]) if point < 9]
    rows = []
    for name in ("vqgan", "tokcom", "list", "context"):
        shares = [found[name][point]["ter_recovered"] for point in points]
        rows.append((f"`{name}`", *(_share(share, 3 if share >= 1e-3 else 4) for share in shares)))
    return markdown(("Es/N0 dB", *(f"{point:g}" for point in points)), rows)


@table("case-study-reaches")
def case_study_reaches() -> str:
    """Make the table of Es/N0 from which schemes do on the link `k7` as repetition does."""
    names = ("vqgan+r", "context", "context-nocmi", "list", "tokcom", "vqgan", "webp")
    reaches = figures("case-study/k7-study.json")["reaches"]

    def cell(value: float | None) -> str:
        return "not up to 9 dB" if value is None else f"{value:.1f} dB"

    rows = [
        (title, *(cell(reaches[key][name]) for name in names))
        for title, key in (("semantic score", "semantic"), ("PSNR", "psnr_db"))
    ]
    return markdown(("", *(f"`{name}`" for name in names)), rows)
