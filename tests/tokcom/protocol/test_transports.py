"""The token protocol over real sockets on loopback: UDP, a relay, ZeroMQ, QUIC."""

import asyncio
import datetime
import errno
import os
import socket

import numpy as np
import pytest

from tokcom.errors import TransportError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.codebook import Codebook
from tokcom.protocol import udp
from tokcom.protocol.datagram_link import DatagramLink
from tokcom.protocol.datagrams import encode_hello
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.udp import UdpReceiver, UdpRelay, UdpSender, parse_address, resolve

BOOK = Codebook("model", 1024)
WAIT = WaitSettings(deadline_s=30, rounds=100)
SENT = [
    TokenFrame(np.random.default_rng(i).integers(0, 1024, 256), "model", 1024, (16, 16), frame_id=i) for i in range(5)
]


async def frames_through(relay):
    got, done = [], asyncio.Event()

    def deliver(received):
        got.append(received.frame)
        if len(got) == len(SENT):
            done.set()

    receiver = UdpReceiver(Receiver([BOOK], ReceiverSettings("all", WAIT)), "127.0.0.1", 0, deliver)
    ends, port = [receiver], receiver.port
    if relay:
        # Every fourth datagram is lost, and they come out of order.
        path = PathSettings(0.25, 2, 0.002, 0.002, duplicate=0.1)
        paths = None if relay == "clear" else (Path(path, 1), Path(path, 2))
        ends.append(UdpRelay(DropQueue(1e6), ("127.0.0.1", 0), ("127.0.0.1", port), paths=paths))
        port = ends[-1].port
    sender = UdpSender(Sender(SenderSettings(deadline_s=30)), "127.0.0.1", port)
    ends.append(sender)
    for frame in SENT:
        sender.offer(frame, np.arange(64.0))
    await asyncio.wait_for(done.wait(), 60)
    finished = await sender.finish(5)
    for end in ends:
        end.close()
    return got, finished


@pytest.mark.parametrize("relay", ["", "clear", "lossy"])
def test_frames_come_over_udp(relay):
    got, finished = asyncio.run(frames_through(relay))
    assert sorted(got, key=lambda frame: frame.frame_id) == SENT and (finished or relay)


def test_a_relay_without_a_socket_left_goes_on(monkeypatch):
    async def run():
        relay = UdpRelay(DropQueue(1e6), ("127.0.0.1", 0), ("127.0.0.1", 9))
        relay.queue.put(encode_hello(bytes(8)), ("127.0.0.1", 1))
        relay.queue.put(encode_hello(bytes(8)), ("127.0.0.1", 2))
        monkeypatch.setattr(socket, "socket", no_socket)
        relay.pump()
        monkeypatch.undo()
        assert relay.unsent == 2
        relay.queue.put(encode_hello(bytes(8)), ("127.0.0.1", 2))
        relay.pump()
        assert relay.unsent == 2
        relay.close()

    def no_socket(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("family", "level", "option"),
    [
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_TOS),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ],
)
def test_classes_travel_in_either_internet_protocol(family, level, option):
    try:
        made = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with made:
        udp._set_class(made, family, 1)
        assert made.getsockopt(level, option) == 36 << 2


def test_frames_come_over_zeromq():
    pytest.importorskip("zmq")
    from tokcom.protocol.zeromq import ZmqPublisher, ZmqSubscriber

    publisher = ZmqPublisher(DatagramLink(), "tcp://127.0.0.1:*")
    subscriber = ZmqSubscriber(DatagramLink([BOOK]), publisher.address)
    arrivals = []
    for _ in range(200):  # a subscriber hears nothing before its subscription has come
        publisher.send(SENT[0])
        arrivals = subscriber.receive(0.05)
        if arrivals:
            break
    publisher.close(), subscriber.close()
    assert sum(len(each.rows) for each in arrivals) == 64
    assert all((SENT[0].tokens[each.positions[each.rows]] == each.tokens).all() for each in arrivals)


