"""What the page says of the files that it is made from: that they are as the run wrote them, or which are not."""

from __future__ import annotations

from harness.counted import counted
from harness.report.answer import Banner
from harness.report.run_facts import RunFacts
from harness.report.text import time_of_day
from harness.visible import visible

LISTED = 3  # of the files that no finished step wrote; `harness verify` names all


def line(run: RunFacts) -> tuple[str, str]:
    """Return the one line at the head of the page: its first word, and the rest."""
    files, when = counted(run.integrity.intact, "file"), time_of_day(run.checked)
    unknown = _unknown(run)
    if run.integrity.problems:
        wrong = counted(len(run.integrity.problems), "file")
        return "Not verified:", f"not as the run wrote it: {wrong}, named below; as written: {files} ({when})."
    checked = f"{files} that this page is made from have the SHA-256 in the manifest ({when})"
    return ("Verified in part:", f"{checked}. {unknown}") if unknown else ("Verified:", f"{checked}.")


def banners(run: RunFacts) -> list[Banner]:
    """Return the banner that names the files that are not as the run wrote them, and how much each matters."""
    if not run.integrity.problems:
        return []
    text = "What a changed file of a trial or a model holds is left out. harness verify lists every such file."
    items = tuple(visible(sentence) for sentence in run.integrity.sentences)
    return [Banner("bad", "Files of this run are not as it wrote them", text, items)]


def _unknown(run: RunFacts) -> str:
    """Say of what nothing is known."""
    unlisted = [visible(path) for path in run.integrity.unlisted]
    more = f", and {len(unlisted) - LISTED} more" if len(unlisted) > LISTED else ""
    files = f"No finished step lists {', '.join(unlisted[:LISTED])}{more}. " if unlisted else ""
    manifest = "The manifest has no SHA-256 of its own: versions before 0.3.0 wrote none."
    return (files + ("" if run.integrity.sealed else manifest)).strip()
