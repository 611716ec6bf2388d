"""A recipe describes one guest image: one YAML file in `vagrant/boxes/`."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import paths
from harness.errors import SpecError, UsageError
from harness.kernel_files import NotAKernelError

if TYPE_CHECKING:
    from harness.spec.kernels import KernelForm

# Every guest gets these: an init, SSH, and what Ansible and a trial need.
BASE_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "kmod", "procps", "iproute2", "netbase", "ca-certificates", "openssh-server",
    "sudo", "python3", "python3-apt", "initramfs-tools",
)  # fmt: skip


class Kernel(BaseModel):
    """The kernel package; `release` is the regular expression that `uname -r` must match as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    modules: str | None = None
    release: re.Pattern[str]


class Recipe(BaseModel):
    """One guest image. `booted_in_tests` is true when the project's own tests boot it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    distribution: Literal["debian", "ubuntu"]
    suite: str = Field(pattern=r"^[a-z]+$")
    components: tuple[str, ...]
    keyring: str = Field(pattern=r"^[A-Za-z0-9.-]+\.gpg$")
    kernel: Kernel
    packages: tuple[str, ...] = ()
    disk_gb: int = Field(ge=2, le=200)
    booted_in_tests: bool

    def all_packages(self) -> tuple[str, ...]:
        """Return everything to install on top of the distribution's minimal base, each package once."""
        kernel = (self.kernel.package, self.kernel.modules)
        return tuple(dict.fromkeys([*self.packages_without_kernel(), *(name for name in kernel if name)]))

    def packages_without_kernel(self) -> tuple[str, ...]:
        """Return what to install in a box that gets another kernel."""
        return tuple(dict.fromkeys([*BASE_PACKAGES, *self.packages]))

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that this recipe says; a comment or the order of its keys does not change it."""
        content = [self.model_dump(mode="json"), self.all_packages()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def matches_kernel(self, release: str) -> bool:
        """Return whether the output of `uname -r` is the kernel that this recipe asks for."""
        return self.kernel.release.fullmatch(release) is not None

    def kernel_version(self) -> tuple[int, int] | None:
        """Return major and minor release of the kernel; None if the recipe leaves them open."""
        match = re.match(r"(\d+)\\\.(\d+)(?=\\\.|-|$)", self.kernel.release.pattern)
        return (int(match[1]), int(match[2])) if match else None


def folder() -> Path:
    """Return the folder of the recipes."""
    return paths.data_dir("vagrant") / "boxes"


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def recipe(name: str) -> Recipe:
    """Return the recipe of this name. Raises UsageError for an unknown name, SpecError when the file is wrong."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        raise UsageError(
            f"there is no box recipe {name!r}",
            where=str(folder()),
            expected=f"one of {', '.join(names())}, or a ready-made box as NAMESPACE/NAME",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    return read(folder() / f"{name}.yaml")


def kernel_version(box: str, kernel: str | KernelForm | None = None) -> tuple[int, int] | None:
    """Return major and minor release of a box with this machine.kernel; None if only the booted machine can tell."""
    if kernel is None:
        return recipe(box).kernel_version() if box in names() else None
    try:
        release = kernel if isinstance(kernel, str) else kernel.release()
    except (NotAKernelError, OSError):  # a problem of its own
        return None
    numbers = re.match(r"(\d+)\.(\d+)", release or "")
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def read(path: Path) -> Recipe:
    """Parse one recipe file. Raises SpecError with file:line:column."""
    from harness.spec import document, problems  # slow to import, and not needed for the names of the recipes

    content = document.parse(document.read_text(path), str(path), "name, distribution, suite, ...")
    try:
        recipe = Recipe.model_validate(content.data)
    except ValidationError as error:
        raise problems.as_error(problems.from_pydantic(error, (), _known_keys), content) from None
    if recipe.name != path.stem:
        raise SpecError(
            f"the recipe's name is {recipe.name!r}",
            where=content.position(("name",)),
            expected=f"the name of its file, {path.stem!r}",
        )
    return recipe


def _known_keys(section: tuple[str | int, ...]) -> dict[str, str]:
    """Return the keys of a section, each with what to write there."""
    fields = Kernel.model_fields if section == ("kernel",) else {} if section else Recipe.model_fields
    return dict.fromkeys(fields, "a value as in vagrant/boxes/debian-12.yaml")
