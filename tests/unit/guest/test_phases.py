"""A trial followed on the console and the clock of a scripted guest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_guest import ScriptedGuest

from harness.errors import LostMachineError, MachineError, TrialError
from harness.guest import monitor
from harness.guest.monitor import RUNNING, Condition
from harness.guest.phases import GuestTime, Phases

LABEL = "000_nginx_ab-a1"
LIMITS = {"recording": 60.0, "recorded": 100.0, "done": 60.0}


def line(phase: str, label: str = LABEL) -> str:
    return f"\r\nharness-trial {label} {phase}\r\n"


def follow(guest: ScriptedGuest, phases: Phases | None = None) -> tuple[list[tuple[str, float]], str | None]:
    """Follow a trial; return each phase with the host's time of its call, and why the wait was given up."""
    heard: list[tuple[str, float]] = []
    phases = phases or phases_of(guest)
    late = phases.follow(LIMITS, lambda phase, late_s: heard.append((phase, guest.now)), lambda *_: None)
    return heard, late


def lateness(guest: ScriptedGuest) -> dict[str, float]:
    """Follow a trial; return how late each phase may have been seen."""
    late: dict[str, float] = {}
    phases_of(guest).follow(LIMITS, late.__setitem__, lambda *_: None)
    return late


def phases_of(guest: ScriptedGuest, pace: Callable[[], float] | None = None) -> Phases:
    where, pace = "guest (vagrant@host:22)", pace or guest.clock
    return Phases(guest, LABEL, where, clock=guest.clock, pace=pace, sleep=guest.sleep)


def test_each_phase_is_reported_within_50_ms_of_its_line() -> None:
    guest = ScriptedGuest(
        {0.0: "[    0.000000] boot\r\n", 7.02: line("recording"), 57.4: line("recorded"), 60: line("done")}
    )
    heard, late = follow(guest)
    assert [phase for phase, _ in heard] == ["recording", "recorded", "done"]
    assert [when for _, when in heard] == pytest.approx([7.02, 57.4, 60], abs=0.0501)
    assert late is None


def test_the_console_is_read_only_when_it_has_grown_and_the_clock_asked_at_most_every_2_s() -> None:
    guest = ScriptedGuest({10: line("recording"), 60: line("recorded"), 62: line("done")})
    follow(guest)
    assert len(guest.readings) == 4  # once at the beginning
    gaps = [later - earlier for earlier, later in zip(guest.clock_asked, guest.clock_asked[1:], strict=False)]
    assert min(gaps) >= 2


def test_lines_of_another_attempt_and_lines_from_before_are_not_this_trials() -> None:
    before = {0.0: line("recording") + line("done"), 1.0: line("done", "000_nginx_ab-a11"), 2.0: line("recorded", "x")}
    guest = ScriptedGuest({**before, 9.0: line("done")})
    heard, _ = follow(guest)
    assert heard == [("done", pytest.approx(9.0, abs=0.06))]


@pytest.mark.parametrize("stamp", ["[   71.123456]", "[   71.123456][    T1]", "[   71.123456][   C12]"])
def test_a_line_that_a_kernel_message_interrupts_is_read(stamp: str) -> None:
    cut = f"\r\nharness-trial 000_nginx_ab-a1 reco{stamp} clocksource: Long readout interval\r\nrding\r\n"
    heard, _ = follow(ScriptedGuest({5: cut, 9: line("done")}))
    assert [phase for phase, _ in heard] == ["recording", "done"]


def test_a_line_that_arrives_in_two_pieces_is_read_when_it_is_complete() -> None:
    guest = ScriptedGuest({5: "\r\nharness-trial 000_nginx_ab-a1 record", 5.2: "ed\r\n", 9: line("done")})
    heard, _ = follow(guest)
    assert heard[0] == ("recorded", pytest.approx(5.2, abs=0.15))


def test_a_console_full_of_other_messages_is_read_ever_more_seldom_and_the_phases_are_not_missed() -> None:
    noise = {1 + n / 20: f"[  {n}.000000] nothing of interest\r\n" for n in range(1, 1100)}
    guest = ScriptedGuest({**noise, 10.013: line("recording"), 40.013: line("recorded"), 50.013: line("done")})
    heard, _ = follow(guest)
    assert [when for _, when in heard] == pytest.approx([10, 40, 50], abs=1.1)
    assert len(guest.readings) < 100


def test_a_console_that_was_cut_off_at_its_beginning_is_read_wholly() -> None:
    class Rotating(ScriptedGuest):
        def _text(self) -> str:
            return super()._text() if self.now < 5 else super()._text()[500:]

    guest = Rotating({0.0: "x" * 500, 8: line("recording"), 9: line("done")})
    heard, _ = follow(guest)
    assert [phase for phase, _ in heard] == ["recording", "done"]


