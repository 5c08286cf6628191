"""How long a rendered frame takes from the engine's hands into Blender's: encoding, socket, decoding.

Run it with a Python that has the bpy module, SRN_ENGINE_PYTHON naming one that has the engine:
`.venv/bpy-5.2/bin/python scripts/bench/frames.py`. It sends 1920 x 1080 pixels of RGBA in float32 (33 MB) again and
again, from a process of the engine's own server to the add-on's own client, and beside it does what no transport can do
without: a copy in memory, and the same bytes over a bare socket into memory that is there already.
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
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
    """An engine whose renders are there at once, and say when that was."""
    import torch

    from srn_engine.server import protocol, serve
    from srn_engine.server.job import Outcome
    from srn_engine.server.server import About

    picture = frame()
    encoding = measured(lambda: protocol.encode_array(picture), 50)

    def render(params: object, desk: object) -> Outcome:
        return Outcome({"encoding": encoding, "made": time.perf_counter()}, {"colour": picture})

    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    serve.serve_work({"render": render}, About("0.0.0", "cpu", torch.__version__, []), parser.parse_args(sys.argv[2:]))


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


def sent(count: int) -> dict[str, list[float]]:
    """The milliseconds of the whole way, and of its ends."""
    from srn_blender.engine import messages
    from srn_blender.engine.client import Client, Event, OtherHost
    from srn_blender.engine.messages import JobChange
    from srn_blender.engine.process import Address

    token = "frames"
    engine = subprocess.Popen(
        [os.environ["SRN_ENGINE_PYTHON"], __file__, "--engine", "--token-stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert engine.stdin is not None and engine.stdout is not None
    engine.stdin.write(f"{token}\n".encode())
    engine.stdin.flush()
    port = int(json.loads(engine.stdout.readline())["port"])
    client = Client(OtherHost(Address("127.0.0.1", port, token)))

    def until_arrays(number: int) -> JobChange:
        client.send(messages.encode_request(number, "render", RENDER))
        while True:
            event: Event | None = client.next_event()
            if isinstance(event, JobChange) and event.arrays:
                return event
            time.sleep(PAUSE)

    whole, encoding = [], []
    while client.next_event() is None:
        time.sleep(0.01)
    for number in range(count):
        change = until_arrays(number + 1)
        result = change.state["result"]
        whole.append(1000 * (time.perf_counter() - result["made"]))
        encoding = result["encoding"]
    got = change.arrays["colour"]
    assert np.array_equal(got, frame())
    client.stop()
    client.join(5)
    engine.kill()
    engine.communicate()
    header = io.BytesIO()
    np.lib.format.write_array(header, got)
    data = memoryview(header.getvalue())
    return {
        "engine's hands to Blender's": whole,
        "of that, encoding": encoding,
        "of that, decoding": measured(lambda: messages.decode_array("colour", data), count),
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
