"""The small programs that loads send into the guest, run here as they run there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.loads.guest_scripts import live_encoder, rounds, rt_app_loops

ROUNDS = Path(rounds.__file__)
LOG = """# Policy : SCHED_OTHER priority : 0
#idx     perf      run   period           start             end          rel_st      slack c_duration   c_period     wu_lat
   0   200000    43629    43633     75140389490     75140433123             485     -33819       3000      10000         12
   0   200000    20361    20362     75140433125     75140453487           44120       1363       3000      10000          7
   0        0        0    55755     75140453488     75140509243           64483          0          0          0          0
   0   200000    28
"""  # noqa: E501


def stop_when_it_printed(argv: list[str], text: str, stop: signal.Signals, folder: Path) -> tuple[str, int]:
    """Run a program until its output has a text, then send it the signal; return all output and its exit status."""
    output = folder / "load.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(argv, cwd=folder, stdout=stream, stderr=stream)
    try:
        while process.poll() is None and text not in output.read_text():
            time.sleep(0.01)
        process.send_signal(stop)
        status = process.wait(60)
    finally:
        process.kill()
    return output.read_text(), status


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGALRM])
def test_rounds_are_repeated_and_counted_until_a_signal(stop: signal.Signals, tmp_path: Path) -> None:
    argv = [sys.executable, str(ROUNDS), "echo", "once"]
    output, status = stop_when_it_printed(argv, "once\nonce\nonce\n", stop, tmp_path)
    assert status == 0
    (line,) = [line for line in output.splitlines() if line != "once"]  # a round that just began may print after it
    assert int(line.split()[1]) >= 2


def test_a_round_that_fails_ends_all_with_its_exit_status() -> None:
    done = subprocess.run([sys.executable, str(ROUNDS), "sh", "-c", "exit 7"], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 7
    assert done.stdout.startswith(b"rounds: 0 done")


RT_APP = f"""#!/bin/sh
echo '{LOG}' > rt_app-worker-0.log
"""


def test_only_the_loops_of_the_recording_are_counted(tmp_path: Path) -> None:
    (tmp_path / "rt-app").write_text(RT_APP)
    (tmp_path / "rt-app").chmod(0o755)
    began = 75_140.44 + time.time() - time.monotonic()  # on the clock of the log
    (tmp_path / "began").write_text(f"{began:.6f}\n")
    (tmp_path / "seconds.txt").write_text("0.06\n")
    argv = [sys.executable, str(ROUNDS.with_name("rt_app_loops.py")), "run", "began"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout.startswith(b"thread worker-0 loops 1 timed 1 missed 0 ")


def test_only_the_frames_of_the_recording_are_counted(tmp_path: Path) -> None:
    settings = {"recording_file": str(tmp_path / "began"), "seconds": 2.0}
    assert live_encoder.recorded(settings, 5.0, 90.0) == (5.0, 90.0)
    (tmp_path / "began").write_text(f"{time.time() - time.monotonic() + 50.0:.6f}\n")
    assert live_encoder.recorded(settings, 5.0, 90.0) == pytest.approx((50.0, 52.0), abs=0.01)
    stream = live_encoder.Stream.__new__(live_encoder.Stream)
    stream.settings, stream.due_times, stream.latencies = {"frame_rate": 10}, [49.9, 50.0, 51.9, 52.0], [9.0, 0.05, 0.2]
    stream.dropped = [40.0, 51.0, 52.5]
    assert stream.line(0, 50.0, 52.0).startswith("stream 0 encoded 2 late 1 dropped 1 seconds 2.000 ")


def test_deadlines_and_wakeup_latencies_of_a_thread_are_those_of_its_timed_loops() -> None:
    rows = rt_app_loops.loops(LOG)
    line = rt_app_loops.thread_line("worker-0", rows)
    assert line == ("thread worker-0 loops 3 timed 2 missed 1 span_us 119753 wakeup_p50_us 7 wakeup_p99_us 12")


def test_a_percentile_is_the_smallest_latency_that_so_many_do_not_exceed() -> None:
    assert live_encoder.percentile([1.0], 99) == 1.0
    assert [live_encoder.percentile([1.0, 2.0, 3.0, 9.0], percent) for percent in (50, 99)] == [2.0, 9.0]
    assert [live_encoder.percentile([float(n) for n in range(1, 201)], percent) for percent in (50, 99)] == [100, 198]


# Takes the frames of the live encoder and answers each with a packet of one byte, as vpxenc writes IVF.
FAKE_ENCODER = """
import sys
size = int(sys.argv[1])
sys.stdout.buffer.write(bytes(32))
while sys.stdin.buffer.read(size):
    sys.stdout.buffer.write((1).to_bytes(4, "little") + bytes(9))
    sys.stdout.buffer.flush()
"""


def live(folder: Path, encoder: list[str], stop_after: str) -> tuple[str, int]:
    settings = {"encoder": encoder, "streams": 2, "frame_rate": 200, "width": 16, "height": 16, "queue": 3}
    settings.update(seed=1, seconds=60, recording_file=str(folder / "began"))
    (folder / "encode.json").write_text(json.dumps(settings))
    program = str(ROUNDS.with_name("live_encoder.py"))
    return stop_when_it_printed([sys.executable, program, "encode.json"], stop_after, signal.SIGINT, folder)


def test_frames_are_fed_until_a_signal_and_the_encoder_ends_by_itself(tmp_path: Path) -> None:
    told = FAKE_ENCODER + "    sys.stderr.write('frame\\n')\n"
    output, status = live(tmp_path, [sys.executable, "-c", told, str(16 * 16 * 3 // 2)], "frame\nframe\nframe\n")
    assert status == 0
    assert output.count("stream ") == 2
    assert output.count(" mean_ms ") == 2


def test_frames_are_dropped_while_the_encoder_is_behind(tmp_path: Path) -> None:
    stuck = "import sys; sys.stdin.buffer.read(384); sys.stderr.write('frame\\n'); sys.stdin.buffer.read()"
    output, status = live(tmp_path, [sys.executable, "-c", stuck], "frame\nframe\n")
    assert status == 0
    assert output.count("encoded 0 ") == 2


def test_an_encoder_that_fails_ends_the_load(tmp_path: Path) -> None:
    output, status = live(tmp_path, ["sh", "-c", "exit 4"], "never printed")
    assert status == 4
    assert output.count("encoded 0 ") == 2


def test_the_measured_time_of_a_loop_is_written_into_the_file_of_rt_app(tmp_path: Path) -> None:
    timed = (
        "   0   200000    {}    43633     75140389490     75140433123       485      0      20000          0         0"
    )
    program = tmp_path / "rt-app"
    log = "\n".join(timed.format(run) for run in (30_000, 26_000, 90_000))
    program.write_text(f"#!/bin/sh\necho '{log}' > calibrate-once-0.log\n")
    program.chmod(0o755)
    (tmp_path / "rt_app.json").write_text('{"tasks": {}, "global": {"calibration": 100}}')
    argv = [sys.executable, str(ROUNDS.with_name("rt_app_loops.py")), "calibrate"]
    subprocess.run(argv, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=60)
    assert json.loads((tmp_path / "rt_app.json").read_text())["global"]["calibration"] == 130
