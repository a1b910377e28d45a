"""A link's running figures as Prometheus metrics over HTTP, for this computer alone."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tokcom.errors import MonitorError

LOOPBACK = "127.0.0.1"
COUNTERS = {
    "frames": "Frames received.",
    "frames_missed": "Gaps in the numbers of the frames.",
}
GAUGES = {
    "frames_per_second": "Frames received a second, over the last seconds.",
    "per": "Share of packets that failed their CRC.",
    "per_recovered": "Share of packets that recovery could not declare good.",
    "ter": "Share of tokens wrong after recovery, where the sent ones are known.",
    "ter_expected": "Share of tokens wrong after recovery, as the receiver expects it.",
    "esn0_db": "Es/N0 in dB.",
    "cfo_hz": "Carrier frequency offset in Hz.",
    "clock_offset_ppm": "Offset of the sampling clocks in parts per million.",
    "evm_db": "Error vector magnitude in dB.",
    "rx_time": "When the latest burst was received, in seconds of the radio's clock.",
}


class FiguresServer:
    """Serves http://127.0.0.1:PORT/metrics until it is closed.

    Args:
        figures: asked for `LinkFigures.figures` at each request.
        port: 1 to 65535.

    Raises:
        MonitorError: the port is out of range, taken or not allowed.
    """

    def __init__(self, figures: Callable[[], dict], port: int):
        if not 1 <= port <= 0xFFFF:
            raise MonitorError(f"port is {port}; it must be 1 to 65535")
        registry = CollectorRegistry()
        registry.register(_Collector(figures))
        try:
            self._server, self._thread = start_http_server(port, LOOPBACK, registry)
        except OSError as error:
            raise MonitorError(
                f"metrics cannot be served at {LOOPBACK}:{port}: {error.strerror}; name another port, or end the "
                "program that has it"
            ) from None

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Collector:
    def __init__(self, figures: Callable[[], dict]):
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: so that registering does not ask for figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        streams = figures["streams"]
        for kind, names in ((CounterMetricFamily, COUNTERS), (GaugeMetricFamily, GAUGES)):
            for name, text in names.items():
                family = kind(f"tokcom_{name}", text, labels=["stream"])
                for number, own in streams.items():
                    # A gauge that is not known is left out, as Prometheus wants it.
                    if own[name] is not None:
                        family.add_metric([number], own[name])
                yield family
        mcs = GaugeMetricFamily("tokcom_window_packets", "Packets of the last frames.", labels=["stream", "mcs"])
        for number, own in streams.items():
            for name, count in own["mcs"].items():
                mcs.add_metric([number, name], count)
        yield mcs
        queued = GaugeMetricFamily("tokcom_queued", "Frames that wait before a stage.", labels=["stage"])
        dropped = CounterMetricFamily("tokcom_dropped", "Frames that a stage has dropped.", labels=["stage"])
        for family, key in ((queued, "queued"), (dropped, "dropped")):
            for label, value in figures[key].items():
                family.add_metric([label], value)
            yield family
