"""Kernel settings of an experiment file: words of the command line, sysctls, and the scheduler's own knobs."""

from __future__ import annotations

import json

import pytest
from json_schema import fits

from harness import boxes, plan, spec
from harness.errors import SpecError

START = "name: small\nload: {kind: nginx_ab}\nmachine:\n  box: debian-12\n"


def load(text: str, settings: dict[str, str] | None = None) -> spec.Experiment:
    return spec.load_bytes((START + text).encode(), "file.yaml", settings)


def error_of(text: str, settings: dict[str, str] | None = None) -> str:
    with pytest.raises(SpecError) as error:
        load(text, settings)
    return str(error.value)


ALL = """\
  cmdline: [nohz=off, preempt=full]
  sysctl: {kernel.sched_rt_runtime_us: -1, net.ipv4.tcp_rmem: 4096 87380 6291456}
  sched: {base_slice_ns: 3_000_000, preempt: none, features: {RUN_TO_PARITY: false}}
"""


def test_settings_survive_the_manifest_and_those_left_out_are_not_in_it() -> None:
    experiment = load(ALL)
    stored = json.loads(json.dumps(spec.to_dict(experiment)))
    assert stored["machine"]["sched"] == {
        "base_slice_ns": 3_000_000,
        "preempt": "none",
        "features": {"RUN_TO_PARITY": False},
    }
    assert spec.from_dict(stored).machine == experiment.machine
    assert spec.to_dict(load(""))["machine"]["sched"] == {}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("root=/dev/sda", "the box has its disk"),
        ("init=/bin/sh", "the box has its disk"),
        ("console=ttyS1", "serial console"),
        ("harness.key=x", "the harness itself writes"),
        ("systemd.mask=ssh.service", "needs the guest's ssh.service"),
        ("systemd.mask=systemd-networkd.socket", "needs the guest's"),
        ("systemd.unit=rescue.target", "stop in a shell"),
        ("single", "stop in a shell"),
        ("mem=512M", "machine.memory_mb"),
        ("maxcpus=1", "machine.cpus"),
        ("icount=shift=3", "machine.clock"),
        ("modprobe.blacklist=virtio_blk", "virtio"),
        ("module_blacklist=floppy,ext4", "ext4"),
        ("--", "init"),
    ],
)
def test_a_word_that_would_break_the_boot_is_refused_with_its_reason_and_place(word: str, reason: str) -> None:
    text = error_of(f"  cmdline: [quiet, '{word}']\n")
    assert text.startswith("file.yaml:5:20: machine.cmdline[1] is ")
    assert reason in text


@pytest.mark.parametrize(
    "word", ["nohz_full=1", "systemd.mask=cron.service", "modprobe.blacklist=floppy", "mitigations=off"]
)
def test_other_words_are_taken(word: str) -> None:
    assert load(f"  cmdline: [{word}]\n").machine.cmdline == (word,)


