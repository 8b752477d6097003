"""The web page in a real Chromium: as the one-file page opened from disk, and as a server's `/`."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.bundle.own import save_networks
from reslearn.cli.app import main
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("red things", "green things", "blue things")


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """A sealed file of a small network, its classes and its scores made up."""
    torch.manual_seed(3)
    net = reslearn.create_model("resnet20_cifar", stage_blocks=(1, 1), stage_channels=(8, 16), stem_channels=8,
                                num_classes=len(CLASSES))  # fmt: skip
    with torch.no_grad():
        for _ in range(4):
            net.train()(torch.randn(16, 3, 32, 32))
        net.head.fc.weight.mul_(4)
    path = tmp_path_factory.mktemp("painted") / "painted.safetensors"
    save_networks(path, net.eval(), preprocess=default_preprocess(32), classes=CLASSES)
    return path


@pytest.fixture(scope="session")
def one_file(painted):
    """`export --to html` of it; what the command printed lies beside it as JSON."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install onnxscript")
    out = painted.with_suffix(".html")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["export", str(painted), "--to", "html", "-o", str(out), "--json"]) == 0
    out.with_suffix(".json").write_text(printed.getvalue())
    return out


@pytest.fixture(scope="session")
def served(painted):
    """The address of a server of it."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn: pip install reslearn[serve]")
    pytest.importorskip("fastapi", reason="needs fastapi: pip install reslearn[serve]")
    from reslearn.serve import create_app

    app = create_app(str(painted))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(20)


class Visit:
    """One page, and what it asked for and complained of."""

    def __init__(self, page, home):
        self.page, self.home = page, home
        self.complaints, self.addresses = [], []
        page.on("console", lambda one: self.complaints.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def drop(self, *files):
        """Drop (name, bytes) onto the page."""
        self._give(files, "drop")

    def paste(self, *files):
        self._give(files, "paste")

    def _give(self, files, how):
        packed = [[name, base64.b64encode(content).decode()] for name, content in files]
        self.page.evaluate(
            """([files, how]) => {
              const data = new DataTransfer();
              for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                data.items.add(new File([bytes], name, { type: name.endsWith("txt") ? "text/plain" : "image/png" }));
              }
              const event = how === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
              document.body.dispatchEvent(event);
            }""",
            [packed, how],
        )

    def settled(self, count):
        """Wait until `count` pictures are answered or refused."""
        self.until(
            f"document.querySelectorAll('.item').length === {count} && "
            "[...document.querySelectorAll('.item')].every((one) => one.getAttribute('aria-busy') === 'false')"
        )

    def until(self, condition, seconds=30):
        """Wait for a condition in JavaScript; asked from outside, for the page's policy allows it no `eval`."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, (condition, self.complaints, self.page.inner_text("#status"))
            time.sleep(0.02)

    def ready(self):
        """Wait until the page can answer."""
        self.until("!document.getElementById('about').hidden", 60)

    def foreign(self):
        """Addresses that it asked for outside of where it came from."""
        return [one for one in self.addresses if not one.startswith((self.home, "blob:", "data:"))]

    def sideways(self):
        """Pixels that the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture
def visit(chromium):
    """visit(address, width, dark, language, touch) -> a `Visit` whose page is loaded."""
    with contextlib.ExitStack() as stack:

        def visit(address, *, width=1280, height=900, dark=False, language="en-US", touch=False):
            context = chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=language,
                is_mobile=touch, has_touch=touch, accept_downloads=True,
                permissions=["camera"] if str(address).startswith("http") else [],
            )  # fmt: skip
            stack.callback(context.close)
            home = Path(address).resolve().as_uri() if isinstance(address, Path) else address
            found = Visit(context.new_page(), home)
            found.page.goto(home)
            return found

        yield visit


@pytest.fixture(params=["file", "server"])
def address(request):
    """Where the page is: the same tests hold for both."""
    return request.getfixturevalue("one_file" if request.param == "file" else "served")


@pytest.fixture
def picture():
    """picture(colour) -> the bytes of a picture that is mostly of that colour."""

    def make(colour, size=(60, 48), kind="PNG"):
        draw = np.random.default_rng(sum(colour))
        pixels = np.array(colour) * 0.8 + draw.integers(0, 60, (size[1], size[0], 3))
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, kind)
        return buffer.getvalue()

    return make
