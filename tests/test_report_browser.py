"""The report in a real browser: it is laid out, light and narrow, and what hostile names try does not happen."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from faceguard.outputs import write_json
from faceguard.report import write_report
from tests.fabricated import RATES, RUN, measured_condition, picture, result_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium or Chrome is installed; these tests look at the page in one"
)


def browse(folder, *options):
    """The finished run of a headless browser on the folder's report.html, with a profile of its own and no network."""
    words = [BROWSER, "--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--no-first-run"]
    words += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", *options]
    words.append((folder / "report.html").as_uri())
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def screenshot(folder, width, height=1400):
    browse(folder, f"--window-size={width},{height}", f"--screenshot={folder / 'page.png'}")
    return np.asarray(Image.open(folder / "page.png").convert("RGB")).astype(int)


def has(pixels, colour):
    """How many pixels have a colour such as #a8440a, give or take what smoothing does."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=2) <= 3).sum())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    grey = RATES | {"error-minimizing": (0.6, 0.8)}
    conditions = [measured_condition(), measured_condition(grey, countermeasure=HOSTILE, name=HOSTILE)]
    write_json(folder / "result.json", result_of(*conditions, pictures=[picture()], title=HOSTILE))
    write_json(folder / "run.json", RUN | {HOSTILE: HOSTILE})
    write_report(folder)
    return folder


def test_a_wide_and_a_narrow_screen_show_the_headline_in_the_colour_of_its_outcome(folder):
    """Nothing reaches past the right edge: whatever is too wide scrolls within its own frame."""
    for width in (1280, 500):
        pixels = screenshot(folder, width)
        assert pixels.shape[:2] == (1400, width)
        assert has(pixels[:400], "#a8440a") > 500  # the headline and its bar: not protected
        assert has(pixels, "#f6f6f4") > 0.2 * width * 1400
        assert has(pixels[:, -4:], "#f6f6f4") == 4 * 1400
        assert has(pixels[:, :4], "#f6f6f4") == 4 * 1400


def test_names_that_are_markup_stay_text_in_the_browsers_own_tree(folder):
    found = browse(folder, "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", found, re.DOTALL)
    assert title is not None and title[1].startswith("faceguard report: ") and title[1] != "owned"
    assert "<script" not in found and '<img src="x"' not in found
    headline = re.search(r"<h1[^>]*>(.*?)</h1>", found, re.DOTALL)
    assert headline is not None and headline[1].startswith("Not protected in 1 of 2 conditions")
    assert found.count("<polyline") == 2 * (3 * 2 + 3 + 3 * 2) and found.count("</svg>") > 6
