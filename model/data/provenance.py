"""Where a recording comes from: kernel, machine, perf, and the very file; and whether it was whole.

A trial says it in `guest.json` and `trial.json`, converted tables in `recording.json`. It is kept with every model that
learned from a recording, and with every score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from model.data import metadata

RECORDINGS = "recordings"  # the key of what a model keeps of those it learned from


@dataclass(frozen=True)
class Provenance:
    """What is known of one recording; None where nothing says it.

    `name`: the folder of its tables. `perf`: the version. `recording`: the file's name, of `bytes` and `sha256`; the
    contents of a compressed one have `unpacked_sha256`. `harness`: the version that wrote the tables. `whole`: whether
    nothing is missing; a trial that passed its verdict is whole enough. `damage`: what is missing, in words.
    `settings`: the kernel settings that the experiment changed, in words; None where it changed none.
    """

    name: str
    kernel: str | None = None
    hostname: str | None = None
    arch: str | None = None
    cpu: str | None = None
    cpus: int | None = None
    perf: str | None = None
    recording: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    unpacked_sha256: str | None = None
    harness: str | None = None
    whole: bool | None = None
    damage: str | None = None
    settings: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return all fields, as they are stored with a model and its scores."""
        return asdict(self)

    @property
    def content(self) -> str | None:
        """The SHA-256 of the recording itself, compressed or not; None where it is not known."""
        return self.unpacked_sha256 or self.sha256

    @property
    def machine(self) -> str:
        """The machine in words, as far as it is known; empty where nothing is."""
        cpus = f"{self.cpus} CPU{'s' if self.cpus != 1 else ''}" if self.cpus else ""
        return ", ".join(filter(None, (self.hostname, " of ".join(filter(None, (cpus, self.cpu or self.arch))))))


def of_recording(folder: Path) -> Provenance:
    """Return the provenance of a recording: what its guest says of itself, else what perf wrote. Raises TableError."""
    folder = Path(folder)
    guest, header, file = metadata.guest_facts(folder), metadata.header(folder), metadata.recording_file(folder)
    whole, damage = _wholeness(folder)
    return Provenance(
        name=folder.name,
        kernel=metadata.kernel(folder) or None,
        hostname=_text(guest.get("hostname") or header.get("hostname")),
        arch=_text(header.get("arch")),
        cpu=_text(guest.get("cpu_model") or header.get("cpu")),
        cpus=metadata.cpus(folder),
        perf=_text(header.get("perf_version") or guest.get("perf_version")),
        recording=_text(file.get("name")),
        bytes=file.get("bytes") if isinstance(file.get("bytes"), int) else None,
        sha256=_text(file.get("sha256")) or metadata.guest_sha256(folder),
        unpacked_sha256=_text(metadata.mapping(file, "unpacked").get("sha256")),
        harness=metadata.harness_version(folder),
        whole=whole,
        damage=damage,
        settings=_settings(folder),
    )


def of_model(folder: Path, about: Mapping[str, Any]) -> list[Provenance]:
    """Return the provenance of the recordings that a stored model learned from, as far as they are known.

    Models of 0.2.0 keep none; of one that still lies in its run, the trials say it.
    """
    stored = about.get(RECORDINGS)
    if isinstance(stored, list):
        return [_restored(facts) for facts in stored if isinstance(facts, Mapping)]
    run, trials = metadata.run_of(folder), about.get("trials")
    if run is None or not isinstance(trials, list):
        return []
    return [of_recording(run / "trials" / str(name)) for name in trials if (run / "trials" / str(name)).is_dir()]


