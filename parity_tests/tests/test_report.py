"""The HTML report, in a browser: complete, without a network, usable by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lab_parity
from chromium_page import Page, executable, page
from lab_parity import Scope
from lab_parity.plant import plant
from lab_parity.report.figures import loss_figure
from lab_parity.report.html import html_report, write_report
from lab_parity.sketch import BUCKETS
from lab_parity.survey import survey
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

Train = Callable[..., Any]
needs_chromium = pytest.mark.skipif(executable() is None, reason="needs Chromium: apt-get install chromium")


def report_on(a: Path, b: Path) -> str:
    """The report's text."""
    return html_report(lab_parity.compare(a, b), lab_parity.read(a), lab_parity.read(b), lab_parity.diagnose(a, b))


def words(html: str) -> str:
    """What a person reads, without scripts and tags."""
    body = re.sub(r"(?s)<(script|style).*?</\1>", "", html)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


@pytest.fixture
def diverged(train: Train, tmp_path: Path) -> tuple[Path, Path]:
    """Twelve steps with sketches, the learning rate 0.1 % too large from step 5 on."""
    for name in "ab":
        with plant("lr", 5 if name == "b" else 99), lab_parity.record(tmp_path / name, scope=Scope(buckets=BUCKETS)):
            train(12)
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """One tab for all tests here."""
    with page() as tab:
        yield tab


def test_verdict_coverage_cause_and_environment_are_said_in_words(diverged: tuple[Path, Path]) -> None:
    """In this order; nobody has to read them off a picture."""
    text = words(report_on(*diverged))
    order = ["diverged", "What the verdict rests on", "First difference step 5", "Cause", "1.001 times"]
    places = [text.index(said) for said in [*order, "Loss", "Distance", "Environment"]]
    assert places == sorted(places)
    assert "steps 6" in text
    assert "Never exercised: evaluation, forward, reduce" in text


@pytest.mark.parametrize("rung", ["identical", "inconclusive"])
def test_other_verdicts_have_a_report(train: Train, tmp_path: Path, rung: str) -> None:
    """Without a first difference; on traces without a step too."""
    for name in "ab":
        with lab_parity.record(tmp_path / name):
            train(3 if rung == "identical" else 0)
    text = words(report_on(tmp_path / "a", tmp_path / "b"))
    assert text.split()[0] != "diverged"
    assert rung in text
    assert ("no step was compared" in text) == (rung == "inconclusive")


def test_names_from_a_trace_are_text_and_never_markup(tmp_path: Path) -> None:
    """A trace comes from somebody else."""
    evil = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
    for name in "ab":
        writer = TraceWriter(tmp_path / name, {"command": evil, f"threads{evil}": name})
        rows = [Row(Key(phase, -1, evil, evil), name.encode() * 16) for phase in ("grad", "param")]
        writer.step(rows, optimizer="opt0", micro_steps=1, notes=[evil])
        writer.close(End("finished"))
    a, b = tmp_path / "a", tmp_path / "b"
    html = html_report(lab_parity.compare(a, b), lab_parity.read(a), lab_parity.read(b))
    assert evil not in html
    assert "<img src=x" not in html


