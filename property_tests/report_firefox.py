"""Opening a report in headless Firefox over its own Marionette port, and what happens while it is open."""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from property_tests.report_pixels import Box, ink

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # one of its dependencies' own, while it is imported
    from marionette_driver.geckoinstance import DesktopInstance, GeckoInstance
    from marionette_driver.keys import Keys
    from marionette_driver.marionette import Marionette, WebElement

FIREFOX = Path("/usr/bin/firefox-esr")
WATCH = """
    window.asked = [];
    window.watcher = { observe(channel) {
      const { URI: address, loadInfo } = channel.QueryInterface(Ci.nsIChannel);
      if (!loadInfo.triggeringPrincipal.isSystemPrincipal) window.asked.push(address.spec);
    } };
    Services.obs.addObserver(window.watcher, "http-on-opening-request");
"""
FORGET = "Services.console.reset(); window.asked.length = 0;"
TOLD = """
    const told = Services.console.getMessageArray().filter(one => one instanceof Ci.nsIScriptError);
    const ours = told.filter(one => /^(content javascript|CSP)/.test(one.category) || one.sourceName === arguments[0]);
    return ours.map(one => one.errorMessage);
"""


WAITING = "return document.querySelector('#cases') !== null && document.querySelector('html.listed') === null;"
PLACE = """
    const { left, top, width, height } = arguments[0].getBoundingClientRect();
    return { left, top, width, height };
"""


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A browser that keeps its profile in a folder; a test that needs one fails where there is none."""
    if not FIREFOX.exists():
        pytest.fail(f"{FIREFOX} is missing: these tests need Debian's firefox-esr (apt-get install firefox-esr)")
    chosen = {**GeckoInstance.required_prefs, **DesktopInstance.desktop_prefs, "marionette.port": 0}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in chosen.items()]
    (folder / "user.js").write_text("\n".join(lines), encoding="utf-8")
    with (folder / "firefox.log").open("wb") as log, subprocess.Popen(
        [FIREFOX, "--headless", "--marionette", "--remote-allow-system-access", "--profile", folder],
        stdout=log, stderr=log,
    ) as process:  # fmt: skip
        try:
            driver = Marionette(port=port_of(folder))
            driver.start_session()
            yield Firefox(driver)
            driver.delete_session()
        finally:
            process.kill()


def port_of(profile: Path) -> int:
    """The port that a browser has chosen, as soon as it says so."""
    said = profile / "MarionetteActivePort"
    patience = time.monotonic() + 60
    while not (said.exists() and said.read_text(encoding="utf-8")):
        assert time.monotonic() < patience, (profile / "firefox.log").read_text(encoding="utf-8", errors="replace")
        time.sleep(0.05)
    return int(said.read_text(encoding="utf-8"))


class Firefox:
    """A browser, the tab that is open in it, and what happened there."""

    def __init__(self, driver: Marionette) -> None:
        self.driver = driver
        driver.set_window_rect(width=1280, height=900)
        with driver.using_context("chrome"):
            driver.execute_script(WATCH, new_sandbox=False)

    def open(self, path: Path, fragment: str = "", patience: float = 2) -> None:
        """Open a page in a fresh tab, and close the others; a list that is broken is not waited for long."""
        for handle in self.driver.window_handles[1:]:
            self.driver.switch_to_window(handle)
            self.driver.close()
        self.driver.switch_to_window(self.driver.window_handles[0])
        self.driver.switch_to_window(self.driver.open(type="tab", focus=True)["handle"])
        with self.driver.using_context("chrome"):
            self.driver.execute_script(FORGET, new_sandbox=False)
        self.driver.navigate(path.as_uri() + fragment)
        until = time.monotonic() + patience
        while self.run(WAITING) and time.monotonic() < until:
            time.sleep(0.02)
        self.settle()

    def run(self, script: str, *values: object) -> Any:
        """What a script returns that runs beside the page's own."""
        return self.driver.execute_script(script, script_args=values)

    def settle(self, frames: int = 3) -> None:
        """Wait until what has changed is painted."""
        self.driver.execute_async_script(
            "const [frames, done] = arguments; let left = frames;"
            "const next = () => (left-- > 0 ? requestAnimationFrame(next) : setTimeout(done)); next();",
            script_args=(frames,),
        )

    def find(self, selector: str) -> list[WebElement]:
        """The elements that fit."""
        return list(self.driver.find_elements("css selector", selector))

    def press(self, selector: str, *keys: str) -> None:
        """Press keys on an element."""
        self.find(selector)[0].send_keys(*keys)
        self.settle()

    def wheel(self, selector: str, pixels: int) -> None:
        """Turn the mouse wheel above an element."""
        over = self.find(selector)[0]
        self.driver.actions.sequence("wheel", "wheel").scroll(0, 0, 0, pixels, origin=over).perform()
        self.settle()

    def errors(self) -> list[str]:
        """What the page's scripts and its policy have complained of."""
        with self.driver.using_context("chrome"):
            return list(self.driver.execute_script(TOLD, script_args=(self.driver.get_url(),), new_sandbox=False))

    def requests(self) -> Sequence[str]:
        """What the page has asked the network for."""
        with self.driver.using_context("chrome"):
            return list(self.driver.execute_script("return window.asked;", new_sandbox=False))

    def ink(self, *elements: WebElement) -> float:
        """How much is painted of the places in the window that elements have: the least of them."""
        picture = self.driver.screenshot(format="binary", full=False)
        return min(ink(picture, Box(**self.run(PLACE, element))) for element in elements)


__all__ = ["Firefox", "Keys", "firefox"]
