"""Run folders for tests of the report: the files of a real run, with random contents."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from harness.trace.tables.schemas import SCHEMAS

TASKS = [  # comm, tid, share of the picks, typical slice in ns
    ("swapper/0", 0, 0.02, 40_000),
    ("ab", 811, 0.42, 21_000),
    ("nginx", 640, 0.30, 62_000),
    ("nginx", 641, 0.16, 55_000),
    ("ksoftirqd/0", 12, 0.04, 7_000),
    ("rcu_preempt", 14, 0.025, 2_500),
    ("kworker/0:1", 31, 0.012, 9_000),
    ("perf", 790, 0.01, 180_000),
    ("systemd-journal", 210, 0.008, 30_000),
    ("sshd", 420, 0.005, 15_000),
]
GUEST = {
    "perf_version": "perf version 6.1.148",
    "facts": {
        "kernel": "6.1.0-40-cloud-amd64",
        "kernel_cmdline": "console=ttyS0 root=/dev/vda",
        "cpus": 1,
        "memory_kb": 1_012_344,
        "clocksource": "tsc",
        "packages": {"nginx": "1.22.1-9", "apache2-utils": "2.4.62-1"},
        "scheduler": {"/proc/sys/kernel/sched_autogroup_enabled": "1"},
        "tasks": {
            when: [
                {
                    "tid": tid,
                    "tgid": tid,
                    "ppid": 1,
                    "comm": comm,
                    "nice": 0,
                    "policy": 0,
                    "rt_priority": 0,
                    "kthread": False,
                    "autogroup": "/autogroup-77 nice 0",
                    "cgroup": "/",
                }
                for comm, tid, *_ in TASKS[1:]
            ]
            for when in ("before", "after")
        },
        "cgroups": {"/": {"shares": 1024}},
    },
}


def slices(count: int, seed: int = 0, names: dict[str, str] | None = None, cpu: int = 0) -> pa.Table:
    """`count` slices of one CPU in the columns that the harness writes; `names` renames comms."""
    draw = np.random.default_rng(seed)
    which = draw.choice(len(TASKS), size=count, p=[share for _, _, share, _ in TASKS])
    typical = np.array([ns for *_, ns in TASKS], dtype=float)[which]
    lengths = np.maximum(300, typical * draw.lognormal(0, 0.6, count)).astype(np.int64)
    starts = 5_000_000_000_000 + np.concatenate([[0], np.cumsum(lengths)])[:count]
    tids = np.array([tid for _, tid, *_ in TASKS])[which]
    comms = np.array([(names or {}).get(comm, comm) for comm, *_ in TASKS], dtype=object)[which]
    preempted = (draw.random(count) < 0.15) | (tids == 0)
    waits = (3_000 * draw.lognormal(0, 1.1, count)).astype(np.int64)
    contested = draw.random(count) < 0.14
    schema = SCHEMAS["slices"]
    columns = [
        starts,
        lengths,
        np.full(count, cpu, dtype=np.int16),
        pa.array(comms.tolist()).dictionary_encode(),
        tids,
        np.full(count, 120, dtype=np.int16),
        pa.array(np.where(draw.random(count) < 0.8, "S", "R").tolist()).dictionary_encode(),
        pa.array(starts - waits, mask=preempted),
        pa.array([[int(tid)] * (1 + int(two)) for tid, two in zip(tids, contested, strict=True)], pa.list_(pa.int32())),
        contested,
    ]
    return pa.table([pa.array(c).cast(f.type) if not isinstance(c, pa.Array) else c.cast(f.type)
                     for c, f in zip(columns, schema, strict=True)], schema=schema)  # fmt: skip


HOST = {  # what the host did during a trial
    "seconds": 61.2,
    "guest_seconds": 50.1,
    "vcpu_run_s": 58.9,
    "vcpu_wait_s": 0.61,
    "share": 0.01,
    "share_reason": None,
    "steal_share": 0.0,
    "pressure_share": 0.021,
    "taken_share": 0.08,
    "stolen_share": 0.0,
    "loadavg_before": [1.1, 0.9, 0.7],
    "loadavg_after": [1.6, 1.1, 0.8],
    "frequency_before": {"governor": None, "mhz_min": 2450.0, "mhz_max": 2450.0, "turbo": None},
    "frequency_after": {"governor": None, "mhz_min": 2450.0, "mhz_max": 3100.0, "turbo": None},
    "top": [["python3", 0.12], ["sshd", 0.02], ["kworker/0:1", 0.01]],
    "clock_step_s": {"host": 0.0, "guest": 0.0},
    "suspended_s": {"host": 0.0, "guest": 0.0},
    "paused_s": 0.0,
    "phases_late_s": 0.0,
}
COUNTED = {
    "clock": "counted",
    "clock_reason": "emulated, one CPU",
    "cpu_speed": 125,
    "vcpu_placement": "pinned to CPU 1",
}


def host(share: float | None, **more: Any) -> dict[str, Any]:
    """What the host did during a trial in which the guest's CPU waited for this share of the time."""
    return {**HOST, "share": share, **more}