def test_frames_come_over_quic(tmp_path):
    pytest.importorskip("aioquic")
    from tokcom.protocol.quic import QUIC_MTU, connect_quic, serve_quic

    certificate, key = own_certificate(tmp_path)

    async def run():
        got, done = [], asyncio.Event()

        def deliver(received):
            got.append(received.frame)
            if len(got) == len(SENT):
                done.set()

        server = await serve_quic(Receiver([BOOK], ReceiverSettings("all")), "127.0.0.1", 0, certificate, key, deliver)
        port = server._transport.get_extra_info("sockname")[1]
        async with connect_quic(
            Sender(SenderSettings(mtu=QUIC_MTU, deadline_s=30)), "127.0.0.1", port, certificate
        ) as end:
            for frame in SENT:
                end.offer(frame)
            await asyncio.wait_for(done.wait(), 60)
        server.close()
        return got

    assert sorted(asyncio.run(run()), key=lambda frame: frame.frame_id) == SENT


def test_a_frame_is_due_over_quic_though_its_sender_has_gone(tmp_path):
    pytest.importorskip("aioquic")
    from tokcom.protocol.quic import QUIC_MTU, connect_quic, serve_quic

    certificate, key = own_certificate(tmp_path)
    tokens = SENT[0].tokens.copy()
    tokens[0] = LOST
    wait = WaitSettings(deadline_s=1.5, wait_s=1.5, ended_wait_s=1.5)

    async def run():
        got = asyncio.Queue()
        receiver = Receiver([BOOK], ReceiverSettings("none", wait))
        server = await serve_quic(receiver, "127.0.0.1", 0, certificate, key, got.put_nowait)
        port = server._transport.get_extra_info("sockname")[1]
        async with connect_quic(Sender(SenderSettings(mtu=QUIC_MTU)), "127.0.0.1", port, certificate) as end:
            end.offer(SENT[0].with_tokens(tokens))
            while not receiver.counters.packets:
                await asyncio.sleep(0.01)
        received = await asyncio.wait_for(got.get(), 20)
        server.close()
        return received.packets_ok.sum()

    assert asyncio.run(run()) == 63


def test_files_that_hold_no_certificate_or_key_are_named(tmp_path):
    pytest.importorskip("aioquic")
    from cryptography.hazmat.primitives import serialization

    from tokcom.protocol.quic import connect_quic, serve_quic

    certificate, key = own_certificate(tmp_path)
    missing, text, locked = tmp_path / "missing.pem", tmp_path / "text.pem", tmp_path / "locked.pem"
    text.write_text("no certificate")
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )  # fmt: skip

    async def serve(certificate, key):
        (await serve_quic(Receiver([BOOK]), "127.0.0.1", 0, certificate, key, print)).close()

    async def connect(certificate):
        async with connect_quic(Sender(), "127.0.0.1", 9, certificate):
            pass

    asyncio.run(serve(certificate, key))
    for bad in (missing, text, tmp_path):
        for attempt in (serve(bad, key), connect(bad)):
            with pytest.raises(TransportError, match=f"^{bad}: no certificate can be read: "):
                asyncio.run(attempt)
    for bad in (missing, text, tmp_path, certificate, locked):
        with pytest.raises(TransportError, match=f"^{bad}: no private key without password can be read: "):
            asyncio.run(serve(certificate, bad))


def own_certificate(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    made = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:70000", ":4000", "host:x"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(TransportError, match="HOST:PORT"):
        parse_address(text)


def test_addresses():
    assert parse_address("[::1]:4000") == ("::1", 4000) and parse_address("here:1") == ("here", 1)
    with pytest.raises(TransportError, match="0 to 65535"):
        resolve("127.0.0.1", 70000)
    for host in ("a" * 64, "a..b"):
        with pytest.raises(TransportError, match="is not known"):
            resolve(host, 4000)
