"""`harness box`: guest images, built from recipes and cached."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.plain_values import CommandTree
from harness.errors import EXIT_FAILED, HarnessError

if TYPE_CHECKING:
    from harness.boxes import Recipe

app = CommandTree(
    help="Guest images (boxes): build, pin, list, verify, carry to another host, remove.", no_args_is_help=True
)
BoxName = Annotated[
    str, typer.Argument(help="A recipe's name; `harness box ls` lists them.", autocompletion=completion.boxes)
]


@app.command()
@handled
def build(
    name: BoxName,
    lock: Annotated[
        Path | None, typer.Option("--lock", help="Install exactly the packages of this lock, not those of NAME.lock.")
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            metavar="FORM",
            help="Put another kernel into it, as machine.kernel does: '{deb: FILE}', "
            "'{image: FILE, modules: FOLDER}' or '{suite: SUITE, package: PACKAGE}'.",
        ),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Build a box from its recipe and the lock beside it, unless the cache holds one with the same digest."""
    from harness import boxes, spec

    output, recipe = Output(as_json, quiet), boxes.recipe(name)
    form = spec.kernel_form(kernel, "--kernel") if kernel is not None else None
    pinned = boxes.lock_file.read(lock, recipe) if lock else boxes.lock_file.beside(recipe)
    with output.view().step(f"box:{name}", f"Build box {name}") as watcher:
        box = boxes.build_from(recipe, pinned, watcher, form)
    output.data(asdict(box))
    origin = f" from {box.kernel_source}" if box.kernel_source else ""
    locked = f", locked {box.lock[:12]}" if box.lock else ""
    output.show(f"{box.name}: kernel {box.kernel}{origin}{locked}, {box.path}")


@app.command("lock")
@handled
def make_lock(
    name: BoxName,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the lock; NAME.lock beside the recipe by default.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Pin every package of a recipe's box, and of its roles, to its version and SHA-256, in a file to be committed."""
    from harness import boxes
    from harness.files import write_atomic

    output, recipe = Output(as_json, quiet), boxes.recipe(name)
    with output.view().step(f"box:{name}", f"Build box {name}") as watcher:
        box = boxes.build_from(recipe, None, watcher)
    boxes.require_unchanged(box)
    lock = boxes.lock_file.make(recipe, box.folder, boxes.built_at(box.folder))
    path = out or boxes.lock_file.path_of(recipe)
    write_atomic(path, lock.text())
    counts = len(lock.pins.box), len(lock.pins.roles)
    output.data({"path": str(path), "sha256": lock.sha256(), "box": box.digest, "packages": sum(counts)})
    output.show(f"{path}: {counts[0]} packages of the box, {counts[1]} of the roles, built {lock.built}")


@app.command("ls")
@handled
def ls(as_json: JsonFlag = False) -> None:
    """List the recipes, which boxes of them are cached, and the provisioned machines that are kept for later runs."""
    from harness import boxes, machines
    from harness.boxes import provisioned
    from harness.terminal import box_tables, tables

    cached, kept = boxes.ls(), provisioned.ls()
    recipes, wrong = _recipes()
    damaged = [*boxes.damaged(), *provisioned.damaged()]
    users = {machine.box.folder: machines.users(machine.box) for machine in kept}
    plain = {
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "cached": [asdict(box) for box in cached],
        "provisioned": [{**asdict(machine), "used_by": users[machine.box.folder]} for machine in kept],
        "damaged": [asdict(one) for one in damaged],
        "problems": wrong,
    }
    Output(as_json).data(plain)
    kernels = box_tables.kernels_table(cached)
    Output(as_json).show(tables.boxes_table(recipes, cached), "", *kernels, box_tables.provisioned_table(kept, users))
    Output(as_json).show(*box_tables.problems(damaged, wrong))


def _recipes() -> tuple[list[Recipe], list[str]]:
    """Return the recipes that can be read, and what is wrong with others and with their locks."""
    from harness import boxes

    recipes, wrong = [], []
    for name in boxes.names():
        try:
            recipes.append(boxes.recipe(name))
            boxes.lock_file.beside(recipes[-1])
        except HarnessError as error:
            wrong.append(str(error))
    return recipes, wrong


@app.command()
@handled
def verify(name: BoxName, as_json: JsonFlag = False) -> None:
    """Compare every file of the cached boxes of this recipe with its recorded hash; exit 1 if one differs.

    The machines that were provisioned from them are checked too. Boxes whose description cannot be read are always
    listed.
    """
    from harness import boxes
    from harness.boxes import provisioned

    problems = [*boxes.verify(name), *provisioned.verify(name)]
    Output(as_json).data({"box": name, "problems": problems})
    Output(as_json).show(*(problems or [f"{name}: as built"]))
    if problems:
        raise typer.Exit(EXIT_FAILED)


@app.command()
@handled
def export(
    box: Annotated[
        str,
        typer.Argument(
            help="A box's name, or the beginning of its digest or of a machine's.", autocompletion=completion.boxes
        ),
    ],
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a box, or a provisioned machine with its box, into one file, for a host that cannot build it."""
    from harness.boxes import transfer

    output, chosen = Output(as_json, quiet), transfer.select(box)
    with output.view().step(f"export:{box}", f"Export {chosen.vagrant_name}") as watcher:
        exported = transfer.export(chosen, file, watcher)
    output.data({"file": str(file), "sha256": exported.sha256, "boxes": [asdict(one) for one in exported.boxes]})
    size_mb = file.stat().st_size / 1e6
    output.show(f"{file}: {size_mb:.0f} MB, SHA-256 {exported.sha256}")


@app.command("import")
@handled
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of `harness box export`.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Put the boxes of an exported file into the cache, after every hash in it was compared."""
    from harness.boxes import transfer

    output = Output(as_json, quiet)
    with output.view().step("import", f"Import {file.name}") as watcher:
        imported = transfer.import_file(file, watcher)
    output.data({"boxes": [asdict(one) for one in imported]})
    for one in imported:
        output.show(f"{one.box.vagrant_name}: {one.state}, kernel {one.box.kernel}, {one.box.folder}")
        if one.unused_because:
            output.show(f"  no run here uses it: {one.unused_because}")


@app.command()
@handled
def rm(
    name: Annotated[
        str,
        typer.Argument(
            help="A recipe's name, for all its boxes; the first 12 characters of a digest, for one, damaged or not."
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Remove a cached box, the machines provisioned from it, and the copies that Vagrant and libvirt keep of them."""
    from harness.machines import prune
    from harness.terminal import box_tables

    removals = prune.named(name)
    for removal in removals:
        prune.remove(removal)
    gone = [removal.box.vagrant_name if removal.box else removal.folder.name for removal in removals]
    Output(as_json).data({"removed": gone})
    Output(as_json).show(*box_tables.removals_table(removals, dry_run=False))


@app.command()
@handled
def prune(
    everything: Annotated[bool, typer.Option("--all", help="Also remove what runs would use again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove boxes that no recipe makes any more and provisioned machines that no run would use, with all copies.

    What a machine uses stays.
    """
    from harness.machines import prune
    from harness.terminal import box_tables

    if not dry_run:
        prune.sweep()
    removals = prune.candidates(everything)
    if not dry_run:
        for removal in filter(lambda removal: removal.possible, removals):
            prune.remove(removal)
    Output(as_json).data({"dry_run": dry_run, "removals": [asdict(removal) for removal in removals]})
    Output(as_json).show(*box_tables.removals_table(removals, dry_run))
