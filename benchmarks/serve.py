"""The server on loopback, with and without batches, beside a plain FastAPI endpoint over eager torch as people write.

    python benchmarks/serve.py                              # both workloads, n = 3; about 8 minutes
    python benchmarks/serve.py --workload resnet20_cifar:32 --runs 5 --seconds 6

A workload is NETWORK:SIZE, with made-up weights. Each server is a process of its own, in turn; `--concurrency`
connections ask one after another with the same forms of one picture, for `--seconds` and at most `--requests`, after a
second that does not count. The client runs on the same cores. Every answer's best class is compared with the
predictor's. Prints machine, versions, every run, medians, spread, latency percentiles; the engine alone, which no
server can exceed; and the aim: resnet20_cifar at 32 connections at least 3 times the plain endpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from inference import parts, said, sealed
from PIL import Image
from train_throughput import print_machine

WORKLOADS = ("resnet20_cifar:32", "resnet18:224")
SIDES = ("plain", "unbatched", "server")
CONCURRENCY = (1, 8, 32, 128)
AIM = 3.0
PICTURES = 16

PLAIN = """
import io, sys
import numpy as np, torch, uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image
import reslearn

loaded = reslearn.load(sys.argv[1])
net, margin, size = loaded.net.eval(), loaded.bundle.preprocess.resize, loaded.bundle.preprocess.size
mean, std = torch.tensor((0.485, 0.456, 0.406))[:, None, None], torch.tensor((0.229, 0.224, 0.225))[:, None, None]
app = FastAPI()


