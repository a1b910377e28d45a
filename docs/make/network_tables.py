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
