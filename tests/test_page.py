"""The page of a check, read back with html.parser: nothing from elsewhere, nothing unescaped, problems first."""

import base64
import io
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceguard.batch import protect_photos
from faceguard.check import CheckReport, PhotoCheck, Status, check_photos
from faceguard.listing import list_photos
from faceguard.page import EMBEDDED, LIMITS, Pixels, face_pictures, write_page
from faceguard.plots import difference
from faceguard.protect import Protection
from tests.test_protect import face, make_bank, save

VOID = {"meta", "img"}
GREY: Pixels = np.full((300, 500, 3), 100, dtype=np.uint8)


class Page(HTMLParser):
    """Every tag with its attributes, the text, and which tags were left open or closed wrongly."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(f"{text}\n" for text in self.texts).split())

    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


def made(source: str, status: Status = "protected", **fields: object) -> PhotoCheck:
    return PhotoCheck(source=source, output=source, status=status, **fields)  # type: ignore[arg-type]


def write(path: Path, *photos: PhotoCheck, unmatched: tuple[str, ...] = (), after: Pixels = GREY) -> Page:
    report = CheckReport(budget=16, photos=photos, unmatched=unmatched)
    write_page(report, path / "check.html", pictures=lambda check: (GREY, after))
    return Page(path / "check.html")


def decoded(attributes: dict[str, str | None]) -> np.ndarray:
    head, data = (attributes["src"] or "").split(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))


def test_a_real_check_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    for name in ("gone", "me"):
        save(np.asarray(skimage.data.astronaut()), tmp_path / "in" / f"{name}.jpg", quality=90)
    jobs = list_photos(tmp_path / "in", "anna")
    protect_photos(jobs, tmp_path / "out", Protection(bank=make_bank()), rows={"anna": 1})
    (tmp_path / "out" / "gone.png").rename(tmp_path / "out" / "stranger.png")
    report = check_photos(tmp_path / "in", tmp_path / "out", bank=make_bank())
    for name in ("1.html", "2.html"):
        write_page(report, tmp_path / name, pictures=face_pictures(tmp_path / "in", tmp_path / "out"))
    page, kept = Page(tmp_path / "1.html"), report.photos[1].noise_kept
    assert (tmp_path / "2.html").read_bytes() == (tmp_path / "1.html").read_bytes()
    assert page.open == page.wrong == [] and page.source.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|//|@import|url\(|javascript:", re.sub(r"base64,[^\"]*", "", page.source))
    tags = Counter(tag for tag, _ in page.tags)
    assert not {"script", "link", "iframe", "object", "form", "a"} & tags.keys() and tags["article"] == 2
    assert {
        name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "href"
    } == set()
    assert "1 of 2 photos protected" in page.text and f"Median noise kept {kept:.2f} Budget 16 levels" in page.text
    assert LIMITS in page.text and "Copies without an original stranger.png" in page.text
    assert page.text.index("gone.jpg") < page.text.index("me.jpg as me.png")
    assert len(page.images()) == 3 and all(attributes["alt"] for attributes in page.images())
    assert str(tmp_path) not in page.source
    before, after, change = (decoded(attributes) for attributes in page.images())
    assert before.shape == after.shape == change.shape and 100 < max(before.shape) <= 240
    assert (
        np.abs(change[:8].astype(int) - 128).max() < 12
        and change.std() > 20 > np.abs(after.astype(int) - before).mean() > 0
    )


def test_it_suits_phones_and_dark_rooms_and_forbids_whatever_is_not_in_it(tmp_path: Path) -> None:
    page = write(tmp_path, made("1.png"))
    metas = {
        attributes.get("name") or attributes.get("http-equiv"): attributes
        for tag, attributes in page.tags
        if tag == "meta"
    }
    assert metas["viewport"]["content"] == "width=device-width, initial-scale=1"
    assert "default-src 'none'" in (metas["Content-Security-Policy"]["content"] or "")
    assert "@media (prefers-color-scheme: dark)" in page.source and ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize(
    "name", ["<script>.png", "\"><img src=x onerror='alert(1)'>&amp;.png", "\u202egnp.png", "a & b/ü.png"]
)
def test_a_file_name_is_only_text(tmp_path: Path, name: str) -> None:
    plain = write(tmp_path, made("1.png", "missing", reason="1.png is gone."), unmatched=("1.png",))
    page = write(tmp_path, made(name, "missing", reason=f"{name} is gone."), unmatched=(name,))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags] and page.open == page.wrong == []
    assert page.texts.count(name) == 2 and f"{name} is gone." in page.texts
    assert [set(attributes) for _, attributes in page.tags] == [set(attributes) for _, attributes in plain.tags]
    assert all(name in (attributes["alt"] or "") for attributes in page.images())
    assert page.source.count("<bdi>") == 2


def test_a_file_name_that_is_no_text_is_written_with_its_bytes_escaped(tmp_path: Path) -> None:
    assert "caf\\udce9.png" in write(tmp_path, made("caf\udce9.png")).text


def test_problems_come_first_then_notes_and_the_order_is_kept_within(tmp_path: Path) -> None:
    page = write(
        tmp_path,
        made("f.png"),
        made("e.png", reason="2 pixels outside the faces changed."),
        made("g.png"),
        made("d.png", "another size"),
        made("c.png", "unreadable"),
        made("b.png", "missing"),
        made("a.png", "over budget"),
        made("aa.png", "without noise"),
    )
    assert re.findall(r"\b(\w+)\.png", page.text) == ["a", "aa", "b", "c", "d", "e", "f", "g"]
    classes = [attributes["class"] for tag, attributes in page.tags if tag == "article"]
    assert classes == ["bad"] * 5 + ["good"] * 3 and page.text.startswith("faceguard check 3 of 8 photos protected")


def test_the_numbers_of_a_photo_stand_on_its_card(tmp_path: Path) -> None:
    numbers = {"row": 7, "noise_kept": 0.876, "max_change": 15, "psnr": 41.26, "ssim": 0.98765, "changed_outside": 1234}
    text = write(tmp_path, made("1.png", row_from="correlation", **numbers)).text
    assert "Noise kept 0.88 Noise row 7 (best fit) Largest change 15 levels PSNR 41.3 dB SSIM 0.9877" in text
    assert "Changed outside 1,234 pixels" in text
    assert "(best fit)" not in write(tmp_path, made("1.png", row_from="manifest", **numbers)).text
    same = write(tmp_path, made("1.png", max_change=0, psnr=float("inf"), ssim=1.0, changed_outside=0)).text
    assert "PSNR unchanged" in same and "inf" not in same and "None" not in same


def test_what_could_not_be_measured_is_said_to_be_so(tmp_path: Path) -> None:
    text = write(tmp_path, made("1.png", "unreadable")).text
    assert "0 of 1 photos protected Median noise kept not measured" in text and "None" not in text


def test_the_three_pictures_are_before_after_and_ten_times_the_change(tmp_path: Path) -> None:
    after = GREY.copy()
    after[:, :250] += 5
    pictures = [decoded(attributes) for attributes in write(tmp_path, made("1.png"), after=after).images()]
    assert [picture.shape for picture in pictures] == [(144, 240, 3)] * 3
    for picture, (left, right) in zip(pictures, [(100, 100), (105, 100), (178, 128)], strict=True):
        assert abs(int(picture[70, 40, 1]) - left) <= 1 and abs(int(picture[70, 200, 1]) - right) <= 1
    assert difference(GREY, after)[0, 0, 1] == 178


def test_only_the_most_urgent_photos_of_a_large_batch_have_pictures_written_one_by_one(tmp_path: Path) -> None:
    asked: dict[str, int] = {}

    def pictures(check: PhotoCheck) -> tuple[Pixels, Pixels]:
        asked[check.source] = next(tmp_path.glob("1.html.*.tmp")).stat().st_size
        return GREY[:2, :2], GREY[:2, :2]

    photos = [made(f"{index}.png") for index in range(EMBEDDED + 9)] + [made("bad.png", "over budget")]
    write_page(CheckReport(budget=16, photos=tuple(photos), unmatched=()), tmp_path / "1.html", pictures=pictures)
    page = Page(tmp_path / "1.html")
    assert (
        list(asked) == ["bad.png", *(f"{index}.png" for index in range(EMBEDDED - 1))]
        and len(page.images()) == 3 * EMBEDDED
    )
    assert (
        asked[f"{EMBEDDED - 2}.png"] > 0.9 * (tmp_path / "1.html").stat().st_size
    )  # the earlier ones are written by then
    assert f"Pictures are shown for the first {EMBEDDED} of {EMBEDDED + 10} photos, problems first." in page.text
    assert f"{EMBEDDED + 8}.png" in page.texts and "Pictures are shown" not in write(tmp_path, *photos[:EMBEDDED]).text


def test_a_page_that_breaks_off_leaves_nothing_and_an_older_one_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "1.html").write_text("older")

    def pictures(check: PhotoCheck) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_page(
            CheckReport(budget=16, photos=(made("1.png"),), unmatched=()), tmp_path / "1.html", pictures=pictures
        )
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_pictures_show_the_face_with_a_margin_and_scaled_copies_at_their_own_size(tmp_path: Path) -> None:
    scene = face(1, 200)
    before, after = save(scene, tmp_path / "in" / "1.png"), save(255 - scene, tmp_path / "out" / "1.png")
    check = made("1.png", face=(50, 5, 150, 105))
    shown = scene[:120, 35:165]  # 15 of 100 pixels more on each side, none beyond the edge
    for first, second in ((tmp_path / "in", tmp_path / "out"), (before, after)):
        pair = face_pictures(first, second)(check)
        assert pair is not None and np.array_equal(pair[0], shown) and np.array_equal(pair[1], 255 - shown)
    save(scene[::2, ::2], after)
    pair = face_pictures(tmp_path / "in", tmp_path / "out")(check)
    assert pair is not None and pair[0].shape == pair[1].shape == (60, 66, 3)
    assert np.array_equal(pair[1], scene[::2, ::2][:60, 17:83])
    whole = face_pictures(tmp_path / "in", tmp_path / "out")(made("1.png"))
    assert whole is not None and whole[0].shape == (100, 100, 3)


def test_there_is_no_picture_of_what_is_not_there(tmp_path: Path) -> None:
    save(face(), tmp_path / "in" / "1.png")
    pictures = face_pictures(tmp_path / "in", tmp_path / "in")
    assert pictures(made("1.png")) is not None
    for check in (made("1.png", "missing"), made("1.png", "unreadable"), made("gone.png")):
        assert pictures(check) is None
