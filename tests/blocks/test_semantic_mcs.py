"""The block that chooses MCS: it follows CQI and reports, and passes on the frame that it was given."""

import numpy as np
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import ModelError, ParameterError
from tokcom.models.codebooks import codebook
from tokcom.packets.layout import packet_layout, unpack

CODEBOOK = codebook("caltech64").name

FRAME = {"frame_id": 4, "modality": "image", "codebook": CODEBOOK, "codebook_size": 1024, "grid": (16, 16)}
PACKETS = FRAME | {"packets": 64, "tokens_per_packet": 4, "layout_seed": 4}
TOKENS = np.random.default_rng(0).integers(0, 1024, 256).astype(np.int32)
IN_ORDER = unpack(TOKENS.reshape(64, 4), packet_layout(256, 4, 4))


def run(block, collector, pdu, messages):
    """Hands (port, metadata) to the block's handlers in turn, those of "packets" with TOKENS: between ports the
    scheduler keeps no order. Returns what came out of packets and choice."""
    frames = sum(port == "packets" for port, _ in messages)
    top, out, choices = gr.top_block(catch_exceptions=False), collector(frames), collector(frames)
    top.msg_connect(block, "packets", out, "in")
    top.msg_connect(block, "choice", choices, "in")
    handlers = {"packets": block._on_pdu, "cqi": block._on_cqi, "reports": block._on_report}
    top.start()
    for port, meta in messages:
        handlers[port](pdu(TOKENS if port == "packets" else np.zeros(1, np.uint8), **meta))
    assert out.done.wait(120) and choices.done.wait(120)
    top.stop()
    top.wait()
    return out.messages, [meta for meta, _ in choices.messages]


def test_every_policy_passes_on_the_same_frame(collector, pdu):
    for policy in ("fixed", "cqi", "cqi-context", "semantic", "semantic-power"):
        ((meta, tokens),), (choice,) = run(
            tokcom.semantic_mcs(policy), collector, pdu, [("packets", PACKETS | {"mine": 7})]
        )
        layout = packet_layout(256, 4, meta["layout_seed"])
        assert np.array_equal(unpack(tokens.reshape(64, 4), layout), IN_ORDER)
        assert meta["mine"] == 7 and len(meta["mcs"]) == 64 and choice["policy"] == policy
        assert ("expected_ter" in choice) == policy.startswith("semantic")


def test_a_better_channel_makes_bursts_shorter(collector, pdu):
    airtime = []
    for value in (0.0, 5.0, 10.0, 20.0):
        messages = [("cqi", {"esn0_db": value}), ("packets", PACKETS)]
        _, (choice,) = run(tokcom.semantic_mcs("cqi"), collector, pdu, messages)
        assert choice["cqi_state"] == "fresh" and choice["esn0_db"] == pytest.approx(value)
        airtime.append(choice["airtime_samples"])
    assert airtime == sorted(airtime, reverse=True) and len(set(airtime)) == 4


def test_without_cqi_a_poor_channel_is_assumed_and_said(collector, pdu):
    (_, (choice,)) = run(tokcom.semantic_mcs("cqi", fallback_esn0_db=1.5), collector, pdu, [("packets", PACKETS)])
    assert choice["cqi_state"] == "missing" and choice["mcs_summary"] == "64 x qpsk-1/2"
    assert choice["esn0_db"] == pytest.approx(1.5)


def test_an_old_cqi_is_not_believed(collector, pdu):
    """A lifetime so short that any CQI is stale by the time it is used."""
    messages = [("cqi", {"esn0_db": 20.0}), ("packets", PACKETS)]
    _, (choice,) = run(tokcom.semantic_mcs("cqi", max_age=1e-9), collector, pdu, messages)
    assert choice["cqi_state"] == "stale" and choice["esn0_db"] == pytest.approx(1.5) and choice["cqi_age"] > 0


def test_carriers_count_one_by_one(collector, pdu):
    selective = np.tile([4.0, 16.0], 26).astype(np.float32)
    for carriers, faster in ((selective, False), (np.full(52, 10.0, np.float32), True)):
        messages = [("cqi", {"carrier_esn0_db": carriers}), ("packets", PACKETS)]
        _, (choice,) = run(tokcom.semantic_mcs("cqi"), collector, pdu, messages)
        assert (choice["mcs_summary"] == "64 x 16qam-3/4") == faster


