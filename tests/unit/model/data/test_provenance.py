"""A recording's kernel, machine and file are kept with the models and scores that were made of it, and are compared."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import LIMIT_S
from kept import unpacked_into
from shorten import shortened

from harness.trace import convert
from harness.trace.text.importer import import_text
from model import checkpoint, jobs, predict
from model.data import provenance
from model.data.find_recordings import recordings
from model.data.provenance import Provenance
from model.errors import StreamError
from model.files import sealed, unsealed
from model.jobs import Job

SPLIT = (0.7, 0.15, 0.15)
OF_GUEST = "6.1.0-56-cloud-amd64"


def tables_of(kept: str, folder: Path, name: str) -> Path:
    """The tables `name` of the first records of a kept recording, which lie in `perf.data` beside them."""
    recording = unpacked_into(folder, kept).rename(folder / "perf.data")
    recording.write_bytes(shortened(recording.read_bytes(), 3_000))
    convert(recording, folder / name)
    return folder / name


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a guest with Linux 6.12."""
    return tables_of("debian13_guest_6_12", tmp_path_factory.mktemp("of"), "newer")


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a guest with Linux 6.1."""
    return tables_of("debian12_guest_nginx_ab", tmp_path_factory.mktemp("of"), "guest")


@pytest.fixture(scope="module")
def model(guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the guest."""
    return trained(tmp_path_factory.mktemp("model") / "markov", guest)


def trained(out: Path, *tables: Path, **options: Any) -> Path:
    jobs.run(Job(tables, "markov", 0, "task", SPLIT, out, **options))
    return out


def scores_of(model: Path) -> Any:
    return json.loads((model / "scores.json").read_bytes())


def with_header(tables: Path, to: Path, **header: Any) -> Path:
    """A copy of tables of which perf wrote other facts."""
    shutil.copytree(tables, to)
    facts = json.loads((to / "recording.json").read_bytes())
    facts["header"] |= header
    (to / "recording.json").write_text(json.dumps(sealed(facts)))
    return to


def test_converted_tables_know_kernel_machine_perf_and_file(newer: Path) -> None:
    known = provenance.of_recording(newer)
    header = json.loads((newer / "recording.json").read_bytes())["header"]
    assert (known.kernel, known.hostname, known.arch) == (header["os_release"], header["hostname"], header["arch"])
    assert known.kernel is not None
    assert known.kernel.startswith("6.12")
    assert (known.cpu, known.cpus, known.perf) == (header["cpu"], header["nrcpus"], header["perf_version"])
    assert (known.recording, known.whole, known.damage) == ("perf.data", True, None)


def test_the_guest_of_a_trial_knows_better_than_perf(newer: Path, tmp_path: Path) -> None:
    trial = Path(shutil.copytree(newer, tmp_path / "000_a"))
    facts = {"kernel": "6.1.0-trial", "hostname": "guest", "cpus": 3, "cpu_model": "of the guest"}
    (trial / "guest.json").write_text(json.dumps({"facts": facts}))
    (trial / "trial.json").write_text(json.dumps({"verdict": {"ok": True}}))
    known = provenance.of_recording(trial)
    assert (known.kernel, known.machine) == ("6.1.0-trial", "guest, 3 CPUs of of the guest")
    assert known.sha256 == provenance.of_recording(newer).sha256


def with_settings(tables: Path, to: Path, **settings: str) -> provenance.Provenance:
    """A copy of tables, of a trial whose experiment set these; what there was before is 1."""
    shutil.copytree(tables, to)
    rows = [{"name": f"machine.sched.{name}", "before": "1", "actual": value} for name, value in settings.items()]
    (to / "guest.json").write_text(json.dumps({"facts": {}, "kernel_settings": rows}))
    return provenance.of_recording(to)


def test_kernel_settings_that_differ_are_a_note_beside_the_scores(newer: Path, tmp_path: Path) -> None:
    changed = with_settings(newer, tmp_path / "a", base_slice_ns="3000000", nr_migrate="1")
    other, plain = with_settings(newer, tmp_path / "b", base_slice_ns="7"), provenance.of_recording(newer)
    assert changed.settings == "base_slice_ns=3000000"
    assert provenance.notes([plain], [changed]) == [
        "The kernel settings differ: trained with those of the kernel; scored with base_slice_ns=3000000."
    ]
    assert provenance.notes([changed, other], [changed, other]) == [
        "The recordings have several kernel settings: base_slice_ns=3000000; base_slice_ns=7."
    ]
    assert provenance.notes([changed], [changed]) == []


