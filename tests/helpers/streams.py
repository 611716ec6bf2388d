"""Streams of scheduler events for property tests: valid ones, and ones that no kernel would write."""

from __future__ import annotations

from event_rows import Row, move, switch, wake
from hypothesis import strategies as st

Stream = tuple[list[Row], list[Row], list[Row]]  # switches, wakeups, migrations


@st.composite
def valid_streams(draw: st.DrawFn) -> Stream:
    """Draw events of one CPU: each switch is away from the task that runs, and only sleeping tasks are woken."""
    switches, wakeups = [], []
    running, asleep, ready = 0, set(range(1, 5)), set()
    for step in range(draw(st.integers(0, 30))):
        time = 10 * (step + 1)
        for tid in sorted(draw(st.sets(st.sampled_from(sorted(asleep)))) if asleep else []):
            wakeups.append(wake(time - 5, tid))
            ready.add(tid)
        asleep -= ready
        stays_runnable = running != 0 and draw(st.booleans())
        choices = sorted(ready) or ([0] if running else [])
        if not choices:
            continue
        following = draw(st.sampled_from(choices))
        switches.append(switch(time, running, "R" if stays_runnable or not running else "S", following))
        if running:
            (ready if stays_runnable else asleep).add(running)
        ready.discard(following)
        running = following
    return switches, wakeups, []


_STEPS = st.tuples(
    st.sampled_from(["switch", "switch", "switch", "wake", "wake", "move", "lost"]),
    st.sampled_from([0, 0, 1, 1, 2, 7]),  # time since the last event
    st.integers(0, 4),  # task
    st.integers(-1, 2),  # CPU
    st.sampled_from(["R", "R+", "S", "D", "I", "X"]),
    st.sampled_from([True, True, True, False]),  # whether the task that runs is the one that leaves
)


@st.composite
def hostile_streams(draw: st.DrawFn) -> Stream:
    """Draw events of few tasks on few CPUs: equal times, wakeups of running tasks, any migrations, lost switches."""
    switches: list[Row] = []
    wakeups: list[Row] = []
    moves: list[Row] = []
    time, running = 0, {}
    for kind, later, tid, cpu, state, chained in draw(st.lists(_STEPS, max_size=60)):
        time += later
        if kind == "wake":
            wakeups.append(wake(time, tid, cpu))
        elif kind == "move":
            moves.append(move(time, tid, 0, cpu))
        else:
            leaves = running.get(cpu, 0) if chained else (tid + 1) % 5
            if kind == "switch":
                switches.append(switch(time, leaves, state, tid, cpu))
            running[cpu] = tid
    return switches, wakeups, moves
