"""The forms of `machine.kernel` that put another kernel into a box, and what can be said of one from its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from pydantic import Field

from harness import kernel_files
from harness.kernel_files import NotAKernelError
from harness.named_files import ExistingFile, ExistingFolder, own_path
from harness.spec.section import Section

KEYS = "{image, modules}, {deb} or {suite, package}"
FORMS = f"a release such as 6.1.0-37-amd64, {KEYS}"


class ImageKernel(Section):
    """A kernel as `make bzImage modules` leaves it, put into the box."""

    image: ExistingFile = Field(description="The kernel: arch/x86/boot/bzImage of a build.")
    modules: ExistingFolder | None = Field(
        None,
        description="The folder that holds lib/modules/RELEASE, filled by `make modules_install INSTALL_MOD_PATH=...`; "
        "null for a kernel without modules.",
    )

    def __str__(self) -> str:
        return f"image {PurePath(self.image).name} with{'' if self.modules else 'out'} modules"

    def release(self) -> str:
        """Return the release in the image. Raises NotAKernelError, also for modules that are not of it."""
        release = kernel_files.image_release(Path(self.image))
        if self.modules:
            kernel_files.require_modules(Path(self.modules), release)
        return release


class DebKernel(Section):
    """A kernel as `make bindeb-pkg` packs it, installed in the box."""

    deb: ExistingFile = Field(description="The package: linux-image-*.deb.")

    def __str__(self) -> str:
        return f"package {PurePath(self.deb).name}"

    def release(self) -> str:
        """Return the release in the name of the package. Raises NotAKernelError."""
        return kernel_files.deb_release(Path(self.deb))


class SuiteKernel(Section):
    """A kernel of another suite of the box's distribution, installed with what it needs from there."""

    suite: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60, description="The suite, such as bookworm-backports."
    )
    package: str = Field(
        pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=120, description="The package, such as linux-image-cloud-amd64."
    )

    def __str__(self) -> str:
        return f"{self.package} of {self.suite}"

    def release(self) -> str | None:
        """Return the release if the package is named after it; None if only the archive knows."""
        return kernel_files.release_in_name(self.package)


KernelForm = ImageKernel | DebKernel | SuiteKernel
FORM_KINDS = (ImageKernel, DebKernel, SuiteKernel)


def as_form(value: Any) -> Any:
    """Return the form that a mapping is; null and a release as they are. Raises ValueError, ValidationError."""
    if isinstance(value, dict):
        forms = [form for form in FORM_KINDS if value.keys() & form.model_fields.keys()]
        if len(forms) > 1:
            raise ValueError(f"the keys of one form: {KEYS}")
        if forms:
            return forms[0].model_validate(value)
    elif value is None or isinstance(value, KernelForm) or _is_release(value):
        return value
    raise ValueError(FORMS)


def _is_release(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(kernel_files.RELEASE, value) is not None


def problems(form: KernelForm) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with the files of a form: the key, what, and what was expected."""
    try:
        form.release()
    except NotAKernelError as error:
        yield error.key, str(error), error.expected
    except OSError:
        return  # a path that names nothing is a problem of its own


def short_name(value: Any) -> str:
    """Return a name for the arm of a swept machine.kernel, from its plain value alone: the build, not its folder."""
    form = as_form(value)
    if isinstance(form, SuiteKernel):
        return f"{form.suite}-{form.package.removeprefix('linux-image-')}"
    if isinstance(form, DebKernel):
        package, _, version = PurePath(form.deb).stem.removesuffix("_amd64").partition("_")
        release = package.removeprefix("linux-image-")
        return version if version.startswith(release) else f"{release}-{version}".rstrip("-")
    if isinstance(form, ImageKernel):
        return re.sub(r"^(bzImage|vmlinuz)-", "", own_path(PurePath(form.image)).parts[0])
    return "own" if form is None else str(form)