def test_a_trial_of_0_2_0_without_recording_json_is_known_by_its_guest(short_recording: Path, tmp_path: Path) -> None:
    trial = Path(shutil.copytree(short_recording, tmp_path / "000_a"))
    guest = {"facts": {"kernel": "6.1", "cpus": 1, "perf_version": "perf version 6.1"}, "sha256": {"perf.data": "ab"}}
    (trial / "guest.json").write_text(json.dumps(guest))
    known = provenance.of_recording(trial)
    assert (known.kernel, known.cpus, known.perf, known.sha256) == ("6.1", 1, "perf version 6.1", "ab")
    assert (known.recording, known.whole, known.harness) == (None, None, None)


@pytest.mark.parametrize(
    "content", ["7", "{}", '{"header": [], "recording": 7, "quality": {"whole": 3}, "damage": []}']
)
def test_of_a_file_without_facts_nothing_is_known(content: str, tmp_path: Path) -> None:
    (tmp_path / "recording.json").write_text(content)
    assert provenance.of_recording(tmp_path) == Provenance(tmp_path.name)


def test_a_model_and_its_scores_keep_where_they_come_from(model: Path, guest: Path) -> None:
    known = [provenance.of_recording(guest).facts()]
    about = json.loads((model / checkpoint.CONFIG).read_bytes())["about"]
    scores = scores_of(model)
    assert about["recordings"] == known
    assert scores["recordings"] == {"learned": known, "tested": known}
    assert known[0]["sha256"] == hashlib.sha256((guest.parent / "perf.data").read_bytes()).hexdigest()
    assert (scores["kernel"], scores["tested_kernel"], scores["notes"]) == (known[0]["kernel"], None, [])
    assert scores["caveat"] is None


def test_a_model_is_not_applied_to_another_kernel_unless_that_is_asked_for(model: Path, newer: Path) -> None:
    release = provenance.of_recording(newer).kernel
    for apply in (predict.scores, lambda model, folders: predict.forecast(model, folders[0], 5)):
        with pytest.raises(StreamError) as refused:
            apply(model, [newer])
        assert f"{model} is of Linux {OF_GUEST}, {newer} of Linux {release}: they may schedule" in str(refused.value)
        assert "give --across-kernels to go on nevertheless" in str(refused.value)
    scores = predict.scores(model, [newer], across_kernels=True)
    assert (scores["kernel"], scores["tested_kernel"]) == (OF_GUEST, release)
    assert scores["caveat"] == (
        f"Across kernels: trained on Linux {OF_GUEST}, scored on Linux {release}; the two may schedule differently."
    )
    assert predict.caveat(model, [newer]) == scores["caveat"]
    assert len(predict.forecast(model, newer, 5, across_kernels=True)) >= 5
    assert scores["notes"] == []  # both are guests of one kind


def test_machines_that_differ_are_a_note(model: Path, guest: Path, tmp_path: Path) -> None:
    other = with_header(guest, tmp_path / "other", hostname="laptop", nrcpus=8, cpu="Ryzen")
    here = provenance.of_recording(guest).machine
    scores = predict.scores(model, [other])
    assert scores["notes"] == [f"The machines differ: trained on {here}; scored on laptop, 8 CPUs of Ryzen."]
    assert scores["caveat"] is None
    pooled = scores_of(trained(tmp_path / "out", guest, other))
    assert pooled["notes"] == [f"The recordings are of several machines: {here}; laptop, 8 CPUs of Ryzen."]


def test_training_and_test_recordings_may_differ_in_their_kernel_only_where_that_is_asked_for(
    guest: Path, newer: Path, tmp_path: Path
) -> None:
    with pytest.raises(StreamError, match=rf"{guest} is of Linux .*, {newer} of Linux 6\.12"):
        trained(tmp_path / "out", guest, test_tables=(newer,))
    assert not (tmp_path / "out").exists()
    allowed = scores_of(trained(tmp_path / "out", guest, test_tables=(newer,), across_kernels=True))
    assert "Across kernels" in allowed["caveat"]
    job = Job((guest,), "markov", 0, "task", SPLIT, tmp_path, test_tables=(newer,))
    assert job.digest() == Job(**{**vars(job), "across_kernels": True}).digest()


def test_several_kernels_are_never_pooled_on_one_side(guest: Path, newer: Path, model: Path, tmp_path: Path) -> None:
    for pool in (
        lambda: recordings([guest, newer]),
        lambda: trained(tmp_path / "out", guest, newer),
        lambda: trained(tmp_path / "out", guest, test_tables=(guest, newer), across_kernels=True),
        lambda: predict.scores(model, [guest, newer], across_kernels=True),
    ):
        with pytest.raises(StreamError, match="recordings of several kernels"):
            pool()


