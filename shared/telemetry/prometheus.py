"""`GET /metrics`: what a process has counted, and what all share, in Prometheus's text. Imported only where METRICS is set."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from shared.tally import Histogram
from shared.telemetry import counted
from shared.telemetry.counted import Counted, Sample
from shared.telemetry.names import METRICS, Metric
from shared.telemetry.standing import Shared


class Exposition(Collector):
    """One for a process."""

    def __init__(self, own: Counted, shared: Shared | None = None) -> None:
        """`shared`: where this process shows what all share."""
        self._own, self._shared = own, shared
        self._samples: list[Sample] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def text(self) -> bytes:
        """All of it. Bounded in time, and raises nothing because Redis is away."""
        shared = await self._shared.samples() if self._shared else ()
        self._samples = [*counted.samples(self._own), *shared]
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Family]:
        """Nothing that would have to be read first."""
        return ()

    def collect(self) -> Iterator[Family]:
        """For the registry."""
        found: dict[Metric, list[tuple[tuple[str, ...], float]]] = defaultdict(list)
        for metric, labels, value in self._samples:
            found[metric].append((labels, value))
        for metric in METRICS:
            if metric in found:
                yield _family(metric, found[metric])
        yield from _histograms(counted.histograms(self._own))


def _family(metric: Metric, rows: list[tuple[tuple[str, ...], float]]) -> Family:
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _histograms(found: Iterable[tuple[Metric, tuple[str, ...], Histogram]]) -> Iterator[Family]:
    families: dict[Metric, HistogramMetricFamily] = {}
    for metric, labels, histogram in found:
        if metric not in families:
            families[metric] = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        families[metric].add_metric(labels, list(_buckets(histogram)), histogram.sum_s)
    yield from families.values()


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    """Each with all below it, as Prometheus wants them."""
    total = 0
    for bound, count in zip([*map(str, histogram.bounds_s), "+Inf"], histogram.counts, strict=True):
        total += count
        yield bound, total