def checks(**wrong: Any) -> list[dict[str, Any]]:
    """The checks of a verdict; `recorded_share=0.2` makes that one fail."""
    good = [
        ("recorded_share", 1.0, 0.98, "recorded time against the time asked for"),
        ("lost_events", 0, 0, "the ring buffer kept up"),
        ("chain_breaks", 0, 0, "each switch begins with the task the one before it ended with"),
        ("failed_requests", 0, 0, "the load answered every request"),
        ("idle_share", 0.013, 0.2, "the load keeps the CPU busy"),
        ("kernel", "6.1.0-40-cloud-amd64", "6.1.0-40-cloud-amd64", "the kernel the recipe pins"),
    ]
    return [
        {"name": name, "ok": name not in wrong, "value": wrong.get(name, value), "limit": limit, "why": why}
        for name, value, limit, why in good
    ]


def add_trial(run: Path, folder_name: str, table: pa.Table | None, **facts: Any) -> None:
    """One trial folder."""
    folder = run / "trials" / folder_name
    folder.mkdir(parents=True)
    known = {
        "name": folder_name,
        "arm": "nginx_ab",
        "attempts": 1,
        "verdict": {"ok": True, "checks": checks()},
        "metrics": {"requests_per_s": 284.31, "requests_completed": 14215, "requests_failed": 0},
        "quality": {"warnings": []},
    }
    (folder / "trial.json").write_text(json.dumps(known | facts))
    (folder / "guest.json").write_text(json.dumps(GUEST))
    if table is not None:
        parquet.write_table(table, folder / "slices.parquet", compression="zstd")


def add_model(run: Path, kind: str, seed: int, contested: float | None, **more: Any) -> None:
    """One model folder; its scores are random, near a top-1 of `contested` on contested switches."""
    folder = run / "models" / f"{kind}_s{seed}"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed + len(kind))
    scores = {
        "predictor": kind,
        "regime": more.pop("regime", "marks"),
        "mark": more.pop("mark", "task"),
        "seed": seed,
        "trials": more.pop("trials", ["000_nginx_ab", "001_nginx_ab"]),
        "test_events": 21_840,
        "overall": _table(0.93 + 0.05 * ((contested or 0.5) - 0.5), draw),
        "forced": _table(0.985, draw),
        "contested": {"events": 0} if contested is None else _table(contested, draw) | {"chance_top1": 0.442},
        "open": {"events": 0} if contested is None else _table(contested - 0.05, draw),
        "valid": more.pop("valid", {"overall": {"top1": 0.9}, "contested": {"top1": contested}}),
        "fit_seconds": float(draw.uniform(0.2, 40)),
        "parameters": int(draw.integers(100, 40_000)),
        "rollout": more.pop("rollout", _rollout(draw)),
    }
    (folder / "scores.json").write_text(json.dumps(scores | more))
    epochs = np.arange(1, 31)
    columns = {"epoch": epochs, "valid_bits": 0.4 + 1.5 * np.exp(-epochs / 5) + draw.normal(0, 0.01, 30)}
    columns["valid_slice_nats"] = 2.9 + np.exp(-epochs / 8) + draw.normal(0, 0.01, 30)
    parquet.write_table(pa.table(columns), folder / "history.parquet")