def test_a_policy_set_while_an_adapter_is_made_is_kept():
    """What the GUI's thread sets in the middle of a frame holds for the frames behind, of every packet size."""
    block = tokcom.semantic_mcs("fixed")
    make = block._new_adapter

    def slow(*asked):
        made = make(*asked)
        block.set_policy("cqi")
        return made

    block._new_adapter = slow
    block._adapter(8, CODEBOOK)
    assert [block._adapter(size, CODEBOOK).config.policy for size in (4, 8, 16)] == ["cqi"] * 3


def test_losses_make_it_careful(collector, pdu):
    block = tokcom.semantic_mcs("cqi", step_db=0.1)
    report = {"frame_id": 4, "packets": 64, "packets_lost": 64}
    messages = [("cqi", {"esn0_db": 10.0}), ("packets", PACKETS), ("reports", report), ("packets", PACKETS)]
    _, (before, after) = run(block, collector, pdu, messages)
    assert before["offset_db"] == 0 and after["offset_db"] == pytest.approx(-6.4)
    assert after["airtime_samples"] > before["airtime_samples"]


def test_losses_of_a_burst_that_was_sent_blindly_teach_nothing(collector, pdu):
    report = {"frame_id": 4, "packets": 64, "packets_lost": 64}
    messages = [("packets", PACKETS), ("reports", report), ("packets", PACKETS)]
    _, (_, after) = run(tokcom.semantic_mcs("cqi", step_db=0.1), collector, pdu, messages)
    assert after["offset_db"] == 0


def test_a_burst_is_reported_on_once_and_its_quality_may_come_later(collector, pdu):
    report = {"frame_id": 4, "packets": 64, "packets_lost": 64, "esn0_db": 9.0}
    messages = [
        ("cqi", {"esn0_db": 10.0}), ("packets", PACKETS), ("reports", report), ("reports", report), ("cqi", report),
        ("packets", PACKETS),
    ]  # fmt: skip
    block = tokcom.semantic_mcs("cqi", step_db=0.1)
    _, (_, after) = run(block, collector, pdu, messages)
    assert after["offset_db"] == pytest.approx(-6.4) and after["esn0_db"] == pytest.approx(9 - 6.4)


def test_with_context_what_context_left_open_counts(collector, pdu):
    report = {"frame_id": 4, "packets": 64, "packets_lost": 64, "packets_open": 0}
    messages = [("cqi", {"esn0_db": 10.0}), ("packets", PACKETS), ("reports", report), ("packets", PACKETS)]
    for policy, rises in (("cqi", False), ("cqi-context", True)):
        _, (_, after) = run(tokcom.semantic_mcs(policy), collector, pdu, messages)
        assert (after["offset_db"] > 0) == rises


def test_feedback_that_is_none_is_counted_and_the_frame_passes(collector, pdu):
    block = tokcom.semantic_mcs("cqi")
    bad = [("cqi", {"esn0_db": "high"}), ("cqi", {}), ("cqi", {"esn0_db": float("nan")}), ("reports", {"packets": 64})]
    out, _ = run(block, collector, pdu, [*bad, ("packets", PACKETS)])
    assert len(out) == 1 and block.frames_refused == len(bad)


def test_cqi_and_reports_of_other_streams_are_passed_over(collector, pdu):
    """Two transmitters on one channel: the other's good channel makes no burst of this one shorter."""
    cqi = ("cqi", {"esn0_db": 20.0, "stream_id": 2, "frame_id": 4})
    _, (choice,) = run(tokcom.semantic_mcs("cqi", stream_id=1), collector, pdu, [cqi, ("packets", PACKETS)])
    assert choice["cqi_state"] == "missing"
    for stream_id in (2, -1):
        block = tokcom.semantic_mcs("cqi", stream_id=stream_id)
        _, (choice,) = run(block, collector, pdu, [cqi, ("packets", PACKETS)])
        assert choice["cqi_state"] == "fresh" and choice["esn0_db"] == pytest.approx(20)
    lost = [("reports", {"frame_id": 4, "packets": 64, "packets_lost": 64, "stream_id": stream}) for stream in (1, 2)]
    own = ("cqi", {"esn0_db": 20.0, "stream_id": 1})
    for report, moves in zip(lost, (True, False), strict=True):
        block = tokcom.semantic_mcs("cqi", step_db=0.5, stream_id=1)
        _, (_, after) = run(block, collector, pdu, [own, ("packets", PACKETS), report, ("packets", PACKETS)])
        assert (after["offset_db"] < 0) == moves


