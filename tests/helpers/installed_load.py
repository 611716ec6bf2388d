"""A package that brings a load, as an installer leaves it."""

from __future__ import annotations

from pathlib import Path

LOAD = """
from pathlib import Path
from typing import Literal
from harness.loads import LoadModel
class Load(LoadModel):
    kind: Literal["{kind}"] = "{kind}"
    roles = {roles}
    role_folder = Path(__file__).parent / "roles_of_{module}"
    def command(self):
        return ["true"]
"""


def install(site: Path, package: str, kind: str, text: str | None = None, roles: tuple[str, ...] = ()) -> None:
    """Put a package with one load there, as an installer does: a module, its metadata, and roles."""
    module = f"load_{package}"
    (site / f"{module}.py").write_text(LOAD.format(kind=kind, roles=roles, module=module) if text is None else text)
    for role in roles:
        (site / f"roles_of_{module}" / role / "tasks").mkdir(parents=True)
    info = site / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[harness.loads]\n{kind} = {module}:Load\n")