def add_outcomes(run: Path, kind: str, seed: int, hit: np.ndarray) -> None:
    """The outcome of each test event of a model that `add_model` made: (n,) hits; every second event is contested."""
    number = np.arange(len(hit))
    contested, zeros = number % 2 == 0, np.zeros(len(hit))
    columns = {"stream": zeros.astype(np.int32), "mark": number % 3, "contested": contested, "open": contested}
    columns |= {"chance": zeros, "hit": hit, "hit3": hit, "bits": np.where(hit, 0.2, 2.0)}
    columns |= {name: zeros for name in ("confidence", "slice_nats", "slice_error_us", "slice_crps_us", "slice_rank")}
    parquet.write_table(pa.table(columns), run / "models" / f"{kind}_s{seed}" / "outcomes.parquet")


def add_test_part(run: Path, kind: str, seed: int, trials: list[str], wrong_every: int = 4) -> np.ndarray:
    """The outcomes of a model on the last 15 % of each trial's slices; one in `wrong_every` is missed. Return hits."""
    tables = [parquet.read_table(run / "trials" / trial / "slices.parquet", columns=["contested"]) for trial in trials]
    tests = [table["contested"].to_numpy()[int(len(table) * 0.85) :] for table in tables]
    contested = np.concatenate(tests)
    add_outcomes(run, kind, seed, np.arange(len(contested)) % wrong_every != 0)
    path = run / "models" / f"{kind}_s{seed}" / "outcomes.parquet"
    stream = pa.array(np.repeat(np.arange(len(tests)), [len(test) for test in tests]).astype(np.int32))
    table = parquet.read_table(path).set_column(0, "stream", stream)
    parquet.write_table(table.set_column(2, "contested", pa.array(contested)), path)
    return np.asarray(table["hit"].to_numpy())


def online(top1: float) -> dict[str, Any]:
    """Scores of a predictor that learns online."""
    return {split: _table(top1, np.random.default_rng(0)) for split in ("overall", "forced", "contested", "open")}


def _table(top1: float, draw: np.random.Generator) -> dict[str, Any]:
    top1 = float(np.clip(top1 + draw.normal(0, 0.003), 0, 1))
    bits, time_bits = 2.2 * (1 - top1) + 0.05, 4.5 - top1
    return {
        "events": 3000,
        "top1": top1,
        "top1_ci": [top1 - 0.012, min(1.0, top1 + 0.012)],
        "bits_per_switch": bits,
        "bits_ci": [bits - 0.02, bits + 0.02],
        "time_bits": time_bits,
        "time_bits_ci": [time_bits - 0.07, time_bits + 0.07],
        "time_mae_us": 25.4,
        "top3": 0.97,
        "macro_recall": 0.5,
        "calibration_error": 0.02,
        "time_crps_us": 18.2,
        "time_calibration_error": 0.03,
    }


def _rollout(draw: np.random.Generator) -> dict[str, Any]:
    names = ["<unknown>", "ab#0", "nginx#0", "nginx#1", "ksoftirqd/0#0", "swapper/0#0"]
    real = ([1, 2, 1, 3, 1, 2, 4] * 150)[:1000]
    made = [mark if draw.random() < 0.8 else int(draw.integers(1, 6)) for mark in real]
    distances = {f"{who}{kind}_distance": 0.1 for who in ("", "real_") for kind in ("mark", "pair", "triple", "slice")}
    return {"steps": 1000, "marks": made, "real_marks": real, "names": names, **distances}


