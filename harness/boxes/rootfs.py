"""The commands that build a box and the files that they use: all that decides its content. Nothing is run here."""

from __future__ import annotations

import io
import shlex
import tarfile
from pathlib import Path

from harness import paths
from harness.boxes.kernel import BoxKernel
from harness.boxes.recipes import Recipe, folder
from harness.errors import BoxError

KEYRINGS = Path("/usr/share/keyrings")
COMMAND_LINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 biosdevname=0"
# Man pages, translations and most documentation are of no use in a guest that lives for minutes.
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/lintian/*")


def command(
    recipe: Recipe, *, keys: Path, guest: Path, work: Path, locked: bool = False, kernel: BoxKernel | None = None
) -> list[str]:
    """Return the mmdebstrap command that builds `recipe`, with another `kernel`, and verifies packages with `keys`.

    `guest` holds the scripts; `work` has tmp/, out/, roles/ and root.tar, in a `locked` build also lock and
    preferences, for another kernel its files. No mirror is named: mmdebstrap knows those of a suite, its updates and
    its security suite. It also chooses its mode: `root` for root, `unshare` (user namespaces) for other users.
    """
    quoted = {name: shlex.quote(str(guest / name)) for name in ("finish.sh", "image.sh", "lock.sh")}
    look, install = kernel.hooks(work) if kernel else ([], [])
    packages = recipe.packages_without_kernel() if kernel else recipe.all_packages()
    # os-release of Debian's unstable has no VERSION_ID, by which image.sh finds the packages of the roles.
    version = f"VERSION_ID={recipe.suite} " if recipe.suite == "sid" else ""
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=null",
        "--architectures=amd64",
        f"--components={','.join(recipe.components)}",
        f"--keyring={keys}",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in left_out(recipe)),
        "--dpkgopt=force-confold",  # our sshd_config was there first and stays
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        *look,
        *([f'--setup-hook=sh {quoted["lock.sh"]} "$1" {shlex.quote(str(work))}'] if locked else []),
        f"--essential-hook=tar-in {shlex.quote(str(work / 'root.tar'))} /",
        *install,
        f"--customize-hook=upload {quoted['finish.sh']} /finish.sh",
        '--customize-hook=chroot "$1" sh /finish.sh && rm "$1/finish.sh"',
        f'--customize-hook={version}sh {quoted["image.sh"]} "$1" {shlex.quote(str(work))} {recipe.disk_gb}G',
        recipe.suite,
        "/dev/null",
    ]


def left_out(recipe: Recipe) -> list[str]:
    """Return the files that are not unpacked. dash of Ubuntu 18.04 cannot be installed without the man page of sh."""
    return [
        pattern for pattern in LEFT_OUT if recipe.distribution == "debian" or not pattern.startswith("/usr/share/man/")
    ]


def compression(disk: Path, image: Path) -> list[str]:
    """Return the qemu-img command that compresses the raw `disk` into the qcow2 `image`."""
    options = ["-c", "-W", "-m", "4", "-O", "qcow2", "-o", "compression_type=zstd"]
    return ["qemu-img", "convert", *options, str(disk), str(image)]


def keyring(recipe: Recipe, keyrings: Path = KEYRINGS) -> Path:
    """Return the file of keys that verify this suite: the system's, else the one that setup.sh fetched.

    Raises BoxError, before any download, when there is neither.
    """
    for folder_of_keys in (keyrings, paths.cache_dir() / "keyrings"):
        if (path := folder_of_keys / recipe.keyring).is_file():
            return path
    package = f"{recipe.distribution}-archive-keyring" if recipe.distribution == "debian" else "ubuntu-keyring"
    where = {
        "debian": "it is in every Debian and Ubuntu release",
        "ubuntu": "it is in every Ubuntu release, in Debian 13 and in bookworm-backports, not in Debian 12 itself",
    }[recipe.distribution]
    ours = paths.cache_dir() / "keyrings"
    install = {
        "debian": f"apt-get install {package}",
        "ubuntu": "./setup.sh fetches them where Debian's archive answers; else copy "
        f"{KEYRINGS / recipe.keyring} of an Ubuntu or Debian 13 machine to {ours}/",
    }
    raise BoxError(
        f"the box {recipe.name!r} cannot be built: the keys that verify {recipe.suite} are missing",
        where=str(keyrings / recipe.keyring),
        expected=f"the package {package} ({where})",
        hint=f"{install[recipe.distribution]}; or take another machine: --machine debian-12",
    )


def scripts() -> list[Path]:
    """Return the scripts of a build, in a fixed order."""
    return sorted([*folder().glob("*.sh"), *folder().glob("*.awk")])


def overlay() -> bytes:
    """Return a tar of the guest's own files; owner (root) and modes do not depend on the checkout."""
    source, packed = folder() / "root", io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.addfile(_entry(path, source), io.BytesIO(path.read_bytes()))
    return packed.getvalue()


def _entry(path: Path, source: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"./{path.relative_to(source)}")
    entry.size = path.stat().st_size
    entry.mode = _mode(entry.name)
    entry.uname = entry.gname = "root"
    return entry


def _mode(name: str) -> int:
    if "/sbin/" in name:
        return 0o755
    return 0o440 if "/sudoers.d/" in name else 0o644