def test_a_trial_that_fails_before_it_records_is_over_with_its_last_line() -> None:
    heard, late = follow(ScriptedGuest({3: line("done") + line("done")}))
    assert ([phase for phase, _ in heard], late) == (["done"], None)


def test_a_guest_that_its_host_keeps_waiting_has_its_limits_in_its_own_seconds() -> None:
    slow = {400: line("recording"), 900: line("recorded"), 1000: line("done")}
    heard, late = follow(ScriptedGuest(slow, pace=0.1))
    assert (len(heard), late) == (3, None)
    heard, late = follow(ScriptedGuest(slow, pace=None))
    assert (heard, late is not None) == ([], True)


def test_a_limit_that_has_passed_names_the_phase_the_guests_seconds_and_the_end_of_the_console() -> None:
    guest = ScriptedGuest({2: line("recording"), 3: "[   80.000000] nginx: killed\r\n"}, pace=0.5)
    _, late = follow(guest)
    assert late is not None
    assert "for `harness-trial 000_nginx_ab-a1 recorded`" in late
    assert "waited 101 guest s" in late
    assert "nginx: killed" in late
    assert guest.now == pytest.approx(204, abs=4)


def test_a_guest_whose_clock_stands_still_is_given_up_without_a_connection() -> None:
    guest = ScriptedGuest({2: line("recording")}, stops_at=30)
    with pytest.raises(TrialError, match=r"no progress for 12\d s: the guest's clock stands still") as caught:
        follow(guest)
    assert "waited 28 guest s for `harness-trial 000_nginx_ab-a1 recorded`" in str(caught.value)
    assert guest.now < 160


def test_a_guest_that_works_at_a_tiny_share_of_a_cpu_has_not_stopped() -> None:
    slow = ScriptedGuest({1000: line("recording"), 9000: line("recorded"), 9100: line("done")}, pace=1 / 140)
    heard, late = follow(slow, phases_of(slow, pace=lambda: slow.now / 100))
    assert (len(heard), late) == (3, None)


def test_a_guests_clock_that_could_not_be_read_at_first_is_asked_again() -> None:
    class Deaf(ScriptedGuest):
        def guest_seconds(self) -> float | None:
            return None if self.now < 5 else super().guest_seconds()

    guest = Deaf({}, pace=0.5, stops_at=30)
    passed = GuestTime(guest, guest.clock, guest.clock)
    assert passed.unit == "s"
    seen = []
    for _ in range(100):
        guest.sleep(1.0)
        seen.append(passed.passed_s())
    assert seen[:6] == [1, 2, 3, 4, 5, 6]  # the host's seconds, until the clock is known
    assert passed.unit == "guest s"
    assert passed.passed_s() == pytest.approx(6 + 0.5 * (30 - 6), abs=1.5)
    assert passed.stalled_s() == pytest.approx(70, abs=3)


class Silent(ScriptedGuest):
    """A guest whose clock cannot be read for a while, because its hypervisor's daemon does not answer."""

    silent_from, silent_to = 3.0, 160.0

    def guest_seconds(self) -> float | None:
        shown = super().guest_seconds()
        return None if self.silent_from <= self.now < self.silent_to else shown


def test_a_clock_that_cannot_be_read_does_not_stand_still_and_the_pace_counts_meanwhile() -> None:
    guest = Silent({})
    passed = GuestTime(guest, guest.clock, guest.clock)
    for second in range(1, 170):
        guest.sleep(1.0)
        assert passed.passed_s() == pytest.approx(second, abs=3)
        assert passed.stalled_s() == 0.0
    assert passed.unit == "guest s"


def test_a_guest_whose_clock_cannot_be_read_any_more_is_given_up_by_its_limits() -> None:
    guest = Silent({2: line("recording")})
    guest.silent_to = float("inf")
    _, late = follow(guest)
    assert "for `harness-trial 000_nginx_ab-a1 recorded`" in str(late)
    assert guest.now == pytest.approx(102, abs=4)


def test_a_phase_is_reported_before_the_guests_clock_is_asked() -> None:
    class Slow(ScriptedGuest):
        def guest_seconds(self) -> float | None:
            shown = super().guest_seconds()
            self.now += 1.5 if self.readings else 0.0  # of a call of the hypervisor on a busy host
            return shown

    guest = Slow({9.5: line("recording"), 20: line("recorded"), 30: line("done")})
    heard, _ = follow(guest)
    assert [when for _, when in heard] == [reading for reading in guest.readings if reading]


class Blocked(ScriptedGuest):
    """A guest whose clock takes 3 s to be read the first time after it was asked at the beginning."""

    def guest_seconds(self) -> float | None:
        shown = super().guest_seconds()
        self.now += 3.0 if len(self.clock_asked) == 2 else 0.0
        return shown


