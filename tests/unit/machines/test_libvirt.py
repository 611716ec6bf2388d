"""What is read from virsh's output; the contract and e2e tests run the real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import MachineError
from harness.machines import libvirt
from harness.processes import ProcessResult

LEASE = """ Name       MAC address          Protocol     Address
-------------------------------------------------------------------------------
 vnet9      52:54:00:bb:1f:c5    ipv4         192.168.122.123/24
"""
OVERLAY = """<volume type='file'><name>harness-1-guest.img</name><physical unit='bytes'>197120</physical>
<backingStore><path>/pool/the box.img</path><format type='qcow2'/></backingStore></volume>"""

Answer = Callable[[str, bool], None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let virsh print this and succeed or fail."""

    def set_answer(text: str, ok: bool = True) -> None:
        result = ProcessResult(("virsh",), 0 if ok else 1, text, 0.1, False)
        monkeypatch.setattr(libvirt, "virsh", lambda *_, **__: result)

    return set_answer


def test_the_address_is_the_one_that_was_leased(answer: Answer) -> None:
    answer(LEASE, True)
    assert libvirt.address("guest") == "192.168.122.123"


@pytest.mark.parametrize(("text", "ok"), [("", True), ("error: failed to get domain 'guest'", False)])
def test_a_machine_without_a_lease_has_no_address(answer: Answer, text: str, ok: bool) -> None:
    answer(text, ok)
    assert libvirt.address("guest") is None


def test_the_disk_of_a_machine_is_its_first_one(answer: Answer) -> None:
    answer(" Target   Source\n-----------\n vda      /pool/harness-1-guest.img\n vdb   /pool/other.img\n", True)
    assert libvirt.disk_volume("guest") == "harness-1-guest.img"
    answer("error: failed to get domain 'guest'", False)
    with pytest.raises(MachineError, match="no disk"):
        libvirt.disk_volume("guest")


def test_a_domain_that_does_not_exist_has_no_state(answer: Answer) -> None:
    answer("shut off\n\n", True)
    assert libvirt.state("guest") == "shut off"
    answer("error: failed to get domain 'guest'", False)
    assert libvirt.state("guest") == ""


def test_the_disks_of_machines_are_those_with_the_box_as_backing_file(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = ["harness-VAGRANTSLASH-debian-12-0123_vagrant_box_image_1.0.0_box.img", "harness-debian-12-0123-initrd"]
    monkeypatch.setattr(libvirt, "volumes", lambda: ["harness-1-guest.img", "of-others.img", *copies])
    answer(OVERLAY, True)
    assert libvirt.overlays(["the box.img"]) == ["harness-1-guest.img"]
    assert libvirt.overlays(["another.img"]) == []
    answer("error: no such volume", False)  # it was removed in the meantime
    assert libvirt.overlays(["the box.img"]) == []