def transform(image):
    factor = margin / min(image.size)
    image = image.resize((round(image.width * factor), round(image.height * factor)), Image.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    pixels = np.array(image.crop((left, top, left + size, top + size)))
    return (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - mean) / std


@app.post("/predict")
async def predict(file: UploadFile):
    image = Image.open(io.BytesIO(await file.read())).convert("RGB")
    with torch.inference_mode():
        best = net(transform(image)[None]).softmax(1)[0].topk(5)
    return {"predictions": [{"predictions": [
        {"label": str(int(i)), "index": int(i), "probability": float(p)} for p, i in zip(best.values, best.indices)
    ]}]}


print("listening  http://127.0.0.1:" + sys.argv[2], file=sys.stderr, flush=True)
uvicorn.run(app, port=int(sys.argv[2]), log_level="critical")
"""


def pictures(size):
    """Files of pictures that a network of this size may be asked about: PNGs as they are, or JPEG photographs."""
    draws, found = np.random.default_rng(0), []
    side = size if size < 64 else 320
    for _ in range(PICTURES):
        blocks = draws.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels = np.kron(blocks, np.ones((side // 8, side // 8, 1), np.uint8))
        noisy = np.clip(pixels + draws.integers(-9, 10, pixels.shape), 0, 255).astype(np.uint8)
        target = io.BytesIO()
        Image.fromarray(noisy).save(target, "PNG" if size < 64 else "JPEG")
        found.append(target.getvalue())
    return found


def request(raw):
    """A form with one picture, as bytes."""
    head = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    body = head + b"Content-Type: image/png\r\n\r\n" + raw + b"\r\n--frontier--\r\n"
    start = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=frontier\r\n"
    return start + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Client:
    """Connections that ask one after another; when each answer came, how long it took, and whether it was right."""

    def __init__(self, port, requests, expected):
        self.port, self.requests, self.expected = port, requests, expected
        self.took, self.wrong, self.sent = [], 0, 0

    async def connection(self, number, begin, end, most):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        place = number
        while time.perf_counter() < end and self.sent < most:
            place = (place + 1) % len(self.requests)
            self.sent += 1
            start = time.perf_counter()
            writer.write(self.requests[place])
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(re.search(rb"(?i)content-length: ([0-9]+)", head)[1]))
            now = time.perf_counter()
            if not head.startswith(b"HTTP/1.1 200") or not self.right(place, body):
                self.wrong += 1
            if begin <= now <= end:
                self.took.append(now - start)
        writer.close()

    def right(self, place, body):
        """Whether the best class is the predictor's."""
        best = json.loads(body)["predictions"][0]["predictions"][0]["index"]
        return not self.expected or best == self.expected[place]

    async def load(self, concurrency, seconds, most):
        begin = time.perf_counter() + 1
        every = [self.connection(i, begin, begin + seconds, most) for i in range(concurrency)]
        await asyncio.gather(*every)
        return len(self.took) / (min(begin + seconds, time.perf_counter()) - begin)


def started(side, model, port):
    """The process of a server that listens."""
    if side == "plain":
        command = [sys.executable, "-c", PLAIN, str(model), str(port)]
    else:
        batch = ["--max-batch", "1"] if side == "unbatched" else []
        command = [sys.executable, "-m", "reslearn", "serve", str(model), "--port", str(port), *batch]
    log = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
    process = subprocess.Popen(command, stderr=log)
    until = time.monotonic() + 180
    while time.monotonic() < until:
        log.seek(0)
        if b"listening  " in log.read():
            time.sleep(1.0 if side == "plain" else 0.2)
            return process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    log.seek(0)
    sys.exit(f"{side} did not start:\n{log.read().decode()}")


def measure(side, model, size, options, port):
    """(pictures/s, latencies in seconds, wrong answers) of a server, by concurrency."""
    raws = pictures(size)
    process, found = started(side, model, port), {}
    try:
        wanted = expected(model, raws) if side != "plain" else None
        for concurrency in options.concurrency:
            client = Client(port, [request(raw) for raw in raws], wanted)
            rate = asyncio.run(client.load(concurrency, options.seconds, options.requests))
            found[concurrency] = (rate, sorted(client.took), client.wrong)
    finally:
        process.terminate()
        process.wait(60)
    return found


def expected(model, raws):
    """The best class of each picture, as a predictor says."""
    code = (
        "import sys, json, reslearn; raws = [open(f, 'rb').read() for f in sys.argv[2:]]; "
        "print(json.dumps([one.predictions[0].index for one in reslearn.Predictor(sys.argv[1])(raws)]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(i) for i in range(len(raws))]
        for file, raw in zip(files, raws, strict=True):
            file.write_bytes(raw)
        command = [sys.executable, "-c", code, str(model), *map(str, files)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def engine_alone(model, size, seconds):
    """Prepared pictures/s of the engine that the server uses, 1 and 32 at once: what no server on it exceeds."""
    code = (
        "import sys, time, json, numpy as np, reslearn; from reslearn.data.preprocess import to_batch\n"
        "p = reslearn.Predictor(sys.argv[1]); size, seconds = int(sys.argv[2]), float(sys.argv[3]); found = {}\n"
        "for n in (1, 32):\n"
        "    x = to_batch([np.zeros((size, size, 3), np.uint8)] * n)\n"
        "    p.scorer(x); count, began = 0, time.perf_counter()\n"
        "    while time.perf_counter() - began < seconds: p.scorer(x); count += n\n"
        "    found[n] = count / (time.perf_counter() - began)\n"
        "print(json.dumps([p.engine, found]))"
    )
    command = [sys.executable, "-c", code, str(model), str(size), str(seconds)]
    engine, rates = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"  {engine} alone: {rates['1']:.1f} pictures/s one by one, {rates['32']:.1f} in batches of 32", flush=True)
    return rates["32"]


def compare(workload, options, folder):
    """All servers of a workload in turn, and what is said of them."""
    name, size, _ = parts(f"{workload}:1")
    model = sealed(f"{workload}:1", folder)
    print(workload, flush=True)
    limit = engine_alone(model, size, options.seconds / 2)
    found = {side: [] for side in SIDES}
    for run in range(options.runs):
        for k, side in enumerate(SIDES):
            found[side].append(measure(side, model, size, options, 18800 + 10 * run + k))
    for concurrency in options.concurrency:
        print(f"  {concurrency} at once", flush=True)
        medians = {}
        for side in SIDES:
            medians[side] = said(side, [one[concurrency][0] for one in found[side]])
            took = sorted(second for one in found[side] for second in one[concurrency][1])
            cuts = ", ".join(f"p{p} {1000 * took[min(len(took) * p // 100, len(took) - 1)]:.1f}" for p in (50, 95, 99))
            wrong = sum(one[concurrency][2] for one in found[side])
            print(f"  {'':<12} latency in ms: {cuts}; n = {len(took)}, wrong or refused {wrong}", flush=True)
        gain = medians["server"] / medians["plain"]
        share = medians["server"] / limit
        print(f"  server to plain {gain:.2f}, to unbatched {medians['server'] / medians['unbatched']:.2f}; "
              f"{share:.0%} of the engine alone", flush=True)  # fmt: skip
        if name == "resnet20_cifar" and concurrency == 32:
            print(f"  aim: {gain:.2f} (aim {AIM:.2f}) {'met' if gain >= AIM else 'MISSED'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", help="NETWORK:SIZE; both if absent")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each concurrency of each run of a side")
    parser.add_argument("--requests", type=int, default=20_000, help="at most, of each of these")
    parser.add_argument("--concurrency", type=int, nargs="+", default=CONCURRENCY)
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")
        for workload in options.workload or WORKLOADS:
            compare(workload, options, Path(name))


if __name__ == "__main__":
    main()