def test_a_frame_is_sent_as_the_model_of_its_codebook_expects(collector, pdu):
    block = tokcom.semantic_mcs("semantic")
    strange = PACKETS | {"codebook": "mine@12345678"}
    out, _ = run(block, collector, pdu, [("packets", PACKETS)])
    assert len(out) == 1 and block.frames_refused == 0
    block._on_pdu(pdu(TOKENS, **strange))
    assert block.frames_refused == 1


def test_bits_need_no_model_and_their_bound_is_a_target(collector, pdu, send):
    bits = np.random.default_rng(1).integers(0, 2, 1600).astype(np.int32)
    meta = {
        "frame_id": 5, "payload": "bits", "codebook": "any", "packets": 4, "tokens_per_packet": 400, "layout_seed": 0,
        "layout": "contiguous", "grid": (1600,),
    }  # fmt: skip
    sent = []
    for block in (tokcom.semantic_mcs("semantic", bound=0.01), tokcom.semantic_mcs("cqi", target=0.01)):
        block._on_cqi(pdu(np.zeros(1, np.uint8), esn0_db=7.0))
        ((found, data),) = send(block, [pdu(bits, **meta)])
        assert np.array_equal(data, bits) and found["power_db"] == 0
        sent.append(list(found["mcs"]))
    assert sent[0] == sent[1] and len(set(sent[0])) == 1


def test_settings_change_while_it_runs_or_stay_as_they_were(collector, pdu):
    block = tokcom.semantic_mcs("fixed", mcs="bpsk-1/2")
    block.set_mcs("64qam-3/4")
    _, (choice,) = run(block, collector, pdu, [("packets", PACKETS)])
    assert choice["mcs_summary"] == "64 x 64qam-3/4"
    for change in (lambda: block.set_mcs("8psk"), lambda: block.set_policy("best"), lambda: block.set_bound(0)):
        with pytest.raises(ParameterError):
            change()
    assert block._settings["policy"] == "fixed" and block._settings["mcs"] == "64qam-3/4"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"policy": "best"}, ParameterError, "policy is 'best'"),
        ({"target": 0.0}, ParameterError, "target is 0.0"),
        ({"bound": 1.0}, ParameterError, "bound is 1.0"),
        ({"max_age": 0.0}, ParameterError, "max_age is 0.0"),
        ({"mcs": "16qam"}, ParameterError, "'16qam'"),
        ({"peak_db": -1.0}, ParameterError, "peak_db is -1.0"),
        ({"models": "none"}, ModelError, "no model 'none'"),
    ],
)
def test_bad_parameters_stop_the_flowgraph_before_it_starts(arguments, error, message):
    with pytest.raises(error, match=message):
        tokcom.semantic_mcs(**arguments)


def test_texts_are_chosen_for_by_their_language_model(tiny_text_model, tmp_path, pdu, send):
    import json
    import shutil

    from tokcom.models.installed import model_card
    from tokcom.models.text import load_text_tokenizer

    folder = tmp_path / "model"
    shutil.copytree(tiny_text_model, folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["context"]["residual"] = model_card("caltech64").part("context")["residual"] | {
        "context": card["context"]["sha256"]
    }
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    frame = load_text_tokenizer(str(folder)).tokenize("the rain on the other train stays", 7)
    described = {
        "frame_id": 7, "modality": "text", "codebook": frame.codebook, "codebook_size": frame.codebook_size,
        "grid": frame.grid,
    }  # fmt: skip
    packetizer = tokcom.token_packetizer(3, layout="contiguous")
    ((meta, packets),) = send(packetizer, [pdu(frame.tokens, **described)])
    ((chosen, same),) = send(
        tokcom.semantic_mcs("semantic", str(folder)), [pdu(packets.astype(np.int32), **meta)], "packets", "packets"
    )
    assert np.array_equal(same, packets) and chosen["layout"] == "contiguous"
    assert len(chosen["mcs"]) == meta["packets"] == -(-len(frame.tokens) // 3)
