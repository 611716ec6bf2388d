"""A small public web server: nginx, a Python application under gunicorn, PostgreSQL; visitors come as they please."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from harness.loads.arrivals import Arrivals, Poisson
from harness.loads.base import LATENCIES, Limit, LoadModel, Metrics, Timing

URL = "http://127.0.0.1:8080"
PREPARE = "forum.sh"
PAGE_SEED = 1 << 32  # added to the trial's seed, so that pages do not follow from the same numbers as times
WORDS = 1000  # that forum.sql writes its posts with

PREPARE_SCRIPT = """\
set -e
psql --quiet --username postgres --set ON_ERROR_STOP=1 --set topics={topics} --set posts={posts} \\
    --file /usr/local/lib/harness-web/forum.sql
echo WORKERS={workers} >/run/harness-web.env
systemctl restart harness-web.service
"""


class Web(LoadModel):
    """nginx passes requests to a forum: a Python program in some workers of gunicorn, which asks PostgreSQL.

    A request wakes a chain of tasks: wrk, nginx, a worker, the database process of that worker, and back. Most run for
    a few milliseconds or less; a search keeps the database busy for many. With open arrivals requests overlap at
    random, so that queues of several tasks come and go.
    """

    roles: ClassVar[tuple[str, ...]] = ("nginx", "postgresql", "web", "wrk")
    measures: ClassVar[tuple[str, ...]] = ("requests_per_s", *LATENCIES)
    services: ClassVar[tuple[str, ...]] = ("postgresql.service", "harness-web.service", "nginx.service")

    kind: Literal["web"] = "web"
    arrivals: Arrivals = Field(
        Arrivals(poisson=Poisson(rate_per_s=70.0)),
        description="when requests arrive: closed, poisson, bursts, diurnal or times; an open loop needs a rate that "
        "the machine can answer",
    )
    workers: int = Field(
        4, ge=1, le=32, description="processes of the application, each with a connection to PostgreSQL"
    )
    topics: int = Field(200, ge=1, le=100_000, description="topics in the forum")
    posts: int = Field(20, ge=1, le=1000, description="posts in each topic when the trial begins")
    search_share: float = Field(0.05, ge=0, le=1, description="share of the requests that search all posts")
    write_share: float = Field(0.10, ge=0, le=1, description="share of the requests that write a post")
    static_share: float = Field(
        0.35,
        ge=0,
        le=1,
        description="share of the requests for a file, which nginx answers itself; the rest read a topic",
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Web:
        if self.search_share + self.write_share + self.static_share > 1 + 1e-9:
            raise ValueError("search_share, write_share and static_share that add up to at most 1")
        return self

    @property
    def keeps_cpu_busy(self) -> bool:
        """A closed loop does; how busy an open loop keeps it is for its rate to say."""
        return not self.arrivals.is_open

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return those of its arrivals."""
        return self.arrivals.limits

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the requests of the trial, with their times, and the script that fills the database."""
        return self.arrivals.schedule(timing, self._requests(Random(PAGE_SEED + timing.seed))) | {
            PREPARE: PREPARE_SCRIPT.format(workers=self.workers, topics=self.topics, posts=self.posts)
        }

    def prepare(self) -> list[str]:
        """Return the script that fills the database and starts the application with its number of workers."""
        return ["sh", PREPARE]

    def ready(self) -> list[str]:
        """Return a request of each server: nginx, the application, the database."""
        return ["python3", "-c", f"from urllib.request import urlopen; urlopen('{URL}/topic/1')"]

    def command(self) -> list[str]:
        """Return wrk with the requests of the trial."""
        return self.arrivals.sender(URL)

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Read what the script of wrk printed."""
        return self.arrivals.measured(output, timing)

    def _requests(self, random: Random) -> Iterator[str]:
        """Yield requests without end, as lines of the schedule; the first topics are read most."""
        static, write, search = self.static_share, self.write_share, self.search_share
        while True:
            kind, topic, word = (
                random.random(),
                1 + int(self.topics * random.random() ** 2),
                int(WORDS * random.random()),
            )
            if kind < static:
                yield "/static/style.css"
            elif kind < static + write:
                yield f"/topic/{topic}/reply\tauthor=reader{word % 97}&body=word{word}+and+more"
            elif kind < static + write + search:
                yield f"/search?q=word{word}"
            else:
                yield f"/topic/{topic}"