def test_a_beginning_that_is_seen_together_with_its_end_is_not_reported() -> None:
    heard, _ = follow(Blocked({2.2: line("recording"), 4.2: line("recorded"), 9.0: line("done")}))
    assert [phase for phase, _ in heard] == ["recorded", "done"]


def test_an_end_that_is_seen_together_with_the_last_line_is_reported() -> None:
    heard, _ = follow(Blocked({1.0: line("recording"), 2.2: line("recorded"), 4.2: line("done")}))
    assert [phase for phase, _ in heard] == ["recording", "recorded", "done"]


def test_a_call_of_the_hypervisor_that_takes_long_makes_a_phase_late() -> None:
    late = lateness(Blocked({2.2: line("recording"), 20.0: line("recorded"), 30.0: line("done")}))
    assert late["recording"] == pytest.approx(3.0, abs=0.01)
    assert (late["recorded"], late["done"]) == (pytest.approx(0.0, abs=0.001), pytest.approx(0.0, abs=0.001))


def test_a_copy_of_the_console_that_takes_long_makes_a_phase_late() -> None:
    class Slow(ScriptedGuest):
        def console(self) -> str:
            shown = super().console()
            self.now += 1.5
            return shown

    late = lateness(Slow({2.2: line("recording"), 20.0: line("recorded"), 30.0: line("done")}))
    assert list(late.values()) == pytest.approx([1.5, 1.5, 1.5], abs=0.001)


def test_a_console_to_which_others_write_is_read_more_seldom_and_its_phases_are_late() -> None:
    noise = {1 + n / 20: f"[  {n}.000000] nothing of interest\r\n" for n in range(1, 1100)}
    late = lateness(ScriptedGuest({**noise, 10.013: line("recording"), 40.013: line("recorded"), 50: line("done")}))
    assert 0.5 < late["recording"] <= 1.0


def test_a_machine_that_ends_while_a_phase_is_reported_is_an_error_of_the_trial() -> None:
    def ended(phase: str, late_s: float) -> None:
        raise MachineError("the machine does not run any more", where="scripted")

    with pytest.raises(TrialError, match="does not run any more"):
        phases_of(ScriptedGuest({2: line("recording")})).follow(LIMITS, ended, lambda *_: None)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("[   90.000001] Kernel panic - not syncing: Fatal exception\r\n", "the kernel of the guest panicked"),
        ("[    0.000000] Linux version 6.1.0-56-cloud-amd64\r\n", "the guest started again"),
        ("harness-host-key ssh-ed25519 AAAA\r\n", "the guest started again"),
    ],
)
def test_a_panic_and_a_second_start_are_noticed_at_once(text: str, meaning: str) -> None:
    guest = ScriptedGuest({0.0: "[    0.000000] Linux version 6.1.0\r\n", 2: line("recording"), 7: text})
    with pytest.raises(TrialError, match=meaning):
        follow(guest)
    assert guest.now < 9


def test_a_machine_that_has_ended_is_an_error_of_the_trial() -> None:
    with pytest.raises(TrialError, match="does not run any more") as caught:
        follow(ScriptedGuest({2: line("recording")}, ends_at=20))
    assert "recording" in str(caught.value)


def test_a_machine_that_ends_during_the_checks_is_an_error_of_the_trial() -> None:
    with pytest.raises(TrialError, match="does not run any more"):
        phases_of(ScriptedGuest({}, ends_at=3)).require_check()


def test_the_message_of_the_checks_proves_that_the_console_arrives() -> None:
    guest = ScriptedGuest({2: line("check"), 5: line("recording"), 9: line("done")})
    phases = phases_of(guest)
    phases.require_check()
    assert guest.now == pytest.approx(2, abs=0.06)
    assert [phase for phase, _ in follow(guest, phases)[0]] == ["recording", "done"]


def test_a_console_that_does_not_arrive_is_named_with_what_was_expected() -> None:
    with pytest.raises(TrialError, match="nothing that the guest wrote on its serial console arrived") as caught:
        phases_of(ScriptedGuest({})).require_check()
    assert "harness-trial 000_nginx_ab-a1 check" in str(caught.value)
    assert "/dev/ttyS0" in str(caught.value)


def test_a_guest_that_sets_its_clock_does_not_reach_a_limit_by_it() -> None:
    guest = ScriptedGuest({})
    passed = GuestTime(guest, guest.clock, guest.clock)
    for forward in (0.0, 3600.0, -7200.0, 0.0):
        guest.sleep(2.0)
        guest.guest_seconds = lambda shown=1e9 + guest.now + forward: shown  # type: ignore[method-assign,misc]
        passed.passed_s()
    assert passed.passed_s() <= 4 * 40


