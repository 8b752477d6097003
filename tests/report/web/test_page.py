"""The page as a visitor uses it, from a file and from a server: the same page, the same behaviour."""

from __future__ import annotations

import csv
import io

import pytest

import reslearn

pytestmark = pytest.mark.browser
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 40), (30, 40, 220)


def answers(page):
    """What the page says of each picture: (name, first label, first probability)."""
    return [
        (item.query_selector(".name span").inner_text(), item.query_selector(".labels b").inner_text(),
         item.query_selector(".labels .number").inner_text())
        for item in page.query_selector_all(".item") if item.query_selector(".labels")
    ]  # fmt: skip


def test_dropped_pictures_are_answered_as_the_package_answers(address, visit, picture, painted, tmp_path):
    seen = visit(address)
    seen.ready()
    given = [("red.png", picture(RED)), ("green.png", picture(GREEN)), ("blue.png", picture(BLUE, (40, 90)))]
    seen.drop(*given)
    seen.settled(3)
    for name, content in given:
        (tmp_path / name).write_bytes(content)
    ours = reslearn.predict(painted, [tmp_path / name for name, _ in given], engine="torch")
    wanted = [
        (name, one.label, f"{100 * one.predictions[0].probability:.1f} %")
        for (name, _), one in zip(given, ours, strict=True)
    ]
    assert answers(seen.page) == wanted
    assert seen.page.locator(".item .heat").count() == 3
    assert seen.complaints == [] and seen.foreign() == []


def test_pasting_choosing_and_the_camera(address, visit, picture, tmp_path):
    seen = visit(address)
    seen.ready()
    seen.paste(("image.png", picture(RED)))
    seen.settled(1)
    (tmp_path / "chosen.png").write_bytes(picture(BLUE))
    with seen.page.expect_file_chooser() as chooser:
        seen.page.click("#choose")
    chooser.value.set_files(tmp_path / "chosen.png")
    seen.settled(2)
    seen.page.click("#camera")
    seen.page.wait_for_selector("#viewfinder:not([hidden])")
    seen.until("document.getElementById('video').videoWidth > 0")
    seen.page.click("#take")
    seen.settled(3)
    seen.page.click("#stop")
    assert seen.page.is_hidden("#viewfinder")
    assert [name for name, *_ in answers(seen.page)] == ["pasted picture", "chosen.png", "picture from the camera 1"]
    assert seen.complaints == [] and seen.foreign() == []


def test_the_keyboard_alone_is_enough(address, visit, picture, tmp_path):
    seen, choosers = visit(address), []
    seen.page.on(
        "filechooser", lambda one: choosers.append(one)
    )  # said before the page is ready: the browser must know by the key
    seen.ready()
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture(RED))

    def tab_to(wanted):
        for _ in range(30):
            seen.page.keyboard.press("Tab")
            if seen.page.evaluate("(w) => document.activeElement.matches(w)", wanted):
                return
        raise AssertionError(f"no way by Tab to {wanted}")

    tab_to("#choose")
    outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    seen.page.keyboard.press("Enter")
    for _ in range(300):
        if choosers:
            break
        seen.page.wait_for_timeout(100)
    [chooser] = choosers
    chooser.set_files([tmp_path / "a.png", tmp_path / "b.png"])
    seen.settled(2)
    tab_to("#heat")
    before = seen.page.input_value("#heat")
    seen.page.keyboard.press("ArrowLeft")
    assert int(seen.page.input_value("#heat")) < int(before)
    tab_to(".item .name button")
    seen.page.keyboard.press("Enter")
    seen.settled(1)
    tab_to("#about > summary")
    seen.page.keyboard.press("Enter")
    assert seen.page.is_visible("#card dl")


def test_what_is_no_picture_is_said_and_stops_nobody(address, visit, picture):
    seen = visit(address)
    seen.ready()
    seen.drop(("notes.txt", b"no picture at all"), ("good.png", picture(GREEN)), ("cut.png", picture(RED)[:200]))
    seen.settled(3)
    assert [name for name, *_ in answers(seen.page)] == ["good.png"]
    assert all(one.inner_text().strip() for one in seen.page.query_selector_all(".item.bad .error"))
    assert seen.page.locator(".item.bad").count() == 2
    assert seen.page.inner_text("#status") == "1 of 3 answered, 2 could not be read"
    assert seen.page.locator("#table tbody tr").count() == 3


def test_many_pictures_are_a_table_that_downloads(address, visit, picture):
    seen = visit(address)
    seen.ready()
    names = [f"{i}.png" for i in range(10)] + ["=1+1.png", 'a, "b".png']
    seen.drop(*((name, picture((20 * i, 90, 250 - 20 * i))) for i, name in enumerate(names)))
    seen.settled(12)
    assert seen.page.locator("#table tbody tr").count() == 12
    assert seen.page.locator("#table tbody bdi").count() == 24, "a name turns nothing but itself"
    with seen.page.expect_download() as download:
        seen.page.click("#csv")
    text = download.value.path().read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["path", "label", "index", "probability", "error"]
    assert [row["path"] for row in rows] == [*names[:10], "'=1+1.png", 'a, "b".png']
    assert all(0 <= float(row["probability"]) <= 1 and row["label"] for row in rows)
    seen.page.click("#clear")
    assert seen.page.locator(".item").count() == 0 and seen.page.is_hidden("#answers")


