# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html as its reader has it: in a real Chromium, in light and dark, on a phone, on paper, without scripts, and with names that attack it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_html
from ansible_collections.kubenode.doctor.tests.support.browser import DESKTOP, DRIVER, PHONE, Browser
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import page_scenes

pytestmark = pytest.mark.skipif(
    None in (shutil.which("chromium"), shutil.which(DRIVER)), reason="a browser: chromium and chromium-driver"
)

AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text("utf-8")
SHOWN = "return [...document.querySelectorAll('.finding')].filter(one => one.checkVisibility()).map(one => one.id)"
ROWS = "return [...document.querySelectorAll('#heat tbody th')].map(one => one.textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, document in {
        "rich": page_scenes.rich(),
        "hostile": page_scenes.hostile(),
        "thousand": page_scenes.fleet(1000),
    }.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(report_html.render(document, "/srv/audits/20261123T080000Z"), "utf-8")
    return made


@pytest.fixture(autouse=True)
def quiet(browser: Browser, pages: dict[str, Path]) -> Iterator[None]:
    """No page of any test may complain, or ask for anything but itself."""
    yield
    assert browser.noise() == []
    asked = browser.requests()
    assert asked
    assert {url.partition("#")[0] for url in asked} <= {*(page.as_uri() for page in pages.values()), "data:,"}


def choose(browser: Browser, **values: str) -> str:
    """Fill fields of the filter in; return what it says then."""
    script = """
        const form = document.getElementById("filter"), told = document.getElementById("told");
        form.reset();
        told.textContent = "";
        for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;
        form.dispatchEvent(new Event("input", {bubbles: true}));
    """
    browser.run(script, values)
    browser.wait("document.getElementById('told').textContent")
    return str(browser.run("return document.getElementById('told').textContent"))


def violations(browser: Browser, **options: object) -> list[str]:
    """What axe finds, with the first element of each."""
    browser.run(AXE)
    script = """
        const [options, done] = arguments;
        const told = (one) => `${one.id}: ${one.nodes[0].html}`;
        axe.run({preload: false, ...options}).then((found) => done(found.violations.map(told)));
    """
    found: list[str] = browser.driver.execute_async_script(script, options)
    return found


@pytest.mark.parametrize(
    ("size", "scheme", "options"),
    [
        (DESKTOP, "light", {}),
        (DESKTOP, "dark", {"runOnly": ["color-contrast"]}),  # other colours are all that is different
        (PHONE, "light", {"rules": {"color-contrast": {"enabled": False}}}),  # they are all that is not
    ],
)
def test_accessible(
    browser: Browser, pages: dict[str, Path], size: tuple[int, int], scheme: str, options: dict[str, object]
):
    browser.show(pages["rich"], size, scheme)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert violations(browser, **options) == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.run("document.querySelector('#heat tbody a').click()")
    browser.wait("document.getElementById('page-title')")
    assert violations(browser, **options) == []


