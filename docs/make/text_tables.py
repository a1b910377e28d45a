"""Tables of text, from the file of `./run bench text`."""

from tables import figures, markdown, rate, table

RECEIVERS = ("keep", "list", "frequencies", "context")
FILE, LONG = "text.json", "text-long.json"


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


@table("text-sentences")
def text_sentences() -> str:
    """Make the table of block error rates in the setting of LLM-Viterbi."""
    names = {"ascii_viterbi": "ASCII, Viterbi", "tokens_viterbi": "tokens, Viterbi", "context": "tokens, context"}
    curve = figures(FILE)["llm_viterbi_setting"]["curve"]
    rows = [[f"{point['esn0_db']:g}", *(f"{point[name]:.2f}" for name in names)] for point in curve]
    return markdown(["Es/N0 dB", *names.values()], rows)