LOOKS = [(1280, False, "en-US"), (390, True, "ko-KR")]
OTHERS = [(1280, True, "en-US"), (390, False, "en-US"), (390, True, "en-US"), (1280, False, "ko-KR"),
          (1280, True, "ko-KR"), (390, False, "ko-KR")]  # fmt: skip


@pytest.mark.parametrize(
    ("width", "dark", "language"), [*LOOKS, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)]
)
def test_no_size_colour_or_language_breaks_it(address, visit, picture, width, dark, language):
    seen = visit(address, width=width, dark=dark, language=language)
    seen.ready()
    assert seen.page.evaluate("document.documentElement.lang") == language[:2]
    long = "a-very-long-name-without-any-place-to-break-it-" * 3 + ".png"
    seen.drop((long, picture(RED)), ("tall.png", picture(BLUE, (30, 300))), ("bad.png", b"x"))
    seen.settled(3)
    seen.page.click("#about > summary")
    assert seen.sideways() == 0
    assert all("status of 422" in one for one in seen.complaints)  # the browser's own word about bad.png
    assert seen.page.evaluate("document.querySelector('#language').getClientRects()[0].height") < 50  # one line
    assert seen.foreign() == []
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    heading = seen.page.inner_text("h1")
    assert ("?" in heading) and (heading.isascii() == (language == "en-US"))


def test_of_a_dropped_folder_the_pictures_are_taken(served, visit, picture, tmp_path):
    for name, content in (("b/2.png", picture(RED)), ("b/10.png", picture(BLUE)), ("b/notes.txt", b"none"),
                          ("b/.hidden", b"none"), ("b/a/1.png", picture(GREEN))):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    seen = visit(served)
    seen.ready()
    devtools = seen.page.context.new_cdp_session(seen.page)
    data = {"items": [], "files": [str(tmp_path / "b")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 200, "data": data})
    seen.settled(3)
    assert [name for name, *_ in answers(seen.page)] == ["2.png", "10.png", "1.png"]
    assert "over" not in seen.page.evaluate("document.body.className")
    assert seen.complaints == []


def test_what_holds_no_file_is_said(address, visit):
    seen = visit(address)
    seen.ready()
    seen.drop()
    seen.until("document.getElementById('status').textContent === 'There was no picture in that.'")
    assert seen.page.locator(".item").count() == 0


def test_a_finger_finds_what_it_needs(address, visit, picture):
    """On a phone: nothing speaks of dropping, removing a picture leaves the page where it is, the phone's camera opens
    where the browser gives pages none."""
    seen = visit(address, width=390, height=844, touch=True)
    seen.ready()
    assert seen.page.is_hidden("#drop") and seen.page.is_visible("#choose")
    seen.drop(*((f"{i}.png", picture((20 * i, 90, 90))) for i in range(6)))
    seen.settled(6)
    button = seen.page.locator(".item .name button").nth(3)
    button.scroll_into_view_if_needed()
    before = seen.page.evaluate("scrollY")
    button.tap()
    seen.settled(5)
    assert seen.page.evaluate("scrollY") == before > 0
    assert seen.page.evaluate("document.activeElement.matches('.item:nth-child(4) button')")
    seen.page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    with seen.page.expect_file_chooser() as chooser:
        seen.page.tap("#camera")
    assert chooser.value.element.get_attribute("capture") == "environment"


def test_the_language_can_be_switched(address, visit, picture):
    seen = visit(address)
    seen.ready()
    seen.drop(("red.png", picture(RED)))
    seen.settled(1)
    seen.page.click("#language")
    assert seen.page.evaluate("document.documentElement.lang") == "ko"
    words = seen.page.evaluate("[...document.querySelectorAll('[data-say]')].map((one) => one.textContent)")
    assert sum(any("가" <= letter <= "힣" for letter in word) for word in words) >= len(words) - 2
    seen.page.reload()
    seen.ready()
    assert seen.page.evaluate("document.documentElement.lang") == "ko"


def test_whoever_does_not_see_it_hears_what_is_there(address, visit, picture):
    seen = visit(address)
    seen.ready()
    seen.drop(("red.png", picture(RED)), ("green.png", picture(GREEN)))
    seen.settled(2)
    unnamed = seen.page.evaluate(
        """[...document.querySelectorAll("button, input:not([hidden]), select")].filter((one) => one.offsetParent
          && !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length)).length"""
    )
    assert unnamed == 0
    assert seen.page.get_attribute("#status", "aria-live") == "polite"
    assert seen.page.get_attribute(".item img", "alt") == "red.png"
    assert seen.page.get_attribute(".item .name button", "aria-label") == "Remove"


def test_the_card_tells_of_the_model(address, visit, painted):
    seen = visit(address)
    seen.ready()
    seen.page.click("#about > summary")
    text = seen.page.inner_text("#card")
    for expected in ("red things, green things, blue things", reslearn.load(painted).bundle.sha256, "32 × 32"):
        assert expected in text
