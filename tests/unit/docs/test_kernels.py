"""docs/kernels.md: its errors are the real ones, and its forms of a kernel are read."""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import kernel_files
import pytest
from locations import DATA, ROOT

from harness import spec
from harness.errors import MachineError, SpecError
from harness.machines import boot_console
from harness.spec.kernel_settings import SchedSpec

TEXT = (ROOT / "docs" / "kernels.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
HOME = "/home/me"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the page names."""
    (tmp_path / "linux" / "modules").mkdir(parents=True)
    (tmp_path / "linux" / "vmlinux").write_bytes(b"\x7fELF" + bytes(5000))
    return tmp_path


def error_of(folder: Path, text: str) -> str:
    name = text.split("\n", 1)[0].removeprefix("name: ")
    (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        spec.load(folder / f"{name}.yaml")
    return str(caught.value).replace(f"{folder / name}.yaml", f"{name}.yaml").replace(str(folder), HOME)


def test_the_errors_of_an_experiment_file_are_the_real_ones(folder: Path) -> None:
    files = [body for kind, body in BLOCKS if kind == "yaml" and body.startswith("name: ")]
    shown = [body.strip() for kind, body in BLOCKS if not kind]
    for text in files:
        assert error_of(folder, text) in shown


def test_the_error_of_a_boot_is_the_one_that_a_real_console_leads_to() -> None:
    console = lzma.decompress((DATA / "consoles" / "debian_12_initramfs.log.xz").read_bytes()).decode(errors="replace")
    end = boot_console.dead_end(console)
    assert end is not None
    what = f"the machine did not come up: {end.what}; {boot_console.account(console)}"
    assert f"\n```\n{MachineError(what, hint=end.hint)}\n```\n" in TEXT


def test_each_form_of_a_kernel_is_one_that_is_read(folder: Path) -> None:
    block = next(body for kind, body in BLOCKS if kind == "yaml" and body.startswith("machine: "))
    kernel_files.image(folder / "linux" / "arch" / "x86" / "boot" / "bzImage")
    kernel_files.modules(folder / "linux" / "modules")
    deb = kernel_files.deb(folder, "linux-image-6.12.30")
    deb.rename(folder / "linux-image-6.12.30_6.12.30-1_amd64.deb")
    for number, machine in enumerate(block.splitlines()):
        path = folder / f"{number}.yaml"
        path.write_text(f"name: one\n{machine}\nload: {{kind: idle}}\n")
        assert spec.load(path).machine.box == "debian-12"


def test_every_setting_of_the_scheduler_is_in_the_table() -> None:
    table = TEXT.split("| key of `sched` |", 1)[1].split("\n\n", 1)[0]
    named = {name for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(SchedSpec.model_fields) <= named