def test_a_word_with_a_blank_and_too_many_letters_are_errors() -> None:
    assert "one word of printable ASCII" in error_of("  cmdline: ['a b']\n")
    assert "at most 800 letters" in error_of(f"  cmdline: {[f'a{number}=' + 'x' * 180 for number in range(5)]}\n")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ("sysctl: {kernel: 1}", "file.yaml:5:12: machine.sysctl.kernel is refused"),
        ("sysctl: {vm.drop_caches: 1}", "this starts something"),
        ("sysctl: {kernel.modules_disabled: 1}", "cannot be set back"),
        ("sysctl: {vm.swappiness: true}", "file.yaml:5:27: machine.sysctl.vm.swappiness is true"),
        ("sysctl: {vm.swappiness: 1.5}", "a whole number of at most 64 bits, or a line of text"),
        ("sched: {base_slice: 1}", "did you mean 'base_slice_ns'"),
        ("sched: {latency_ns: 5_000_000_000}", "less than 4294967296"),
        ("sched: {preempt: never}", "'none', 'voluntary', 'full' or 'lazy'"),
        ("sched: {features: {NO_HRTICK: true}}", "{HRTICK: false}"),
        ("sched: {features: {HRTICK: 1}}", "true or false"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_and_what_is_right(settings: str, error: str) -> None:
    assert error in error_of(f"  {settings}\n")


@pytest.mark.parametrize(
    ("machine", "whose"),
    [("  hypervisor: virtualbox\n", "VirtualBox"), ("  fallback: bento/ubuntu-18.04\n", "bento/ubuntu-18.04")],
)
def test_a_machine_with_a_boot_loader_of_its_own_takes_no_words(machine: str, whose: str) -> None:
    text = error_of(machine + "  cmdline: [quiet]\n")
    assert text.startswith("file.yaml:6:3: machine.cmdline is set, and ")
    assert whose in text
    assert load(machine + "  sysctl: {vm.swappiness: 1}\n").machine.sysctl == {"vm.swappiness": 1}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "  sched: {base_slice_ns: 1}\n",
            "file.yaml:5:11: machine.sched.base_slice_ns is set, and the kernel of debian-12 is Linux 6.1",
        ),
        (
            "  fallback: debian-13\n  sched: {latency_ns: 1}\n",
            "the kernel of debian-13 is Linux 6.12\n  expected: a kernel before Linux 6.6",
        ),
        ("  sched: {base_slice_ns: 1}\n", "expected: a kernel since Linux 6.6"),
        ("sweep: {machine.sched.base_slice_ns: [1]}\n", "in sweep: machine.sched.base_slice_ns is set"),
    ],
)
def test_a_setting_that_the_kernel_of_the_box_lacks_is_named_before_anything_boots(text: str, error: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec.load_bytes((START + text).encode(), "file.yaml", kernel_of=boxes.kernel_version)
    assert error in str(raised.value)


def test_a_setting_that_one_of_several_boxes_lacks_is_an_error_of_that_arm() -> None:
    text = "  sched: {latency_ns: 1}\nsweep: {machine.box: [debian-12, debian-11]}\n"
    spec.load_bytes((START + text).encode(), "file.yaml", kernel_of=boxes.kernel_version)
    with pytest.raises(SpecError, match=r"in sweep: .* the kernel of debian-13 is Linux 6\.12"):
        spec.load_bytes((START + text.replace("11", "13")).encode(), "file.yaml", kernel_of=boxes.kernel_version)


def test_set_reaches_single_sysctls_and_features() -> None:
    machine = load(
        ALL, {"machine.sysctl.vm.swappiness": "7", "machine.sched.features.HRTICK": "true", "machine.cmdline": "[]"}
    ).machine
    assert machine.sysctl["vm.swappiness"] == 7
    assert machine.sched.features == {"RUN_TO_PARITY": False, "HRTICK": True}
    assert machine.cmdline == ()


def test_every_setting_can_be_swept_and_names_its_arms() -> None:
    experiment = load(
        "sweep:\n  machine.sched.base_slice_ns: [1_000_000]\n  machine.sysctl.vm.swappiness: [1, 2]\n"
        "  machine.sched.features.RUN_TO_PARITY: [false]\n  machine.cmdline: [[], [nohz=off, quiet]]\n"
    )
    arms = plan.arms(experiment)
    assert [arm.name for arm in arms[:2]] == [
        "nginx_ab__base_slice_ns-1000000__swappiness-1__RUN_TO_PARITY-false__cmdline-none",
        "nginx_ab__base_slice_ns-1000000__swappiness-1__RUN_TO_PARITY-false__cmdline-nohz-off-quiet",
    ]
    assert arms[3].experiment.machine.sysctl == {"vm.swappiness": 2}
    assert arms[3].experiment.machine.sched.model_dump() == {
        "base_slice_ns": 1_000_000,
        "features": {"RUN_TO_PARITY": False},
    }


def test_whole_mappings_can_be_swept() -> None:
    arms = plan.arms(load("sweep:\n  machine.sysctl: [{}, {vm.swappiness: 3, kernel.panic: 1}]\n"))
    assert [arm.name for arm in arms] == ["nginx_ab__sysctl-none", "nginx_ab__sysctl-swappiness-3-panic-1"]


@pytest.mark.parametrize(
    ("path", "values", "error"),
    [
        ("machine.sched.base_slic_ns", "[1]", "did you mean 'machine.sched.base_slice_ns'"),
        ("machine.sched.base_slice_ns", "[1, x]", "in sweep: machine.sched.base_slice_ns is 'x'"),
        ("machine.sysctl.kernl.x", "[1]", "machine.sysctl.kernl.x is refused"),
        ("machine.sysctl.", "[1]", "unknown path in sweep"),
        ("machine.cmdline", "[[], [root=x]]", "in sweep: machine.cmdline[0] is 'root=x'"),
    ],
)
def test_a_wrong_swept_setting_is_named_with_its_place(path: str, values: str, error: str) -> None:
    text = error_of(f"sweep:\n  {path}: {values}\n")
    assert error in text
    assert text.startswith("file.yaml:6:")


def test_a_setting_is_set_by_one_of_its_names() -> None:
    for sysctl, sched in (("rt_runtime_us", "rt_runtime_us: 1"), ("autogroup_enabled", "autogroup: true")):
        text = error_of(f"  sysctl: {{kernel.sched_{sysctl}: 5}}\n  sched: {{{sched}}}\n")
        assert f"machine.sysctl.kernel.sched_{sysctl} is machine.sched." in text


def test_two_mappings_that_mean_the_same_are_shown() -> None:
    text = error_of("sweep: {machine.sched: [{}, {features: {}}]}\n")
    assert 'machine.sched {"features": {}} means the same as {}' in text


def test_the_name_of_an_arm_has_the_sign_of_its_value() -> None:
    names = [arm.name for arm in plan.arms(load("sweep: {machine.sched.rt_runtime_us: [-1, 1]}\n"))]
    assert names == ["nginx_ab__rt_runtime_us-minus-1", "nginx_ab__rt_runtime_us-1"]


def test_only_words_of_the_command_line_need_another_boot() -> None:
    experiment = load(
        "trials: {order: listed}\nsweep:\n  machine.sched.base_slice_ns: [1, 2]\n  machine.cmdline: [[], [quiet]]\n"
    )
    assert (
        len(plan.by_boot(plan.trials(load("sweep: {machine.sched.base_slice_ns: [1, 2]}\n")))) == 3
    )  # a boot for each block
    assert len(plan.by_boot(plan.trials(experiment))) == 12


SCHEMA = spec.schema()


@pytest.mark.parametrize(
    ("machine", "right"),
    [
        ({"cmdline": ["nohz=off"], "sysctl": {"vm.swappiness": 3}, "sched": {"features": {"HRTICK": True}}}, True),
        ({"cmdline": ["a b"]}, False),
        ({"cmdline": ["a<b"]}, False),
        ({"cmdline": ["a&b"]}, False),
        ({"cmdline": "quiet"}, False),
        ({"sysctl": {"swappiness": 3}}, False),
        ({"sysctl": {"vm.swappiness": True}}, False),
        ({"sched": {"latency_ns": -1}}, False),
        ({"sched": {"features": {"hrtick": True}}}, False),
        ({"sched": {"slice": 1}}, False),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(machine: dict[str, object], right: bool) -> None:
    values = {"name": "small", "load": {"kind": "nginx_ab"}, "machine": {"box": "debian-12", **machine}}
    assert fits(values, SCHEMA, SCHEMA) is right
    if right:
        spec.from_dict(values)
    else:
        with pytest.raises(SpecError):
            spec.from_dict(values)
