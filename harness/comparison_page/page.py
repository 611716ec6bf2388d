"""Builds the page of a comparison: one HTML file that needs no other, in the style of the run report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup

from harness.comparison.distribution import distributions
from harness.comparison.statistics.inference import MIN_FREEDOM, RESAMPLES
from harness.comparison_page import amounts, blocks, forest, sources
from harness.comparison_page import distributions as curves
from harness.comparison_page.legend import sample
from harness.comparison_page.timelines import typical_stretches
from harness.counted import counted
from harness.listed import listed
from harness.report import document
from harness.report.text import typeset
from harness.version import version

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison
    from harness.comparison.statistics.effect import Effect

PACKAGE = "harness.comparison_page"
SCRIPTS = ("view.js", "download.js", "tables.js", "timeline.js", "page.js")


def render(comparison: Comparison) -> str:
    """Return the page as text."""
    style = document.asset("report.css") + document.asset("comparison.css", PACKAGE)
    scripts = [document.asset(name) for name in SCRIPTS]
    panels = forest.panels(comparison.effects)
    shown, folded = blocks.choose_panels(comparison)
    stretches = typical_stretches(comparison)
    return (
        _environment()
        .get_template("comparison.html.j2")
        .render(
            comparison=comparison,
            policy=document.policy(style, scripts),
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            panels=panels,
            sentence=sentence(comparison),
            null_panels=_null_panels(comparison, panels),
            null_words=null_words(comparison.null) if comparison.null else "",
            null_example=null_example(comparison.null) if comparison.null else "",
            design=design_words(comparison),
            counts=outcome_words(comparison.effects),
            block_figure=blocks.BlocksFigure(tuple(blocks.slots(comparison.effects))),
            shown=shown,
            folded=folded,
            block_rows=document.json_text(blocks.block_rows(comparison.effects)),
            stretches=stretches,
            metas=[] if isinstance(stretches, str) else [document.json_in_script(list(m)) for m in stretches.metas],
            distributions=distributions(comparison),
            runs=sources.run_sources(comparison),
            trials=sources.trial_sources(comparison),
            version=version(),
            resamples=RESAMPLES,
            fewest=MIN_FREEDOM + 1,
        )
    )


def sentence(comparison: Comparison) -> str:
    """Return the sentence as one that stands alone: a capital, unless it begins with the name of a side, and a stop."""
    return as_sentence(comparison, comparison.sentence)


def as_sentence(comparison: Comparison, text: str) -> str:
    """Return a text with a capital, unless it begins with the name of a side or of a metric, and a stop."""
    labels = (comparison.first.label, comparison.second.label)
    named = any(text.startswith(name) for name in (*labels, *(effect.metric.name for effect in comparison.effects)))
    return typeset(f"{text if named else text[:1].upper() + text[1:]}.")


def design_words(comparison: Comparison) -> str:
    """Say on how many of each level the comparison rests."""
    design = comparison.design
    trials = len(comparison.first.observations) + len(comparison.second.observations)
    levels = [
        counted(design.boots, "boot"),
        counted(design.runs, "run"),
        counted(design.hosts, "host"),
    ]
    if not design.interleaved:
        return f"{counted(trials, 'trial')} that share no block; {', '.join(levels)}"
    units = f"independent units: {design.units_text}"
    return f"{counted(design.blocks, 'block')} with a trial of each side; {', '.join(levels)}; {units}"


def outcome_words(effects: Sequence[Effect]) -> str:
    """Count the outcomes: how many metrics differ, do not, or leave it open."""
    found = [effect.outcome for effect in effects]
    differ = sum(outcome in ("higher", "lower") for outcome in found)
    parts = [
        (differ, "differ", "differs"),
        (
            found.count("no different"),
            "do not differ by more than the margin",
            "does not differ by more than the margin",
        ),
        (found.count("cannot say"), "stay open", "stays open"),
        (found.count("too few"), "rest on too few blocks to say", "rests on too few blocks to say"),
    ]
    words = [f"{number} {one if number == 1 else several}" for number, several, one in parts if number]
    return f"Of {counted(len(effects), 'metric')}, " + listed(words) if words else "No metric is on both sides"


def null_words(null: Comparison) -> str:
    """Say what the method found between two equals."""
    judged = [effect for effect in null.effects if effect.outcome != "too few"]
    if not judged:
        return "There are too few blocks to judge these equals; the effects below are what chance alone made of them."
    named = [effect.metric.name for effect in judged if effect.differs]
    if not named:
        others = len(null.effects) - len(judged)
        open_ones = f"; {others} more rest on too few blocks to say" if others else ""
        return f"It called none of {counted(len(judged), 'metric')} different{open_ones}."
    return (
        f"It called {len(named)} of {counted(len(judged), 'metric')} different: {', '.join(named)}. "
        "There is no difference to find: read the result below with that much doubt."
    )


def null_example(null: Comparison) -> str:
    """Return the main metric of two equals with its effect, to be seen before any fold is opened."""
    if not null.effects:
        return ""
    main = next((effect for effect in null.effects if effect.metric.name == null.primary), null.effects[0])
    return f"{main.metric.name}: {amounts.effect_text(main)} {amounts.interval_text(main)}."


def _null_panels(comparison: Comparison, panels: Sequence[forest.Panel]) -> list[forest.Panel]:
    """Return the forest of the equals on the axes of the result, so that the eye can compare the two."""
    if not comparison.null:
        return []
    effects = [replace(effect, metric=replace(effect.metric, better=None)) for effect in comparison.null.effects]
    return forest.panels(effects, {panel.kind: panel.axis for panel in panels})  # of equals, none is the better


@cache  # with it, the templates are compiled once in a process and not for each page
def _environment() -> Environment:
    environment = document.environment(PACKAGE)
    environment.globals.update(
        amounts=amounts,
        curves=curves,
        sample=sample,
        json_text=document.json_text,
        style_of=forest.style_of,
        as_sentence=as_sentence,
    )
    return environment
