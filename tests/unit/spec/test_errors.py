"""Each error of an experiment file has its position, what was expected, and the nearest known name."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import spec
from harness.errors import EXIT_USAGE, SpecError
from harness.spec.document import MAX_BYTES

pytestmark = pytest.mark.slow

HEAD = "name: x\nmachine: {box: debian-12}\n"
LOAD = "load: {kind: nginx_ab}\n"


def error_of(tmp_path: Path, text: str | bytes, overrides: dict[str, str] | None = None, **known: object) -> SpecError:
    path = tmp_path / "e.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SpecError) as caught:
        spec.load(path, overrides, **known)  # type: ignore[arg-type]
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


CASES = {
    "an unknown key at the top": ("nam: x\n" + HEAD + LOAD, "1:1", "unknown key 'nam'", "'name'"),
    "an unknown key in a section": (HEAD + LOAD + "record:\n  second: 5\n", "5:3", "in record: 'second'", "'seconds'"),
    "a key in the wrong section": (HEAD + LOAD + "seconds: 5\n", "4:1", "unknown key 'seconds'", "'record.seconds'"),
    "a wrong type": (HEAD + LOAD + "trials:\n  repeat: three\n", "5:11", "trials.repeat is 'three'", "whole number"),
    "text for a number": (HEAD + LOAD + 'trials: {repeat: "3"}\n', "4:18", "trials.repeat is '3'", "whole number"),
    "true for a number": (HEAD + LOAD + "trials: {repeat: true}\n", "4:18", "trials.repeat is true", "whole number"),
    "a number for text": ("name: 5\nmachine: {box: debian-12}\n" + LOAD, "1:7", "name is 5", "text"),
    "a value out of bounds": (HEAD + LOAD + "record: {seconds: 0}\n", "4:19", "record.seconds is 0", "greater than 0"),
    "a choice that is none": (HEAD + LOAD + "model: {mark: tid}\n", "4:15", "model.mark is 'tid'", "'comm' or 'task'"),
    "a missing key": ("name: x\nmachine:\n  cpus: 1\n" + LOAD, "2:1", "machine.box is missing", "guest image"),
    "a missing section": (HEAD, "1:1", "load is missing", "CPU busy"),
    "an unknown load": (HEAD + "load:\n  kind: nginx_abb\n", "4:9", "unknown load 'nginx_abb'", "'nginx_ab'"),
    "a load without kind": (HEAD + "load: {requests: 1}\n", "3:1", "load.kind is missing", "nginx_ab"),
    "a load that is text": (HEAD + "load: nginx_ab\n", "3:7", "load is 'nginx_ab'", "{kind: nginx_ab}"),
    "a kind that is a number": (HEAD + "load: {kind: 5}\n", "3:14", "unknown load '5'", "nginx_ab"),
    "an unknown load parameter": (
        HEAD + "load: {kind: nginx_ab, concurency: 5}\n", "3:24", "in load: 'concurency'", "'concurrency'",
    ),
    "a wrong load parameter": (
        HEAD + "load: {kind: nginx_ab, requests: '5'}\n", "3:34", "load.requests is '5'", "whole number",
    ),
    "an unknown key inside of a part of a mix": (
        HEAD + "load: {kind: mix, parts: [{kind: idle}, {kind: web, arrivals: {bursts: {rate_per_s: 5, burst: 9}}}]}\n",
        "3:88", "in load.parts[1].arrivals.bursts: 'burst'", "'burst_ms'",
    ),
    "a load without what it needs": (
        HEAD + "load: {kind: command}\n", "3:1", "load.run is missing", "harness loads command --example",
    ),
    "a section that is none": (HEAD + LOAD + "trials: 3\n", "4:9", "trials is 3", "a mapping"),
    "a name unfit for a folder": ("name: ../x\nmachine: {box: a}\n" + LOAD, "1:7", "name is '../x'", "text that"),
    "too few shares": (HEAD + LOAD + "model: {split: [0.5, 0.5]}\n", "4:16", "too few values", "Shares"),
    "too many shares": (HEAD + LOAD + "model: {split: [.1, .2, .3, .4]}\n", "4:16", "too many values", "Shares"),
    "shares that are not whole": (HEAD + LOAD + "model: {split: [.5, .5, .5]}\n", "4:16", "split is", "add up to 1"),
    "a share without events": (HEAD + LOAD + "model: {split: [0.9, 0.099, 0.001]}\n", "4:29", "is 0.001", "0.01"),
    "a buffer that perf refuses": (HEAD + LOAD + "record: {buffer_kb: 5}\n", "4:21", "buffer_kb is 5", "power of two"),
    "a seed twice": (HEAD + LOAD + "model: {seeds: [1, 1]}\n", "4:16", "model.seeds is [1, 1]", "1 appears 2 times"),
    "a sweep over an unknown path": (
        HEAD + LOAD + "sweep:\n  load.concurency: [1]\n", "5:3", "unknown path in sweep: 'load.concurency'",
        "'load.concurrency'",
    ),
    "a sweep over what is no treatment": (HEAD + LOAD + "sweep: {trials.seed: [1]}\n", "4:9", "trials.seed", "record."),
    "a sweep of nothing": (HEAD + LOAD + "sweep: {load.concurrency: []}\n", "4:27", "is an empty list", "one value"),
    "a sweep of one value": (HEAD + LOAD + "sweep: {load.concurrency: 5}\n", "4:27", "load.concurrency is 5", "a list"),
    "a swept value twice": (
        HEAD + LOAD + "sweep: {load.concurrency: [1, 1]}\n", "4:31", "the value 1 twice", "different",
    ),
    "a swept number written in two ways": (
        HEAD + LOAD + "sweep:\n  record.seconds: [5, 5.0]\n",
        "5:23", "record.seconds 5.0 means the same as 5", "different",
    ),
    "a swept speed that is the default": (
        "name: x\nmachine: {box: a, clock: counted}\n" + LOAD + "sweep: {machine.cpu_speed: [125, null]}\n",
        "4:34", "machine.cpu_speed null means the same as 125", "different",
    ),
    "true among swept numbers": (
        HEAD + LOAD + "sweep: {load.concurrency: [1, true]}\n", "4:31", "load.concurrency is true", "whole number",
    ),
    "a swept time with a unit": (
        HEAD + LOAD + "sweep: {record.seconds: [2, 2s]}\n", "4:29", "record.seconds is '2s'", "a number",
    ),
    "a swept number that is none": (
        HEAD + LOAD + "sweep: {record.seconds: [2, .nan]}\n", "4:29", "'.nan' is not a number", "finite",
    ),
    "a swept value of a wrong type": (
        HEAD + LOAD + "sweep: {load.concurrency: [1, a]}\n", "4:31", "load.concurrency is 'a'", "whole number",
    ),
    "a sweep without end": (
        HEAD + LOAD + f"sweep: {{load.concurrency: {list(range(1, 1002))}}}\n",
        "4:1", "makes 1001 arms", "at most 1000"
    ),
    "a counted clock under KVM": (
        "name: x\nmachine: {box: a, accelerator: kvm, clock: counted}\n" + LOAD,
        "2:44", "KVM cannot count", "accelerator: auto or tcg, or clock: host",
    ),
    "a counted clock under VirtualBox": (
        "name: x\nmachine: {box: a/b, hypervisor: virtualbox, clock: counted}\n" + LOAD,
        "2:52", "VirtualBox cannot count", "hypervisor: libvirt, or clock: host",
    ),
    "a counted clock with several CPUs": (
        "name: x\nmachine: {box: a, cpus: 2, clock: counted}\n" + LOAD, "2:35", "machine.cpus is 2", "cpus: 1",
    ),
    "a speed without a clock": (
        "name: x\nmachine: {box: a, cpu_speed: 250}\n" + LOAD,
        "2:30", "cpu_speed is 250, and machine.clock is not set", "clock: counted beside it",
    ),
    "a speed with the host's clock": (
        "name: x\nmachine: {box: a, clock: host, cpu_speed: 250}\n" + LOAD,
        "2:43", "machine.clock is 'host'", "clock: counted beside it",
    ),
    "a speed that is none": (
        "name: x\nmachine: {box: a, clock: counted, cpu_speed: 300}\n" + LOAD,
        "2:46", "machine.cpu_speed is 300", "125, 250 or 500",
    ),
    "a swept speed on the host's clock": (
        HEAD + LOAD + "sweep:\n  machine.clock: [host, counted]\n  machine.cpu_speed: [null, 500]\n",
        "6:29", "in sweep: machine.cpu_speed is 500", "clock: counted beside it",
    ),
    "a swept clock with several CPUs": (
        "name: x\nmachine: {box: a, cpus: 2}\n" + LOAD + "sweep: {machine.clock: [host, counted]}\n",
        "4:31", "in sweep: machine.clock is 'counted'", "cpus: 1",
    ),
    "swept CPUs with a counted clock": (
        "name: x\nmachine: {box: a, clock: counted}\n" + LOAD + "sweep: {machine.cpus: [1, 2]}\n",
        "4:8", "in sweep: machine.clock is 'counted', and machine.cpus is 2", "clock: host",
    ),
    "on: read as a truth value": ("%YAML 1.1\n---\non: 1\n", "3:1", "'on' is read by YAML as bool", "quotes"),
    "on: as a key": ("on: 1\n" + HEAD + LOAD, "1:1", "unknown key 'on'", "one of"),
    "a number as a key": ("5: 1\n", "1:1", "'5' is read by YAML as int", "quotes"),
    "a list as a key": ("? [a]\n: 1\n", "1:3", "not plain text", "name"),
    "a key twice": ("name: x\nname: y\n", "2:1", "'name' appears twice", "e.yaml:1:1"),
    "a tab": ("machine:\n\tbox: debian-12\n", "2:1", "a tab", "spaces"),
    "an empty file": ("", "1:1", "the file is empty", "mapping"),
    "only a comment": ("# name: x\n", "1:1", "the file is empty", "mapping"),
    "a list": ("- name: x\n", "1:1", "holds a list", "mapping"),
    "text": ("hello\n", "1:1", "holds text", "mapping"),
    "not UTF-8": (b"name: x\nquestion: caf\xe9\n", "2:14", "byte 0xe9 is not UTF-8", "UTF-8"),
    "a control character": ("name: x\nquestion: a\x00b\n", "2:12", "U+0000", "remove"),
    "a syntax error": ("name: x\nmachine: {box: debian-12\n", "3:1", "YAML syntax error", "flow mapping"),
    "two documents": ("name: x\n---\nname: y\n", "2:1", "another document", "single document"),
    "a tag": ("name: !python/object x\n", "1:7", "tag", "remove"),
    "an alias": ("name: &a x\nquestion: *a\n", "1:7", "alias", "write the value out"),
    "a merge key": ("<<: {name: x}\n", "1:1", "not plain text", "name"),
    "infinity": (HEAD + LOAD + "record: {seconds: .inf}\n", "4:19", "'.inf' is not a number", "finite"),
    "half a surrogate": ('name: "\\ud800"\n', "1:7", "surrogate", "valid text"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_the_position_and_what_was_expected(tmp_path: Path, case: str) -> None:
    text, position, what, more = CASES[case]
    error = error_of(tmp_path, text)
    assert error.where == f"{tmp_path}/e.yaml:{position}"
    assert what in str(error)
    assert more in str(error)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "name: X\nmachine: {box: debian-12, cpu: 1}\nload: {kind: nope}\nrecord: {seconds: -1}\ntrial: {}\n"
    lines = [line for line in str(error_of(tmp_path, text)).splitlines() if not line.startswith("  ")]
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4", "5"]


def test_an_unknown_predictor_is_an_error_with_the_nearest_known_one(tmp_path: Path) -> None:
    text = HEAD + LOAD + "model:\n  predictors: [markov, lsmt]\n"
    error = error_of(tmp_path, text)
    assert error.where == f"{tmp_path}/e.yaml:5:24"
    assert "did you mean 'lstm'?" in str(error)


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("load.concurency", "5", "did you mean 'concurrency'"),
        ("concurrency", "5", "did you mean 'load.concurrency'"),
        ("load.concurrency", "many", "load.concurrency is 'many'"),
        ("load.concurrency", "[1", "YAML syntax error"),
        ("name.first", "x", "name is not a mapping"),
        ("load..x", "1", "is not a path of keys"),
        ("", "1", "is not a path of keys"),
        ("record", "5", "record is 5"),
        ("load.kind", "nope", "unknown load 'nope'"),
    ],
)
def test_the_position_of_a_wrong_override_is_the_option(tmp_path: Path, path: str, value: str, what: str) -> None:
    error = error_of(tmp_path, HEAD + LOAD, {path: value})
    assert error.where == f"--set {path}={value}"
    assert what in str(error)


def test_setting_a_swept_value_is_an_error_because_it_would_have_no_effect(tmp_path: Path) -> None:
    error = error_of(tmp_path, HEAD + LOAD + "sweep: {load.concurrency: [1, 2]}\n", {"load.concurrency": "5"})
    assert "has no effect" in error.what


def test_swept_values_that_do_not_go_together_are_an_error(tmp_path: Path) -> None:
    error = error_of(tmp_path, HEAD + LOAD + "sweep: {load.kind: [idle, nginx_ab], load.concurrency: [1]}\n")
    assert error.where == f"{tmp_path}/e.yaml:4:38"
    assert "unknown path in sweep: 'load.concurrency'" in error.what


def test_a_missing_file_and_a_folder_have_errors_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        spec.load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="directory"):
        spec.load(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        spec.load("a\0b")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    assert "too large" in error_of(tmp_path, b"#" * (MAX_BYTES + 1)).what


def test_deep_nesting_is_an_error_and_no_crash(tmp_path: Path) -> None:
    assert "nested too deeply" in error_of(tmp_path, "[" * 5000).what
    assert "nested too deeply" in error_of(tmp_path, "name: " + "[" * 60 + "]" * 60).what


def test_the_experiment_in_a_manifest_is_checked_like_a_file() -> None:
    with pytest.raises(SpecError, match="unknown key 'nam'"):
        spec.from_dict({"nam": "x"})


def test_settings_of_an_unknown_predictor_are_an_error_and_those_of_one_left_out_are_checked_too(
    tmp_path: Path,
) -> None:
    text = HEAD + LOAD + "model: {predictors: [lstm], params: {lsmt: {}}}\n"
    error = error_of(tmp_path, text)
    assert str(error.where).endswith(":4:38")
    assert error.hint == "did you mean 'lstm'?"
    left_out = HEAD + LOAD + "model: {predictors: [markov], params: {lstm: {hidden: 8}}}\n"
    (tmp_path / "left_out.yaml").write_text(left_out)
    assert spec.load(tmp_path / "left_out.yaml").model.predictors == ("markov",)
    error = error_of(tmp_path, left_out.replace("8", "0"))
    assert error.what == "model.params.lstm.hidden is 0"
