"""A link's running figures as Prometheus metrics over HTTP, on the loopback interface only."""

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
    "frames_per_second": "Frames received per second, over the last seconds.",
    "per": "Share of packets that failed their CRC.",
    "per_recovered": "Share of packets that recovery could not accept.",
    "ter": "Share of tokens wrong after recovery, if the sent ones are known.",
    "ter_expected": "Share of tokens wrong after recovery, as estimated by the receiver.",
    "esn0_db": "Es/N0 in dB.",
    "cfo_hz": "Carrier frequency offset in Hz.",
    "clock_offset_ppm": "Offset of the sampling clocks in parts per million.",
    "evm_db": "Error vector magnitude in dB.",
    "rx_time": "When the latest burst was received, in seconds of the radio's clock.",
}


class FiguresServer:
    """HTTP server of http://127.0.0.1:PORT/metrics.

    Args:
        figures: source of `LinkFigures.figures`, called per request.
        port: TCP port, 1 to 65535.

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
                "program that uses it"
            ) from None

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Collector:
    def __init__(self, figures: Callable[[], dict]):
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Describe no metrics, so that registering does not request figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        streams = figures["streams"]
        for kind, names in ((CounterMetricFamily, COUNTERS), (GaugeMetricFamily, GAUGES)):
            for name, text in names.items():
                family = kind(f"tokcom_{name}", text, labels=["stream"])
                for number, own in streams.items():
                    # Prometheus expects unknown gauges to be left out.
                    if own[name] is not None:
                        family.add_metric([number], own[name])
                yield family
        mcs = GaugeMetricFamily("tokcom_window_packets", "Packets of the last frames by MCS.", labels=["stream", "mcs"])
        for number, own in streams.items():
            for name, count in own["mcs"].items():
                mcs.add_metric([number, name], count)
        yield mcs
        queued = GaugeMetricFamily("tokcom_queued", "Frames waiting for a stage.", labels=["stage"])
        dropped = CounterMetricFamily("tokcom_dropped", "Frames dropped by a stage.", labels=["stage"])
        for family, key in ((queued, "queued"), (dropped, "dropped")):
            for label, value in figures[key].items():
                family.add_metric([label], value)
            yield family