@needs_chromium
def test_the_report_needs_no_network_and_makes_no_error(
    diverged: tuple[Path, Path], browser: Page, tmp_path: Path
) -> None:
    """Everything that is requested is the file itself or lies in it; both figures are drawn."""
    path = tmp_path / "report.html"
    path.write_text(report_on(*diverged), encoding="utf-8")
    browser.open(path)
    requests = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
    wrong = [e for e in browser.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert wrong == []
    assert browser.run("Bokeh.documents.map(doc => doc.roots()[0].name)") == ["loss linear", "map"]
    assert browser.run("Bokeh.documents[0].roots()[0].renderers.length") >= 2
    assert browser.run("document.querySelector('#map').scrollHeight") > 200
    browser.screenshot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 50_000


@needs_chromium
def test_the_map_is_read_by_keyboard(diverged: tuple[Path, Path], browser: Page, tmp_path: Path) -> None:
    """Every control is reached by Tab; arrows move a cursor that is read out; Enter goes to the first difference."""
    path = tmp_path / "report.html"
    path.write_text(report_on(*diverged), encoding="utf-8")
    browser.open(path)
    reached = []
    for _ in range(40):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id || document.activeElement.className"))
        if reached[-1] == "map":
            break
    assert reached[0] == "skip"
    assert {"log", "jump", "map"} <= set(reached)
    cell = "document.getElementById('cell').textContent"
    assert browser.run(cell).startswith("step 5, optimizer settings body.0.weight: relative distance 0.000999")
    browser.press("ArrowLeft")
    assert browser.run(cell) == "step 4, optimizer settings body.0.weight: equal"
    browser.press("PageDown", "End")
    assert browser.run(cell).startswith("step 11, optimizer state body.0.weight: relative distance")
    browser.press("Home", "ArrowUp", "ArrowDown")
    assert browser.run(cell) == "step 0, optimizer state body.0.weight: equal"
    browser.press("Enter")
    assert browser.run(cell).startswith("step 5, optimizer settings")
    browser.run("document.getElementById('log').focus()")
    browser.press("Enter")
    assert browser.run("new Promise(done => { const wait = () => Bokeh.documents.length > 2 ? done("
                       "[document.getElementById('linear').hidden, Bokeh.documents[2].roots()[0].name])"
                       " : setTimeout(wait, 10); wait(); })") == [True, "loss log"]  # fmt: skip


@needs_chromium
def test_the_report_fits_a_phone(diverged: tuple[Path, Path], browser: Page, tmp_path: Path) -> None:
    """Nothing is wider than the screen."""
    path = tmp_path / "report.html"
    path.write_text(report_on(*diverged), encoding="utf-8")
    browser.open(path)
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.call("Emulation.clearDeviceMetricsOverride")


@needs_chromium
def test_the_map_is_read_by_pointer(diverged: tuple[Path, Path], browser: Page, tmp_path: Path) -> None:
    """What lies under it is read out."""
    path = tmp_path / "report.html"
    path.write_text(report_on(*diverged), encoding="utf-8")
    browser.open(path)
    browser.run("document.getElementById('map').scrollIntoView()")
    x, y = browser.run("(({left, top, width}) => [left + width / 2, top + 200])"
                       "(document.getElementById('map').getBoundingClientRect())")  # fmt: skip
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run("document.getElementById('cell').textContent").startswith("step ")


@needs_chromium
def test_names_from_a_trace_do_nothing_in_a_browser(browser: Page, tmp_path: Path) -> None:
    """Labels are drawn as text, not as markup or mathematics: no script runs, nothing is asked for."""
    evil = "$$x$$<img src=x onerror=\"document.title='taken'\"><b>bold</b><script>document.title='taken'</script>"
    for name in "ab":
        writer = TraceWriter(tmp_path / name, {})
        writer.step([Row(Key("param", -1, evil, ""), name.encode() * 16)], optimizer="opt0", micro_steps=1)
        writer.close(End("finished"))
    write_report(
        tmp_path / "report.html", lab_parity.compare(tmp_path / "a", tmp_path / "b"),
        lab_parity.read(tmp_path / "a"), lab_parity.read(tmp_path / "b"),
    )  # fmt: skip
    browser.open(tmp_path / "report.html")
    assert browser.run("document.title") == "diverged: legacy against migrated"
    assert browser.run("document.querySelectorAll('img').length") == 0
    requests = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}


def test_losses_of_optimizers_that_take_turns_are_drawn(tmp_path: Path) -> None:
    """Each has a loss at every other step, and of a line between such points nothing was seen."""
    for name in "ab":
        writer = TraceWriter(tmp_path / name, {})
        for step in range(6):
            value = 1.0 / (step + 1)
            rows = [Row(Key("loss", 0, "loss", ""), bytes(16), value)]
            writer.step(rows, optimizer=f"opt{step % 2}", micro_steps=1)
        writer.close(End("finished"))
    a, b = (lab_parity.read(tmp_path / name) for name in "ab")
    plot = loss_figure(survey(a, b), ("legacy", "migrated"), None, "linear")
    assert plot is not None
    drawn = [renderer for renderer in plot.renderers if type(renderer.glyph).__name__ == "Scatter"]
    assert [len(renderer.data_source.data["x"]) for renderer in drawn] == [3, 3, 3, 3]
