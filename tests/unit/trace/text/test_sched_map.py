"""The text of `perf sched map` becomes a table, any other text a TraceError."""

from __future__ import annotations

import pytest
from imported import TEXTS, imported

from harness.errors import TraceError

PLAIN = "  *A0           0.000012 secs A0 => kworker/0:1:17\n  *B0           0.000020 secs B0 => nginx:900\n"


def test_a_text_with_colons_in_names_is_read() -> None:
    rows = imported(PLAIN + "  *.            0.000031 secs .  => swapper:0\n  *A0          12.500000 secs \n").switches
    assert [(row["time_ns"], row["next_comm"], row["next_tid"]) for row in rows.to_pylist()] == [
        (12_000, "kworker/0:1", 17),
        (20_000, "nginx", 900),
        (31_000, "swapper", 0),
        (12_500_000_000, "kworker/0:1", 17),
    ]
    assert rows["prev_tid"].to_pylist() == [None, 17, 900, 0]
    assert rows["prev_comm"].to_pylist() == [None, "kworker/0:1", "nginx", "swapper"]
    assert set(rows["prev_state"].to_pylist()) == {None}


def test_a_text_with_colours_gives_the_rows_of_the_plain_one() -> None:
    rows = imported(TEXTS / "coloured.map.txt").switches.to_pylist()
    assert len(rows) == 45
    assert [(row["cpu"], row["next_comm"], row["next_tid"]) for row in rows[:5]] == [
        (0, "migration/0", 18),
        (0, "python3", 13173),
        (0, "python", 16624),
        (0, "python3", 13173),
        (1, "perf-exec", 20649),
    ]
    assert imported(TEXTS / "compact.map.txt").switches.to_pylist() == rows[:25]


def test_a_text_from_windows_is_read() -> None:
    rows = imported(TEXTS / "windows.map.txt").switches.to_pylist()
    assert len(rows) == 30
    assert [(row["cpu"], row["next_comm"], row["next_tid"]) for row in rows[:3]] == [
        (1, "perf-exec", 13905),
        (1, ":13903", 13903),
        (1, "swapper", 0),
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(".0000", ",0000"),
        lambda text: text.replace(" \n", "\n").replace("\n", "  \n"),
        lambda text: "\x1b[?1h\x1b=\r" + text.replace("*A0", "*\x1b[1mA0\x1b(B\x1b[m").replace("\n", "\x1b[K\n"),
        lambda text: text.replace("*A0", "*A\bA0\b0"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: "[ perf record: Woken up 1 times to write data ]\n# a comment\n\n" + text,
    ],
    ids=["decimal comma", "blanks", "pager", "overstrike", "Windows", "notes"],
)
def test_what_others_do_to_a_text_changes_no_row(change: object) -> None:
    assert callable(change)
    assert imported(change(PLAIN)).switches.to_pylist() == imported(PLAIN).switches.to_pylist()


@pytest.mark.parametrize("place", [3, 25, 40, 60])
def test_a_warning_in_the_middle_of_a_line_is_taken_out_and_counts(place: int) -> None:
    warning = "Warning:\nProcessed 5922 events and lost 64 chunks!\n\nCheck IO/CPU overload!\n\n"
    result = imported(PLAIN[:place] + 2 * warning + PLAIN[place:])
    assert result.switches.to_pylist() == imported(PLAIN).switches.to_pylist()
    assert result.quality.lost_chunks == 64


@pytest.mark.parametrize("name", ["[bold]x[/b]", ":smile:", "\x1b[31mred", "two\nlines", "a => b:3", "1.0 secs *A0"])
def test_a_name_of_any_form_is_kept(name: str) -> None:
    rows = imported(
        PLAIN + f"  *C0           0.000031 secs C0 => {name}:5\n  *C0   0.000031 secs\n"
    ).switches.to_pylist()
    escaped = name.replace("\x1b", "\\x1b").replace("\n", "\\x0a")
    assert [(row["next_comm"], row["next_tid"]) for row in rows[2:]] == [(escaped, 5), (escaped, 5)]


def test_what_perf_says_it_lost_makes_the_recording_not_whole() -> None:
    quality = imported(TEXTS / "lost_events.map.txt").quality
    assert (quality.lost_events, quality.lost_chunks, quality.whole) == (18129, 64, False)
    assert quality.samples == 22
    assert any("no states" in warning for warning in quality.warnings)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hello", "no line of `perf sched map`"),
        ("  *D0   0.000012 secs ", "not introduced"),
        ("   A0   0.000012 secs A0 => x:1", "no line of"),
        ("  *D0   0.000012 secs D0 => xyz:999999999999", "no line of"),
        ("  *A0   0.000012 secs and more", "no line of"),
        ("  *D0   0.000012 secs D0 => a name of 16 byt:1", "no line of"),
        ("  *A0   0.000012 secs A0 => other:18", "ambiguous"),
        ("  *A0   0.0000", "no line of"),
    ],
)
def test_any_other_line_is_a_trace_error_with_its_number(line: str, why: str) -> None:
    with pytest.raises(TraceError, match=why) as caught:
        imported(f"{PLAIN}{line}\n")
    assert str(caught.value.where).endswith("text:3")
    assert caught.value.expected
    assert caught.value.hint


def test_a_column_whose_cpu_is_not_named_is_refused() -> None:
    with pytest.raises(TraceError, match="CPU is not named") as caught:
        imported("  *A0   0.000012 secs A0 => x:1 (CPU 3)\n   A0 *A0   0.000013 secs\n")
    assert str(caught.value.where).endswith("text:2")