def test_filter(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"])
    everything = browser.run(SHOWN)
    hosts = browser.run(ROWS)
    assert choose(browser, text="close_wait nobody wrote").startswith("0 of ")
    assert browser.run(SHOWN) == browser.run(ROWS) == []
    choose(browser, text="cri-stream-port-random")
    (streaming,) = browser.run(SHOWN)
    assert "draws its port at random" in browser.run(
        "return document.getElementById(arguments[0]).textContent", streaming
    )
    choose(browser, host="worker-2")
    assert browser.run(ROWS) == ["worker-2"]
    # A host's name, though nothing was found there; what another host than the first has seen; none of the page's own words.
    choose(browser, text="worker-3")
    assert "worker-3" in browser.run(ROWS)
    choose(browser, text="20261120T080000Z")
    assert browser.run(SHOWN)
    assert choose(browser, text="or have it done").startswith("0 of ")
    # Whoever follows a link to a finding sees it, and what is said to be shown is shown.
    choose(browser, group="ports")
    (hidden, *_more) = [one for one in everything if one not in browser.run(SHOWN)]
    browser.run("window.location.hash = arguments[0]", f"#{hidden}")
    browser.wait(f"document.getElementById('told').textContent.startsWith('{len(everything)} of ')")
    assert browser.run(SHOWN) == everything
    choose(browser, change="new")
    new = browser.run(SHOWN)
    choose(browser, change="persists")
    assert new
    assert set(everything) - set(new) <= set(browser.run(SHOWN)) != set(everything)
    choose(browser, waived="only")
    (waived,) = browser.run(SHOWN)
    choose(browser, waived="no")
    assert browser.run(SHOWN) == [one for one in everything if one != waived]
    choose(browser, group="ports")
    groups = "return [...document.querySelectorAll('.finding')].filter(one => one.checkVisibility()).map(one => one.dataset.group)"
    assert set(browser.run(groups)) == {"ports"}
    # With the keyboard, and back to everything.
    browser.driver.find_element(By.CSS_SELECTOR, "input[value=critical]").send_keys(Keys.SPACE)
    browser.driver.find_element(By.CSS_SELECTOR, "#filter button[type=reset]").send_keys(Keys.ENTER)
    browser.wait(f"document.querySelectorAll('.finding:not([hidden])').length === {len(everything)}")
    assert browser.run(SHOWN) == everything
    assert browser.run(ROWS) == hosts
    browser.wait("document.getElementById('said').textContent.includes('are shown')")  # for screen readers


def test_heat_map_leads_to_a_host_and_back(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"])
    browser.driver.find_element(By.LINK_TEXT, "worker-2").click()
    browser.wait("document.getElementById('page-title')?.textContent === 'worker-2'")
    page = browser.driver.find_element(By.ID, "page")
    assert browser.run("return document.activeElement.id") == "page-title"
    assert not browser.driver.find_element(By.ID, "overview").is_displayed()
    assert "hostnet on [::]:31999/tcp is refused" in page.text
    assert "Found earlier" in page.text
    assert len(page.find_elements(By.CSS_SELECTOR, "tbody .badge")) == page_scenes.node_rules()
    page.find_element(By.LINK_TEXT, "Back to the fleet").click()
    browser.wait("!document.getElementById('overview').hidden")
    assert not page.is_displayed()


def test_silent_host_is_no_host_without_fault(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"])
    browser.driver.find_element(By.LINK_TEXT, "worker-3").click()
    browser.wait("document.getElementById('page-title')?.textContent === 'worker-3'")
    page = browser.driver.find_element(By.ID, "page")
    assert "No answer: No route to host" in page.text
    assert page.find_elements(By.CSS_SELECTOR, ".k-pass") == []
    assert len(page.find_elements(By.CSS_SELECTOR, "tbody .k-unknown")) == page_scenes.node_rules()


def test_sorting_and_the_rows_that_were_cut(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["thousand"])
    assert browser.run("return document.querySelectorAll('*').length") < 12_000
    assert len(browser.run(ROWS)) == 500
    head = browser.driver.find_element(By.CSS_SELECTOR, "#heat thead button")
    head.send_keys(Keys.ENTER)
    assert browser.run(ROWS)[:2] == ["node-00000", "node-00001"]
    assert browser.run("return document.querySelector('#heat thead th').ariaSort") == "ascending"
    more = browser.driver.find_element(By.CSS_SELECTOR, "#heat-more button")
    more.click()
    assert len(browser.run(ROWS)) == 1000
    browser.driver.find_element(By.CSS_SELECTOR, "#heat-more button").click()
    rows = browser.run(ROWS)
    assert len(rows) == len(set(rows)) == 1001  # the cluster is one of them
    assert browser.run("return document.getElementById('heat-more').textContent") == ""
    assert choose(browser, host="node-00999").endswith(" 1 of 1001 rows of the fleet are shown.")


def test_copying_gives_the_command_and_nothing_else(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"])
    browser.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    button = "document.querySelector('.finding .cmd button')"
    browser.run(f"{button}.click()")
    browser.wait(f"{button}.textContent === 'Copied'")
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, error => done(String(error)))"
    told = browser.driver.execute_async_script(read)
    assert told == browser.run(f"return {button}.previousElementSibling.textContent")
    assert told in page_scenes.commands(page_scenes.rich())


def test_hostile_names_stay_text(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["hostile"])
    for place in range(browser.run("return JSON.parse(document.getElementById('data').textContent).names.length")):
        browser.run("window.location.hash = arguments[0]", f"#node-{place}")
        browser.wait("document.getElementById('page-title') && !document.getElementById('page').hidden")
        assert browser.run("return window.attacked") is None
        assert (
            browser.run("return document.querySelectorAll('img, iframe, object, embed, form:not(#filter)').length") == 0
        )
    browser.run("window.location.hash = '#fleet'")
    browser.wait("!document.getElementById('overview').hidden")
    told = browser.run("return document.getElementById('heat').textContent")
    for name in page_scenes.HOSTILE_HOSTS:
        assert name in told
    assert len(browser.run("return [...document.scripts].filter(one => one.type !== 'application/json')")) == 1


def test_on_paper_everything_is_open_and_nothing_is_to_be_pressed(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"], scheme="dark")
    browser.media("dark", "print")
    visible = "return [...document.querySelectorAll(arguments[0])].map(one => one.checkVisibility({contentVisibilityAuto: false}))"
    assert set(browser.run(visible, ".evidence li")) == {True}
    assert set(browser.run(visible, "nav, #filter, button:not(.sort), .skip")) == {False}
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = base64.b64decode(browser.command("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 2


def test_without_scripts_it_is_readable(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"], scripts=False)
    text = browser.driver.find_element(By.TAG_NAME, "body").text
    for part in (
        "Scripts are off",
        "hostnet on [::]:31999/tcp is refused",
        "Gone: looked for again",
        "No route to host",
        "SYN-SENT",
    ):
        assert part in text
    assert browser.driver.find_elements(By.CSS_SELECTOR, ".cmd button") == []
    assert not browser.driver.find_element(By.ID, "filter").is_displayed()
    browser.command("Emulation.setScriptExecutionDisabled", value=False)


def test_colours_are_chosen_and_kept(browser: Browser, pages: dict[str, Path]):
    browser.show(pages["rich"], scheme="light")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.driver.find_element(By.ID, "theme").click()
    dark = browser.run(ground)
    assert dark != light
    browser.driver.refresh()
    assert browser.run(ground) == dark
    browser.run("localStorage.clear()")