def test_a_kernel_that_is_not_known_is_named_beside_the_scores(model: Path, guest: Path, tmp_path: Path) -> None:
    unnamed = with_header(guest, tmp_path / "unnamed", os_release=None)
    wanted = "The kernel of unnamed (perf.data does not name it) is not known: record the kernel, too"
    assert predict.scores(model, [unnamed])["caveat"].startswith(wanted)
    assert scores_of(trained(tmp_path / "pooled", guest, unnamed))["caveat"].startswith(wanted)
    alone = scores_of(trained(tmp_path / "alone", unnamed))
    assert alone["caveat"] is None
    assert alone["notes"][0].startswith(wanted)


def test_a_text_names_its_kernel_if_it_was_printed_with_its_header(model: Path, guest: Path, tmp_path: Path) -> None:
    command = ["perf", "script", "--ns", "-i", str(guest.parent / "perf.data")]
    for name, options in (("short", []), ("headed", ["--header"])):
        printed = subprocess.run([*command, *options], check=True, capture_output=True, timeout=LIMIT_S).stdout
        (tmp_path / f"{name}.txt").write_bytes(printed)
        import_text(tmp_path / f"{name}.txt", tmp_path / name)
    unnamed = predict.scores(model, [tmp_path / "short"])["caveat"]
    assert unnamed.startswith("The kernel of short (short.txt does not name it) is not known: ")
    assert predict.scores(model, [tmp_path / "headed"])["caveat"] is None
    assert provenance.of_recording(tmp_path / "headed").kernel == OF_GUEST


def test_a_recording_is_known_again_under_another_name_and_compressed(
    model: Path, guest: Path, newer: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "other.data.gz"
    packed.write_bytes(gzip.compress((guest.parent / "perf.data").read_bytes()))
    convert(packed, tmp_path / "renamed", tables=("slices", "switches"))
    assert provenance.of_recording(tmp_path / "renamed").recording == "other.data.gz"
    assert predict.scores(model, [tmp_path / "renamed"])["also_learned_from"] == ["renamed"]
    assert predict.scores(model, [tmp_path / "renamed"], 0.15)["also_learned_from"] == []
    assert predict.scores(model, [newer], across_kernels=True)["also_learned_from"] == []
    scores = scores_of(trained(tmp_path / "out", guest, test_tables=(tmp_path / "renamed",)))
    assert scores["caveat"] == "Tested on what was learned from: renamed (the same recording, by its SHA-256)."


def test_a_model_of_a_version_that_kept_no_kernel_is_named(model: Path, guest: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(model, tmp_path / "old"))
    forget_recordings(old)
    caveat = "The kernel that the model was trained on is not known: an older version trained it; train it again."
    assert predict.scores(old, [guest])["caveat"] == caveat


def test_an_old_model_in_its_run_is_known_by_its_trials(guest: Path, newer: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trial = Path(shutil.copytree(guest, run / "trials" / "000_a"))
    (run / "manifest.json").write_text("{}")
    old = trained(run / "models" / "markov_s0", trial)
    forget_recordings(old)
    assert predict.scores(old, [guest])["caveat"] is None
    with pytest.raises(StreamError, match=rf"{old} is of Linux {OF_GUEST}"):
        predict.scores(old, [newer])


def forget_recordings(model: Path) -> None:
    """Make a model one of a version that kept no provenance."""
    config = json.loads((model / checkpoint.CONFIG).read_bytes())
    del config["about"]["recordings"]
    (model / checkpoint.CONFIG).write_text(json.dumps(unsealed(config)))


def test_a_recording_that_was_not_whole_is_named_beside_its_scores(guest: Path, model: Path, tmp_path: Path) -> None:
    recording, cut = guest.parent / "perf.data", tmp_path / "cut.data"
    cut.write_bytes(recording.read_bytes()[:300_000])
    convert(cut, tmp_path / "cut", formats_from=recording)
    known = provenance.of_recording(tmp_path / "cut")
    assert known.whole is False
    assert known.damage
    assert "cut" in known.damage
    for scores in (scores_of(trained(tmp_path / "out", tmp_path / "cut")), predict.scores(model, [tmp_path / "cut"])):
        assert f"Not whole: cut ({known.damage})." in scores["caveat"]
    assert "Not whole: cut (" in predict.scores(tmp_path / "out", [guest])["caveat"]
