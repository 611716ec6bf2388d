"""Breaks the program on purpose and counts what held: damaged files, forged answers of a guest, kills at any moment.

    make chaos                                    an hour; writes its tables to docs/reliability.md
    python tests/chaos/chaos.py --minutes 10 --campaigns 0 --first 7000000

It ends with exit code 1 if anything did not hold. Every problem is printed with what does it again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parent.parent)]

import kills  # noqa: E402 - found where the line above says
import reading  # noqa: E402
import tables  # noqa: E402
from campaign_kills import CampaignKill, CampaignKills  # noqa: E402
from reading import Reading  # noqa: E402


@dataclass
class Results:
    """What came of everything so far."""

    readings: list[Reading] = field(default_factory=list)
    kills: list[kills.Outcome] = field(default_factory=list)
    campaigns: list[CampaignKill] = field(default_factory=list)
    died: list[str] = field(default_factory=list)  # parts of this program that ended early, and why

    def problems(self) -> Iterator[str]:
        """Yield one paragraph for each thing that did not hold."""
        yield from self.died
        for kind in self.readings:
            for problem in kind.problems:
                yield f"{kind.kind!r} input {problem['number']}: {problem['what']}"
        yield from (str(kill) for kill in (*self.kills, *self.campaigns) if kill.problems)


def main() -> int:
    """Break everything for so many minutes, print the tables, and return 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="damaged files, if the time is enough")
    parser.add_argument("--kills", type=int, default=200, help="kills of commands, if the time is enough")
    parser.add_argument(
        "--campaigns", type=int, default=8, help="how many of them are of a campaign with a real machine"
    )
    parser.add_argument("--first", type=int, default=0, help="the number of the first input and the first kill")
    parser.add_argument("--out", type=Path, help="the page that gets the tables")
    options = parser.parse_args()
    results, began = Results(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        _side_by_side(
            results,
            lambda: _read(results, options.inputs, 60 * options.minutes, options.first),
            lambda: _kill_commands(results, Path(name) / "commands", options, began + 60 * options.minutes),
            lambda: _kill_campaigns(results, Path(name) / "campaigns", options, began + 60 * options.minutes),
        )
    text = tables.markdown(results.readings, results.kills, results.campaigns, time.monotonic() - began)
    print(text)
    if options.out:
        tables.replace(options.out, text)
    problems = list(results.problems())
    print("\n\n".join(problems), file=sys.stderr)
    print(f"{results_held(results)} passed, {len(problems)} failed")
    return int(bool(problems))


def results_held(results: Results) -> int:
    """Return how many inputs and kills held."""
    kept = sum(kind.read + kind.refused for kind in results.readings)
    return kept + sum(not kill.problems for kill in (*results.kills, *results.campaigns))


def _side_by_side(results: Results, *parts: Callable[[], None]) -> None:
    """Do the parts at once. One that raises does not end the others."""

    def guarded(part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:
            results.died.append(f"chaos itself: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=guarded, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read(results: Results, inputs: int, seconds: float, first: int) -> None:
    for readings in reading.read_damaged(inputs, seconds, first):
        results.readings = readings


def _kill_commands(results: Results, folder: Path, options: argparse.Namespace, end: float) -> None:
    """Kill the commands in turns; stop when the time is over."""
    folder.mkdir()
    commands, names = kills.Kills(folder), list(kills.COMMANDS)
    for number in range(options.kills):
        if time.monotonic() < end:
            seed = options.first + number // len(names)
            results.kills.append(commands.kill_once(names[number % len(names)], seed))
            print(results.kills[-1], flush=True)


def _kill_campaigns(results: Results, folder: Path, options: argparse.Namespace, end: float) -> None:
    """Kill campaigns; stop when the time is over."""
    folder.mkdir()
    campaigns = CampaignKills(folder)
    for number in range(options.campaigns):
        if time.monotonic() < end:
            results.campaigns.append(campaigns.kill_once(options.first + number))
            print(results.campaigns[-1], flush=True)


if __name__ == "__main__":
    sys.exit(main())
