# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium without a window, driven through selenium, and what it says of the pages that it is shown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

DRIVER = "chromedriver"
DESKTOP, PHONE = (1360, 900), (390, 844)


class Browser:
    """One browser for all pages; leaving the block ends it."""

    def __init__(self, profile: Path) -> None:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (
            "--headless=new",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            # Its sandbox refuses to run as root, which tests are in containers.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options, Service(shutil.which(DRIVER)))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def show(self, page: Path, size: Sequence[int] = DESKTOP, scheme: str = "light", scripts: bool = True) -> None:
        """Open a page from nothing, as a reader does who has these colours and this window."""
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE
        )
        self.media(scheme)
        self.command("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.driver.get("about:blank")
        self.noise()
        self.driver.get(page.as_uri())

    def media(self, scheme: str, medium: str = "") -> None:
        """Light or dark colours, on a screen or on paper (``print``)."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=medium, features=features)

    def command(self, name: str, **arguments: object) -> dict[str, Any]:
        """A command of the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(name, arguments)
        return answer

    def run(self, script: str, *arguments: object) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        """Until an expression of the page holds; fails after ten seconds."""
        script = """
            const done = arguments[arguments.length - 1];
            const look = (left) => (%s) ? done(true) : left ? setTimeout(() => look(left - 1), 20) : done(false);
            look(500);
        """
        assert self.driver.execute_async_script(script % condition), condition

    def noise(self) -> list[str]:
        """What the console said since the last time."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requests(self) -> set[str]:
        """The addresses that pages from files have asked for since the last time, their own among them."""
        entries = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")}
