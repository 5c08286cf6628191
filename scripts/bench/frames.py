"""How long a rendered frame takes from the engine's hands into Blender's: encoding, socket, decoding.

Run it with a Python that has the bpy module, SRN_ENGINE_PYTHON naming one that has the engine:
`.venv/bpy-5.2/bin/python scripts/bench/frames.py`. It sends 1920 x 1080 pixels of RGBA in float32 (33 MB) again and
again, from a process of the engine's own server to the add-on's own client, and beside it does what no transport can do
without: a copy in memory, and the same bytes over a bare socket into memory that is there already. Then a training that
shows previews of that size goes on beside the renders, and each call of `Engine.poll` is timed, the one that Blender's
main thread makes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from srn_blender.engine.engine import Engine
    from srn_blender.engine.jobs import JobHandle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
WIDTH, HEIGHT = 1920, 1080
PAUSE = 0.0002  # seconds between two looks for news
POSE = np.eye(4).tolist()
CAMERA = {"pose": POSE, "fl_x": 1.0, "fl_y": 1.0, "cx": 0.0, "cy": 0.0, "width": WIDTH, "height": HEIGHT}
RENDER = {"run": str(ROOT), "instance": "any", "camera": CAMERA, "passes": ["colour"]}


def frame() -> np.ndarray:
    return np.random.default_rng(0).random((HEIGHT, WIDTH, 4), dtype=np.float32)


def serve_frames() -> None:
    """An engine whose renders are there at once, and say when that was; its trainings show previews."""
    import torch

    from srn_engine.progress import Progress
    from srn_engine.server import protocol, serve
    from srn_engine.server.job import Desk, Outcome
    from srn_engine.server.params import JobParams
    from srn_engine.server.server import About

    picture = frame()
    encoding = measured(lambda: protocol.encode_array(picture), 50)

    def render(params: JobParams, desk: Desk) -> Outcome:
        return Outcome({"encoding": encoding, "made": time.perf_counter()}, {"colour": picture})

    def train(params: JobParams, desk: Desk) -> Outcome:
        while True:
            desk(Progress(0.5, "showing"))
            desk.show(1, 0.0, {"colour": picture})
            time.sleep(0.1)

    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    about = About("0.0.0", "cpu", torch.__version__, [])
    serve.serve_work({"render": render, "train": train}, about, parser.parse_args(sys.argv[2:]))


def send_bare(port: int, count: int) -> None:
    """Sends the frame's bytes over a bare socket, each time after the moment of sending."""
    data = memoryview(frame()).cast("B")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(count):
            connection.recv(1)
            connection.sendall(np.float64(time.perf_counter()).tobytes())
            connection.sendall(data)


def measured(work: Callable[[], object], count: int) -> list[float]:
    """The milliseconds that `work` takes, each time."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return times


def bare(count: int) -> list[float]:
    """The milliseconds that the bytes take over a bare socket into memory that is there."""
    target, times = memoryview(np.zeros(frame().nbytes, np.uint8)), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, __file__, "--bare", str(listener.getsockname()[1]), str(count)]
        with subprocess.Popen(command) as process, listener.accept()[0] as connection:
            for _ in range(count):
                connection.send(b"x")
                began = np.frombuffer(connection.recv(8, socket.MSG_WAITALL))[0]
                filled = 0
                while filled < len(target):
                    filled += connection.recv_into(target[filled:])
                times.append(1000 * (time.perf_counter() - began))
            process.wait(20)
    return times


@contextmanager
def connected() -> Iterator[Engine]:
    """The add-on's engine, connected to one that serves frames."""
    from srn_blender.engine.engine import Engine

    command = [os.environ["SRN_ENGINE_PYTHON"], __file__, "--engine", "--token-stdin"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"frames\n")
        process.stdin.flush()
        engine = Engine()
        engine.connect("127.0.0.1", int(json.loads(process.stdout.readline())["port"]), "frames")
        engine.wait_ready()
        yield engine
        engine.close()
        process.kill()


def rendered(engine: Engine, polls: list[float]) -> tuple[float, JobHandle]:
    """The milliseconds from the engine's hands to a callback here, and the job; `polls` gets those of each poll."""
    came: list[float] = []
    handle = engine.run_job(
        "render",
        RENDER,
        done=lambda result, arrays: came.append(time.perf_counter() - float(str(result["made"]))),
        failed=lambda sentence: sys.exit(sentence),
        cancelled=lambda result: None,
    )
    while not came:
        polls += measured(engine.poll, 1)
        time.sleep(PAUSE)
    return 1000 * came[0], handle


def sent(count: int) -> dict[str, list[float]]:
    """The milliseconds of the whole way and of its ends, and of what Blender's main thread waits for."""
    from srn_blender.engine import messages

    polls: list[float] = []
    with connected() as engine:
        whole = [rendered(engine, [])[0] for _ in range(count)]
        _, handle = rendered(engine, [])
        shown: list[int] = []
        engine.run_job(
            "train",
            {"dataset": str(ROOT), "run": str(ROOT), "preview": {"camera": CAMERA}},
            done=lambda result, arrays: None,
            failed=lambda sentence: None,
            cancelled=lambda result: None,
            preview=lambda step, arrays: shown.append(step),
        )
        beside = [rendered(engine, polls)[0] for _ in range(count)]
    got = handle.arrays["colour"]
    assert np.array_equal(got, frame()) and len(shown) > 1
    file = io.BytesIO()
    np.lib.format.write_array(file, got)
    data = memoryview(file.getvalue())
    return {
        "engine's hands to Blender's": whole,
        "of that, encoding": handle.result["encoding"],
        "of that, decoding": measured(lambda: messages.decode_array("colour", data), count),
        "the same beside previews": beside,
        "a poll meanwhile": polls,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="frames (default: %(default)s)")
    count = parser.parse_args().count
    source, target = frame(), np.zeros_like(frame())
    rows = {"a copy in memory": measured(lambda: np.copyto(target, source), count), "a bare socket": bare(count)}
    rows |= sent(count)
    print(f"{source.nbytes / 1e6:.1f} MB, {count} times; milliseconds")
    for name, times in rows.items():
        print(f"{name:30} median {statistics.median(times):7.2f}   least {min(times):7.2f}   most {max(times):7.2f}")
    sys.stdout.flush()
    os._exit(0)  # Blender 4.2 as a module does not always end by itself


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--engine", *_]:
            serve_frames()
        case ["--bare", port, times]:
            send_bare(int(port), int(times))
        case _:
            sys.exit(main())
