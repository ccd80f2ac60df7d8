"""Debian's Chromium, and windows of it in which a person looks at the board."""
import json
import pathlib
import shutil

import pytest

from harness.board import SECRET
from harness.paths import BUILD
from harness.wait import wait_until

HERE = pathlib.Path(__file__).resolve().parent
SHOTS = BUILD / "browser"
AXE = (HERE / "vendor" / "axe.min.js").read_text()


class Chromium:
    def __init__(self):
        if not (shutil.which("chromium") and shutil.which("chromedriver")):
            pytest.skip("Chromium is not installed (Debian: chromium, chromium-driver)")
        webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed (Debian: python3-selenium)")
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                         "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
                         "--disable-renderer-backgrounding", "--autoplay-policy=user-gesture-required", "--lang=nl",
                         "--window-size=1280,900"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.driver.set_script_timeout(60)
        self.first = self.driver.current_window_handle
        SHOTS.mkdir(exist_ok=True)

    def screen(self, board, person, path="/", **options):
        self.driver.switch_to.new_window("tab")
        return Screen(self.driver, board, person, path, **options)

    def page(self, file):
        """A window that shows a file."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(file.as_uri())
        return Window(self.driver)

    def close_all(self):
        for handle in self.driver.window_handles:
            if handle != self.first:
                self.driver.switch_to.window(handle)
                self.driver.execute_script("localStorage.clear()")
                self.driver.close()
        self.driver.switch_to.window(self.first)

    def requests(self):
        """The addresses of everything requested since the last call."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def quit(self):
        self.driver.quit()


class Window:
    """One window, and what it shows."""

    def __init__(self, driver):
        self.driver, self.handle = driver, driver.current_window_handle

    def cdp(self, command, **parameters):
        self.focus_window()
        return self.driver.execute_cdp_cmd(command, parameters)

    def focus_window(self):
        if self.driver.current_window_handle != self.handle:
            self.driver.switch_to.window(self.handle)

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def js(self, script, *args):
        self.focus_window()
        return self.driver.execute_script(script, *args)

    def all(self, selector):
        self.focus_window()
        return self.driver.find_elements("css selector", selector)

    def count(self, selector):
        return self.js("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector="body"):
        return self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def shot(self, name):
        self.focus_window()
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def axe(self):
        """What axe-core finds against WCAG 2.1 A and AA and its own best practices, as texts."""
        self.js("if (!window.axe) { " + AXE + "\n}")
        self.focus_window()
        found = self.driver.execute_async_script(
            "axe.run().then(r => arguments[0](r.violations))")
        return [f"{v['id']}: {v['help']}: {n['html'][:200]} {n.get('failureSummary', '')}" for v in found for n in v["nodes"]]

    def overflow(self, selector="html"):
        """By how many pixels the page, or an element, is wider than its place on the screen."""
        return self.js("const e = document.querySelector(arguments[0]); return e.scrollWidth - e.clientWidth", selector)


class Screen(Window):
    """A person looks at the board in it. Everything waits for conditions; nothing sleeps."""

    def __init__(self, driver, board, person, path, width=1280, height=900, language="nl", theme="light", touch=False):
        super().__init__(driver)
        self.board = board
        self.base = f"http://127.0.0.1:{board.port}"
        self.cdp("Network.enable")
        self.sign_in(person)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.size(width, height)
        self.cdp("Page.addScriptToEvaluateOnNewDocument",
                 source=f"localStorage.getItem('theme') || (localStorage.setItem('theme', '{theme}'), localStorage.setItem('language', '{language}'))")
        self.driver.get(self.base + path)

    def sign_in(self, person):
        headers = {"X-Proxy-Secret": SECRET, **({"X-Remote-User": person} if person else {})}
        self.cdp("Network.setExtraHTTPHeaders", headers=headers)

    def open(self, path):
        self.focus_window()
        self.driver.get(self.base + path)

    def wait(self, selector, absent=False):
        """The first element of the selector, once it is there; absent: waits until there is none."""
        found = wait_until(lambda: [True] if absent and not self.all(selector) else [] if absent else self.all(selector),
                           lambda: f"{'no ' if absent else ''}{selector} in {self.text()[:2000]}")
        return found[0]

    def wait_text(self, selector, *wanted):
        wait_until(lambda: all(text in self.text(selector) for text in wanted), lambda: f"{wanted} in {selector}: {self.text(selector)!r}")

    def wait_live(self):
        self.wait('#connection[data-state="live"]')

    def row(self, incident):
        return f'#queue [data-incident="{incident}"]'

    def click(self, selector):
        """As a person does: at its position, so it fails if something lies above it; and not while rows move."""
        wait_until(lambda: self.all(selector) and self.count("html[data-moving]") == 0, selector)
        self.all(selector)[0].click()

    def press(self, *keys):
        from selenium.webdriver import ActionChains
        self.focus_window()
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.js("const e = document.activeElement; return e.id || e.dataset.action || e.getAttribute('href') || e.nodeName")

    def check_log(self):
        """No script has failed, and the policy has blocked nothing."""
        if self.handle in self.driver.window_handles:
            self.focus_window()
            bad = [entry["message"] for entry in self.driver.get_log("browser")
                   if "Content Security Policy" in entry["message"] or entry["source"] == "javascript" or "console-api" in entry["source"]]
            assert not bad, bad
