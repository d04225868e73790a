"""What Prometheus reads: how the system stands, counted at each reading, and how long requests took in this process."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import cast

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from engine.heartbeats import Pulse
from notifications import alarm
from notifications.alarm import Hindrance, Late
from web.figures import Figures, gather
from web.services import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST
_KEY = "avtaleflyt.metrics"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20)


@dataclass(frozen=True, kw_only=True)
class State:
    """What one application counts, and the clock that turns beside it."""

    registry: CollectorRegistry
    requests: Histogram
    pulse: Pulse | None


def register(app: Flask, services: Services, pulse: Pulse | None) -> None:
    """Let the application count. Each has a registry of its own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Counted(services))
    requests = Histogram(
        "avtaleflyt_request_duration_seconds",
        "Time from the request's arrival until its answer was made",
        ("endpoint", "method", "status"),
        buckets=_BUCKETS,
        registry=registry,
    )
    app.extensions[_KEY] = State(registry=registry, requests=requests, pulse=pulse)
    app.before_request(_begin)
    app.after_request(_observe)


def state() -> State:
    """The running application's."""
    return cast(State, current_app.extensions[_KEY])


def exposition() -> bytes:
    """Everything that is counted, in Prometheus' text format."""
    return generate_latest(state().registry)


def _begin() -> None:
    g.began = time.perf_counter()


def elapsed_seconds() -> float:
    """Since this request arrived."""
    return time.perf_counter() - float(g.began) if "began" in g else 0.0


def _observe(response: Response) -> Response:
    # The endpoint names the kind of page; an address would name cases and people, and never end.
    labels = (request.endpoint or "none", _method(), str(response.status_code))
    state().requests.labels(*labels).observe(elapsed_seconds())
    return response


def _method() -> str:
    # Whoever asks may send any word as its method.
    return request.method if request.method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS") else "other"


class _Counted(Collector):
    """Asks the database at each reading."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """The numbers of this moment; only that the database is away, while it is."""
        built = GaugeMetricFamily("avtaleflyt_build_info", "The program's version", labels=("version",))
        built.add_metric((version("avtaleflyt"),), 1)
        yield built
        try:
            with self._services.database.reading() as session:
                now, settings = self._services.clock(), self._services.settings
                found = gather(session, now)
                late = alarm.look(session, now=now, after=settings.mail_late_after, per_minute=settings.mail_per_minute)
        except SQLAlchemyError:
            yield _gauge("avtaleflyt_database_up", "1 when the database answers as it should", 0)
            return
        yield _gauge("avtaleflyt_database_up", "1 when the database answers as it should", 1)
        yield from _gauges(found)
        yield _late(late)

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of the database before the first reading."""
        return ()


def _gauges(found: Figures) -> Iterable[Metric]:
    yield _gauge("avtaleflyt_open_tasks", "Tasks that wait for an answer or an approval", found.open_tasks)
    yield _gauge("avtaleflyt_overdue_tasks", "Open tasks whose due date has passed", found.overdue_tasks)
    yield _by("avtaleflyt_cases", "Cases that have not ended, by state", found.cases)
    yield _gauge("avtaleflyt_wakes_due", "Cases whose timer is due and has not fired", found.wakes_due)
    yield _gauge("avtaleflyt_wake_lag_seconds", "How long the first of them has waited", found.wake_lag.total_seconds())
    yield from _jobs(found)
    yield _by("avtaleflyt_deliveries", "Mails that wait or did not arrive, by state", found.deliveries)
    yield _gauge("avtaleflyt_mails_last_hour", "Mails handed to the mail server within an hour", found.mails_last_hour)
    yield _gauge("avtaleflyt_mails_due", "Mails that are due and have not left", found.mails_waiting)
    yield _gauge(
        "avtaleflyt_oldest_unsent_seconds",
        "How late the mail is that should have left first",
        found.unsent_lag.total_seconds(),
    )
    yield _gauge("avtaleflyt_incidents_open", "Places where cases stand because something failed", found.incidents)
    yield _gauge("avtaleflyt_workers_alive", "Processes whose clock has turned lately", found.workers_alive)


def _late(late: Late | None) -> Metric:
    """By what keeps them, so that an alarm can say it."""
    counts = {each.value: late.count if late and late.hindrance is each else 0 for each in Hindrance}
    about = "Mails that have not left so long after their time that it is an alarm, by what keeps them"
    return _by("avtaleflyt_mails_late", about, counts, label="hindrance")


def _jobs(found: Figures) -> Iterable[Metric]:
    labels = ("kind", "state")
    counts = GaugeMetricFamily("avtaleflyt_jobs", "Jobs that are not settled", labels=labels)
    lags = GaugeMetricFamily("avtaleflyt_job_lag_seconds", "Since the oldest of them was due", labels=labels)
    for job in found.jobs:
        counts.add_metric((job.kind, job.state), job.count)
        lags.add_metric((job.kind, job.state), job.lag.total_seconds())
    yield counts
    yield lags


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _by(name: str, about: str, counts: Mapping[str, int], *, label: str = "state") -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