def notes(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> list[str]:
    """Return what is worth knowing beside a score, but speaks little against it: machines or settings that differ.

    Also that the kernel of a single recording is not known; with several, that is a caveat of `kernels`.
    """
    if learned == tested and len(tested) == 1:
        return [unknown] if (unknown := unknown_kernels(tested)) else []
    return [*_about_machines(learned, tested), *_about_settings(learned, tested)]


def _about_machines(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> list[str]:
    sides = [list(dict.fromkeys(one.machine for one in side if one.machine)) for side in (learned, tested)]
    if all(sides) and set(sides[0]) != set(sides[1]):
        return [f"The machines differ: trained on {' and on '.join(sides[0])}; scored on {' and on '.join(sides[1])}."]
    if len(sides[1]) > 1:
        return [f"The recordings are of several machines: {'; '.join(sides[1])}."]
    return []


def _about_settings(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> list[str]:
    sides = [list(dict.fromkeys(one.settings or "those of the kernel" for one in side)) for side in (learned, tested)]
    if all(sides) and set(sides[0]) != set(sides[1]):
        first, second = (" and with ".join(side) for side in sides)
        return [f"The kernel settings differ: trained with {first}; scored with {second}."]
    if len(sides[1]) > 1:
        return [f"The recordings have several kernel settings: {'; '.join(sides[1])}."]
    return []


def beside_scores(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> dict[str, Any]:
    """Return what scores keep of both sides: the kernels, all recordings, and notes."""
    kernels = [" and ".join(sorted({one.kernel for one in side if one.kernel})) or None for side in (learned, tested)]
    return {
        "kernel": kernels[0],
        "tested_kernel": kernels[1] if kernels[1] != kernels[0] else None,
        RECORDINGS: {side: [one.facts() for one in each] for side, each in (("learned", learned), ("tested", tested))},
        "notes": notes(learned, tested),
    }


def caveat(recordings: Sequence[Provenance]) -> str | None:
    """Return the warning beside scores of recordings that were not whole, else None."""
    lost = [one for one in recordings if one.whole is False]
    damaged = [f"{one.name} ({one.damage})" if one.damage else one.name for one in lost]
    return f"Not whole: {', '.join(dict.fromkeys(damaged))}." if damaged else None


def shared(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> list[Provenance]:
    """Return those of `tested` that are recordings learned from, by their content, whatever their names are."""
    known = {one.content for one in learned if one.content}
    return [one for one in tested if one.content in known]


def overlap(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> str | None:
    """Return the warning beside scores of recordings that were learned from under another name, else None."""
    names = ", ".join(dict.fromkeys(one.name for one in shared(learned, tested)))
    return f"Tested on what was learned from: {names} (the same recording, by its SHA-256)." if names else None


def unknown_kernels(recordings: Sequence[Provenance]) -> str | None:
    """Name the recordings whose kernel is not known, and why; None where there is none."""
    unnamed = dict.fromkeys(_unnamed(one) for one in recordings if not one.kernel)
    if not unnamed:
        return None
    hint = "record the kernel, too (a text needs `perf script --header`), or convert the recording again"
    return f"The kernel of {' and of '.join(unnamed)} is not known: {hint}."


def _unnamed(one: Provenance) -> str:
    return f"{one.name} ({one.recording} does not name it)" if one.recording else f"{one.name} (nothing names it)"


def _wholeness(folder: Path) -> tuple[bool | None, str | None]:
    verdict = metadata.trial(folder).get("verdict")
    if isinstance(verdict, dict) and verdict.get("ok") is True:
        return True, None
    whole = metadata.quality(folder).get("whole")
    return (whole, metadata.damage(folder) or None) if isinstance(whole, bool) else (None, None)


def _restored(facts: Mapping[str, Any]) -> Provenance:
    known = {one.name: facts[one.name] for one in fields(Provenance) if one.name in facts}
    return Provenance(**{"name": "a recording", **known})


def _settings(folder: Path) -> str | None:
    changed = [row for row in metadata.kernel_settings(folder) if row.get("before") != row.get("actual")]
    return ", ".join(_in_words(str(row.get("name")), row.get("actual")) for row in changed) or None


def _in_words(name: str, value: object) -> str:
    """Return a kernel setting as the plan of a run has it: `base_slice_ns=3000000`, `NO_HRTICK`."""
    name = name.removeprefix("machine.").removeprefix("sched.").removeprefix("sysctl.")
    return str(value) if name.startswith("features.") else f"{name}={value}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