def manifest(**changes: Any) -> dict[str, Any]:
    """A manifest of a finished run."""
    steps = {"box": 77.4, "machine": 74.2, "provision": 112.9, "trial:000_nginx_ab": 63.1, "trial:001_nginx_ab": 62.8}
    steps |= {f"model:lstm_s{seed}": 41.0 + seed for seed in range(3)}
    no_detail: dict[str, Any] = {"detail": {}, "error": None}
    return {
        "schema_version": 1,
        "name": "nginx_ab",
        "state": "done",
        "spec": {
            "name": "nginx_ab",
            "question": "How well can the next task be predicted while nginx serves ab on one CPU?",
            "machine": {"provider": "vagrant", "box": "ubuntu-18.04", "fallback": "debian-12", "cpus": 1},
            "load": {"kind": "nginx_ab", "requests": 1_000_000, "concurrency": 5},
            "record": {"warmup_s": 5, "seconds": 50},
            "trials": {"repeat": 2, "order": "shuffled", "seed": 2026},
            "model": {"mark": "task", "predictors": ["most_frequent", "markov", "lstm"], "seeds": [0, 1, 2]},
            "sweep": {},
        },
        "spec_text": "name: nginx_ab\n",
        "spec_sha256": hashlib.sha256(b"name: nginx_ab\n").hexdigest(),
        "versions": {"harness": "0.1.0", "python": "3.11.2", "packages": {"torch": "2.13.0", "pyarrow": "24.0.0"}},
        "host": {"cpu": "AMD EPYC 9B14", "cores": 2, "kernel": "6.18.5"},
        "command": ["harness", "run", "experiments/nginx_ab.yaml"],
        "box": {"name": "ubuntu-18.04", "digest": "3f9a2c" * 10 + "aaaa", "fallback_reason": None},
        "machine": {"accelerator": "tcg", "kernel": "6.1.0-40-cloud-amd64", "cpus": 1},
        "steps": {
            **{
                name: {"state": "done", "seconds": seconds, "outputs": {f"{name}/file": "ab" * 32}, **no_detail}
                for name, seconds in steps.items()
            },
            "report": {"state": "done", "seconds": None, "outputs": {}, **no_detail},
        },
    } | changes  # fmt: skip


def add_earlier_attempt(run: Path, trial: str, number: int, **wrong: Any) -> None:
    """An attempt that was set aside; `wrong` are the checks that failed."""
    folder = run / "attempts" / f"{trial}-{number}"
    folder.mkdir(parents=True)
    (folder / "trial.json").write_text(json.dumps({"name": trial, "verdict": {"ok": False, "checks": checks(**wrong)}}))


def write_manifest(run: Path, **changes: Any) -> None:
    """Write `manifest.json`; what `changes` leaves out of a step is added."""
    run.mkdir(parents=True, exist_ok=True)
    content, blank = manifest(**changes), {"seconds": None, "outputs": {}, "detail": {}, "error": None}
    content["steps"] = {name: {**blank, **step} for name, step in content["steps"].items()}
    (run / "manifest.json").write_text(json.dumps(content))


def make_run(run: Path, count: int = 6_000) -> Path:
    """A whole finished run: two trials, three predictors, three seeds of one of them."""
    write_manifest(run)
    add_trial(run, "000_nginx_ab", slices(count, 1))
    add_trial(run, "001_nginx_ab", slices(count, 2))
    add_model(run, "most_frequent", 0, 0.45, rollout=None)
    add_model(run, "markov", 0, 0.66)
    for seed in range(3):
        add_model(run, "lstm", seed, 0.71, regime="slices")
    return run


def make_run_of_two_clocks(run: Path, count: int = 2_000) -> Path:
    """A finished run with an arm of three trials for each clock; one counted trial was kept waiting and is odd."""
    arms = {"nginx_ab__clock-host": {"clock": "host", "cpu_speed": None}, "nginx_ab__clock-counted": COUNTED}
    on = {arm: {"box": {"name": "debian-12"}, "machine": machine} for arm, machine in arms.items()}
    write_manifest(run, arms=on)
    for number in range(6):
        arm = list(arms)[number // 3]
        name, busy = f"00{number}_{arm}", number == 5
        more = {"machine": arms[arm], "host": host(0.58 if busy else 0.004 * number)}
        metrics = {"requests_per_s": 300.0 if busy else 420.0 + number}
        rate = {"metrics": metrics, "switches": count, "contested_share": 0.14}
        add_trial(run, name, slices(count, number), arm=arm, **more, **rate)
    add_earlier_attempt(run, f"000_{next(iter(arms))}", 1, lost_events=12)
    for index, (arm, machine) in enumerate(arms.items()):
        trials = [f"00{number}_{arm}" for number in range(3 * index, 3 * index + 3)]
        clock = {"clock": machine["clock"], "cpu_speed": machine["cpu_speed"]}
        for kind, top1, inputs in (("markov", 0.66, "marks"), ("lstm", 0.71 + 0.2 * index, "slices")):
            add_model(run, kind, index, top1, regime=inputs, trials=trials, **clock)
    return run