def test_what_is_shown_has_the_seconds_of_the_guest_and_of_the_host() -> None:
    guest = ScriptedGuest({10: line("recording"), 50: line("recorded"), 60: line("done")}, pace=0.5)
    shown: list[tuple[str, float, float, str]] = []
    phases_of(guest).follow(LIMITS, lambda phase, late_s: None, lambda *all_of_it: shown.append(all_of_it))
    _, guest_s, host_s, unit = next(row for row in reversed(shown) if row[0] == "recorded")
    assert (guest_s, host_s, unit) == (pytest.approx(20, abs=2), pytest.approx(40, abs=0.1), "guest s")


def attached(guest: ScriptedGuest) -> Phases:
    return Phases(guest, LABEL, "fake", clock=guest.clock, sleep=guest.sleep, attach=True)


def test_a_trial_that_another_process_began_is_followed_from_where_it_is() -> None:
    guest = ScriptedGuest({1: "Linux version 6.1", 2: line("recording"), 40: line("recorded"), 42: line("done")})
    guest.sleep(10)
    phases = attached(guest)
    assert phases.missed == ["recording"]
    heard, late = follow(guest, phases)
    assert [phase for phase, _ in heard] == ["recording", "recorded", "done"]
    assert late is None


def test_the_phases_of_an_earlier_boot_are_not_those_of_the_guest_that_runs() -> None:
    guest = ScriptedGuest({1: line("recording") + line("recorded") + line("done"), 2: "Linux version 6.1\r\n"})
    guest.sleep(10)
    assert attached(guest).missed == []


def test_a_guest_that_starts_again_while_its_trial_is_followed_has_ended() -> None:
    guest = ScriptedGuest({1: "Linux version 6.1", 2: line("recording"), 20: "harness-host-key ssh-ed25519 AAAA"})
    guest.sleep(10)
    with pytest.raises(TrialError, match="the guest started again"):
        follow(guest, attached(guest))


def test_a_guest_that_floods_its_console_ends_the_trial_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_CONSOLE_BYTES", 1000)
    guest = ScriptedGuest({0.0: "boot", 1.0: line("recording"), 2.0: "x" * 2000})
    with pytest.raises(TrialError, match="floods its serial console"):
        follow(guest)
    assert max(guest.readings) < 2.0
    with pytest.raises(TrialError, match="floods its serial console"):
        phases_of(guest)


def test_a_line_of_kernel_messages_that_never_ends_is_read_at_once() -> None:
    guest = ScriptedGuest({0.0: "boot", 1.0: "[    0.000000] " * 200_000 + "\n".join(map(line, LIMITS))})
    heard, _ = follow(guest)
    assert [phase for phase, _ in heard] == ["recorded", "done"]


@pytest.mark.parametrize("when", [4.0, 30.0, 55.0], ids=["before it records", "while it records", "after it recorded"])
@pytest.mark.parametrize("pace", [1.0, None], ids=["its clock runs on", "its clock cannot be read"])
def test_a_machine_that_has_ended_is_given_up_within_4_s_with_what_became_of_it(
    when: float, pace: float | None
) -> None:
    guest = ScriptedGuest({10: line("recording"), 50: line("recorded"), 90: line("done")}, pace=pace)
    guest.conditions = {when: Condition("ended", "QEMU was killed")}
    with pytest.raises(LostMachineError, match="QEMU was killed; the serial console ends with"):
        follow(guest)
    assert guest.now < when + 4


def test_a_machine_that_is_paused_is_given_up_after_30_s_although_its_clock_runs_on() -> None:
    guest = ScriptedGuest({2: line("recording")})
    guest.conditions = {20.0: Condition("paused", "somebody paused it")}
    with pytest.raises(LostMachineError, match="somebody paused it; nobody resumed it within 30 s"):
        follow(guest)
    assert 50 <= guest.now < 54


def test_a_machine_that_is_resumed_in_time_goes_on() -> None:
    guest = ScriptedGuest({2: line("recording"), 50: line("recorded"), 55: line("done")})
    guest.conditions = {20.0: Condition("paused", "somebody paused it"), 40.0: RUNNING}
    assert len(follow(guest)[0]) == 3


def test_a_hypervisor_that_does_not_answer_ends_no_trial() -> None:
    guest = ScriptedGuest({2: line("recording"), 90: line("recorded"), 95: line("done")})
    guest.conditions = {5.0: Condition("unknown", "libvirtd does not answer")}
    assert len(follow(guest)[0]) == 3


def test_a_machine_that_ends_during_the_checks_is_given_up_with_what_became_of_it() -> None:
    guest = ScriptedGuest({})
    guest.conditions = {3.0: Condition("ended", "QEMU was killed")}
    with pytest.raises(LostMachineError, match="QEMU was killed"):
        phases_of(guest).require_check()
    assert guest.now < 7
