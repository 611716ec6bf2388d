"""A hostile guest's answers: each is taken with the right types, or refused with a reason; none is a defect."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import forged_answers
import pytest
from fake_host import RECORDING, RESULT, FakeHost, carry_out
from forge import Forge

from harness import files
from harness.errors import TrialError
from harness.guest import result

EVERY = 6  # of the forgeries: a number that shares no factor with those of one place


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sync", lambda path: None)  # of a thousand logs of consoles


@pytest.mark.slow
def test_every_forged_answer_is_accepted_or_refused(tmp_path: Path) -> None:
    forgeries = itertools.islice(forged_answers.answers(), 0, None, EVERY)
    outcomes = [
        forged_answers.carry_out(forged, tmp_path / str(number) / "000_nginx_ab").state
        for number, (_, forged) in enumerate(forgeries)
    ]
    assert len(outcomes) > 1000
    assert outcomes.count(forged_answers.ACCEPTED) > 50
    assert outcomes.count(forged_answers.REFUSED) > 700


def test_the_answer_of_a_real_guest_is_accepted_unchanged() -> None:
    real = json.loads(RESULT.read_bytes())
    assert result.trial_result(result.parse(RESULT.read_text(), "guest"), "guest") == real


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1, "a": 2}', "a key is given twice"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "4300"),
        ('{"a": ', "line 1"),
    ],
)
def test_what_is_wrong_with_the_json_is_named(text: str, why: str) -> None:
    with pytest.raises(TrialError, match=why) as caught:
        result.parse(text, "guest")
    assert str(caught.value).startswith("guest: the guest's answer is not one of the guest script")


def test_the_wrong_key_is_named() -> None:
    real = json.loads(RESULT.read_bytes())
    real["facts"]["tasks"]["before"][1]["nice"] = "low"
    with pytest.raises(TrialError, match=r"facts\.tasks\.before\.1\.nice: Input should be a valid integer"):
        result.trial_result(real, "guest")


@pytest.mark.parametrize(
    "output",
    ["Complete requests: " + "9" * 5000, "Requests per second: " + "9" * 400, "Complete requests: " + "9" * 30],
)
def test_a_load_that_measured_what_cannot_be_is_refused(output: str, tmp_path: Path) -> None:
    host = FakeHost()
    host.replace("load.txt", output.encode())
    with pytest.raises(TrialError, match=r"load\.txt"):
        carry_out(host, tmp_path)


def test_a_recording_that_is_packed_or_none_is_refused(tmp_path: Path) -> None:
    packed = Forge(more_features={27: bytes(20)}).write([])
    unfinished = RECORDING[:72] + bytes(32) + RECORDING[104:]
    for number, content in enumerate([b"", b"\x28\xb5\x2f\xfd bomb", RECORDING[:100], packed, unfinished]):
        host = FakeHost()
        host.replace("perf.data", content)
        with pytest.raises(TrialError, match=r"perf\.data is no recording"):
            carry_out(host, tmp_path / str(number))
        assert not (tmp_path / str(number) / "perf.data").exists()
