"""Tables of text, from the file of `./run bench text`."""

from operator import itemgetter

from tables import figures, markdown, rate, table

RECEIVERS = ("keep", "list", "frequencies", "context")
FILE, LONG = "text.json", "text-long.json"
CROSSINGS = ("text-400.json", "text-400-context.json")


@table("text")
def text(name: str = FILE) -> str:
    """Make the table of token errors and exact messages by receiver."""
    curve = {(point["esn0_db"], point["receiver"]): point for point in figures(name)["curve"]}
    head = ["Es/N0 dB", *(f"{name}: TER" for name in RECEIVERS), *(f"{name}: exact" for name in RECEIVERS[1:])]
    rows = []
    for value in sorted({value for value, _ in curve}):
        points = [curve[value, name] for name in RECEIVERS]
        exact = (f"{point['exact_messages']:.0%}" for point in points[1:])
        rows.append([f"{value:g}", *(rate(point["ter"]) for point in points), *exact])
    return markdown(head, rows)


@table("text-long")
def text_long() -> str:
    """Make the same of messages of 50 to 200 tokens."""
    return text(LONG)


@table("text-crossings")
def text_crossings() -> str:
    """Make the table of Es/N0 at which one token in ten is wrong, of more messages near that point."""
    rows = []
    for name in CROSSINGS:
        content = figures(name)
        for receiver, value in content["esn0_db_at_ter_10"].items():
            points = [point for point in content["curve"] if point["receiver"] == receiver]
            nearest = sorted(points, key=lambda point: abs(point["esn0_db"] - value))[:2]
            nearest.sort(key=itemgetter("esn0_db"))
            told = (f"{rate(point['ter'])} at {point['esn0_db']:g} dB" for point in nearest)
            interval = "{:.2f} to {:.2f}".format(*content["esn0_db_at_ter_10_ci"][receiver])
            rows.append((receiver, f"{value:.2f}", interval, ", ".join(told), points[0]["messages"]))
    head = ("receiver", "Es/N0 dB for one token in ten wrong", "95% interval", "TER on either side", "messages")
    return markdown(head, sorted(rows, key=lambda row: -float(row[1])))


@table("text-exact")
def text_exact() -> str:
    """Make the table of messages that are received word for word."""
    rows = [
        (
            f"{point['esn0_db']:g}",
            point["receiver"],
            f"{point['exact_messages']:.2%}",
            "{:.1%} to {:.1%}".format(*point["exact_messages_ci"]),
            f"{point['marked_unsure']:.1%}",
            f"{round(point['sure_and_wrong'] * point['words'])} of {point['words']}",
        )
        for point in figures("text-exact.json")["curve"]
    ]
    head = ("Es/N0 dB", "receiver", "word for word", "95% interval", "words marked as uncertain", "certain and wrong")
    return markdown(head, rows)


@table("characters")
def characters() -> str:
    """Make the table of energy per character."""
    names = {
        "ascii": "ASCII, Viterbi", "zstd": "zstd with a dictionary, Viterbi",
        "arithmetic": "arithmetic code of the language model, Viterbi", "frequencies": "tokens, words' frequencies",
        "context": "tokens, language model",
    }  # fmt: skip
    schemes = figures("characters.json")["schemes"]
    head = ("scheme", "bits per character", "Es/N0 dB for one message in ten wrong", "energy per character over N0, dB")
    return markdown(
        head,
        (
            (
                label,
                f"{schemes[name]['bits_per_character']:.2f}",
                f"{schemes[name]['esn0_db_at_message_error_10']:.2f}",
                f"{schemes[name]['es_per_character_db']:.2f}",
            )
            for name, label in names.items()
        ),
    )


@table("repeats")
def repeats() -> str:
    """Make the table of airtime with repeat requests."""
    curve = {(row["esn0_db"], row["scheme"]): row for row in figures("repeats.json")["curve"]}
    names = {"arq": "CRC, alone", "crc": "CRC, added up", "crc-parts": "CRC, thirds", "posterior": "posterior"}
    head = ["Es/N0 dB", *(f"{name}: symbols per character, rounds, tokens wrong" for name in names.values())]
    rows = []
    for value in sorted({value for value, _ in curve}):
        own = [curve[value, name] for name in names]
        told = (f"{row['symbols_per_character']:.2f}, {row['rounds']:.1f}, {rate(row['ter'])}" for row in own)
        rows.append([f"{value:g}", *told])
    return markdown(head, rows)


@table("text-reliability")
def text_reliability() -> str:
    """Make the table of calibrated posteriors of words."""
    rows = figures("text-reliability.json")["reliability"]
    head = ("posterior (mean)", "correct", "95% interval", "words")
    return markdown(
        head,
        (
            (f"{row['posterior']:.4f}", f"{row['right']:.4f}", f"{row['low']:.4f} to {row['high']:.4f}", row["packets"])
            for row in rows
        ),
    )


@table("text-sentences")
def text_sentences() -> str:
    """Make the table of block error rates in the setting of LLM-Viterbi."""
    names = {"ascii_viterbi": "ASCII, Viterbi", "tokens_viterbi": "tokens, Viterbi", "context": "tokens, context"}
    curve = figures(FILE)["llm_viterbi_setting"]["curve"]
    rows = [[f"{point['esn0_db']:g}", *(f"{point[name]:.2f}" for name in names)] for point in curve]
    return markdown(["Es/N0 dB", *names.values()], rows)


@table("text-policies")
def text_policies() -> str:
    """Make the table of airtime by policy."""
    names = {"cqi": "`cqi`, Viterbi", "cqi-context": "`cqi`, language model", "semantic": "`semantic`"}
    rows = {(row["esn0_db"], row["policy"]): row for row in figures("text-policies.json")["rows"]}
    head = ["Es/N0 dB", *(f"{name}: ms, tokens wrong, exact" for name in names.values())]
    head.append("airtime, `semantic` over `cqi`")
    lines = []
    for value in sorted({value for value, _ in rows}):
        own = [rows[value, policy] for policy in names]
        told = (f"{row['airtime_samples'] / 1000:.2f}, {row['ter']:.2%}, {row['exact_messages']:.0%}" for row in own)
        lines.append([f"{value:g}", *told, f"{own[-1]['airtime_over_cqi'] - 1:+.0%}"])
    return markdown(head, lines)
