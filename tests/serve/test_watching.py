"""A file that is replaced under load: no answer is lost, none is mixed, and what does not verify changes nothing."""

from __future__ import annotations

import shutil
import threading
import time

import reslearn
from reslearn.serve import watching
from reslearn.serve.watching import Watching

from .hosting import hosting, in_order, picture, sealed

PICTURES = [picture(seed) for seed in range(6)]


def expected(path):
    """What a model says of each picture, and its digest."""
    predictor = reslearn.Predictor(path, engine="torch")
    return predictor.model.bundle.sha256, [in_order(p.to_json()["predictions"]) for p in predictor(PICTURES)]


def test_a_swap_under_load_mixes_no_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 0.1)
    models = [sealed(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    wanted = dict(map(expected, models))
    served = tmp_path / "served.safetensors"
    shutil.copy(models[0], served)
    found, end = [], threading.Event()

    def load(host, i):
        while not end.is_set():
            try:
                found.append((i, *host.post(PICTURES[i])))
            except Exception as error:
                found.append((i, repr(error), {"sha256": next(iter(wanted))}))

    with hosting(served, reload=True) as host:
        threads = [threading.Thread(target=load, args=(host, i)) for i in range(6)]
        for thread in threads:
            thread.start()
        for k in (1, 0, 1):
            time.sleep(0.3)
            shutil.copy(models[k], tmp_path / "new")
            (tmp_path / "new").rename(served)
            until, now = time.monotonic() + 20, list(wanted)[k]
            while host.service.slots["served"].current.sha256 != now and time.monotonic() < until:
                time.sleep(0.02)
        time.sleep(0.3)
        end.set()
        for thread in threads:
            thread.join()
        assert host.get("/models")[1]["models"][0]["sha256"] == list(wanted)[1]
        own = [t for t in threading.enumerate() if t.name == "reslearn batcher" and t.is_alive()]
        assert sum(one is host.service.slots["served"].current.batcher._thread for one in own) == 1
    assert {answer["sha256"] for _, _, answer in found} == set(wanted) and len(found) > 50
    for i, status, answer in found:
        assert status == 200, status
        [one] = answer["predictions"]
        assert in_order(one["predictions"]) == wanted[answer["sha256"]][i]


def test_the_old_one_ends_with_its_last_request(tmp_path):
    path = sealed(tmp_path / "m.safetensors", 1)
    with hosting(path) as host:
        slot = host.service.slots["m"]
        with slot.using() as old:
            slot.swap(slot.open())
            assert old.batcher._thread.is_alive() and slot.current is not old
        old.batcher._thread.join(5)
        assert not old.batcher._thread.is_alive() and slot.current.batcher._thread.is_alive()
        assert host.post(PICTURES[0])[0] == 200


def test_what_does_not_verify_leaves_the_old_one(tmp_path, capfd):
    path = sealed(tmp_path / "m.safetensors", 1)
    whole = path.read_bytes()
    with hosting(path) as host:
        slot, watch = host.service.slots["m"], Watching(host.service)
        before = slot.current
        for broken in (whole[:-7], whole[:300] + b"x" + whole[301:], b"", b"no model"):
            path.write_bytes(broken)
            for _ in range(4):
                watch.look(slot)
            assert slot.current is before and host.post(PICTURES[0])[0] == 200
        path.unlink()
        watch.look(slot)
        watch.look(slot)
        assert slot.current is before
        sealed(path, 2)
        watch.look(slot)
        assert slot.current is before, "it has not settled yet"
        watch.look(slot)
        assert slot.current is not before
        after = slot.current
        watch.look(slot)
        assert slot.current is after
        assert 'reslearn_reloads_total{model="m",outcome="refused"} 4.0' in host.ask("GET", "/metrics")[2].decode()
    said = capfd.readouterr().err
    assert said.count("the replaced file is not served, the old one is") == 4 and "replaced, " in said
