"""What others find a project by: its site, how to cite it, its metadata, and the recipe that tests it elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import LIMIT_S
from git_repository import Git, commit_all
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from locations import ROOT
from packaging.version import Version

from harness.version import RELEASE

PAGES = sorted((ROOT / "docs").glob("*.md"))
FETCHED = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')
LINK = re.compile(r'\b(?:href|src)="([^":#?]+)["#?]')


def core() -> Any:
    return ProjectMetadata(str(ROOT), PluginManager()).core


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.mark.slow
def test_every_page_is_in_the_menu_of_the_site(site: Path) -> None:
    index = (site / "index.html").read_text("utf-8")
    menu = index[index.index("md-nav--primary") :]
    assert [page.stem for page in PAGES if f'href="{page.stem}.html"' not in menu] == []


@pytest.mark.slow
def test_a_page_of_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = {page.name: page.read_text("utf-8") for page in site.glob("*.html")}
    assert len(pages) > len(PAGES)
    fetched = {name: found for name, text in pages.items() if (found := FETCHED.findall(text))}
    assert fetched == {}


@pytest.mark.slow
def test_a_link_of_the_site_leads_to_a_page_or_to_a_file_of_the_repository_beside_it(site: Path) -> None:
    for page in site.glob("*.html"):
        for target in LINK.findall(page.read_text("utf-8")):
            if page.name == "404.html" and target.startswith("/"):
                continue  # begins at the root of the server that has not found a page
            place = ROOT / target.removeprefix("../") if target.startswith("../") else site / target
            assert place.exists(), f"{page.name}: {target}"


def test_the_citation_has_the_keys_of_its_format_and_says_what_the_metadata_say() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # the format requires these
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in core().authors]
    assert citation["license"] == core().license_expression
    built = Version(ProjectMetadata(str(ROOT), PluginManager()).version)
    assert Version(str(citation["version"])).release == Version(RELEASE).release  # a checkout may be of any commit
    assert built.is_devrelease or built == Version(str(citation["version"]))


def test_both_packages_say_that_they_have_types() -> None:
    assert "Typing :: Typed" in core().classifiers
    assert all((ROOT / package / "py.typed").is_file() for package in ("harness", "model"))


def with_merge_of_no_branch(folder: Path) -> tuple[Git, str]:
    """Make a tagged repository, and a commit on top that only a reference like that of a request has."""
    folder.mkdir(parents=True)
    (folder / "file").touch()
    git = commit_all(folder)
    git("tag", "v1")
    merge = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "merge")
    git("update-ref", "refs/pull/1/merge", merge)
    return git, merge


def test_the_recipe_of_a_hoster_runs_git_and_the_one_command_and_no_code_of_others(tmp_path: Path) -> None:
    recipe = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    assert recipe["permissions"] == {"contents": "read"}
    assert "latest" not in "".join(job["runs-on"] for job in recipe["jobs"].values())
    steps = [step for job in recipe["jobs"].values() for step in job["steps"]]
    assert [list(step) for step in steps] == [["run"]] * len(steps)
    *fetching, last = [step["run"] for step in steps]
    assert last == ".ci/run"
    assert os.access(ROOT / last, os.X_OK)
    git, merge = with_merge_of_no_branch(tmp_path / "owner" / "name")
    known = {
        "GITHUB_SERVER_URL": tmp_path.as_uri(), "GITHUB_REPOSITORY": "owner/name", "GITHUB_SHA": merge,
        "PATH": os.environ["PATH"],
    }  # fmt: skip
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for command in fetching:  # as the hoster does it
        subprocess.run(["bash", "-e", "-c", command], cwd=workspace, env=known, timeout=LIMIT_S, check=True)
    assert git("-C", workspace, "rev-parse", "HEAD") == merge
    assert git("-C", workspace, "describe", "--tags").startswith("v1-1-g")
