"""A client of the engine in a page: trains on a dataset, watches, and saves a view. Needs `websockets` and `numpy`.

    srn-engine serve --token-file FILE --port 41234 &
    python docs/protocol_client.py FILE 41234 DATASET RUN view.npy

DATASET and RUN are absolute paths. protocol.md explains every message.
"""

import io
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from websockets.sync.client import connect

token_file, port, dataset, run, out = sys.argv[1:]
token = Path(token_file).read_text().strip()
numbers = itertools.count(1)

with connect(
    f"ws://127.0.0.1:{port}", additional_headers={"Authorization": f"Bearer {token}"}, max_size=None
) as engine:

    def ask(method, **params):
        """Sends a request and waits for its answer; notifications of other jobs are passed over."""
        number = next(numbers)
        engine.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        while True:
            message = json.loads(engine.recv())
            if message.get("id") == number:
                if "error" in message:
                    sys.exit(message["error"]["message"])
                return message["result"]

    def follow(job):
        """Tells how a job goes until it has ended; returns its result, and its arrays by name."""
        while True:
            state = json.loads(engine.recv())["params"]
            if state["job"] != job:
                continue
            print(f"{state['kind']}: {state['state']} {state['progress']:4.0%} {state['message']}", file=sys.stderr)
            if state["state"] in ("failed", "cancelled"):
                sys.exit(state.get("error", "The job was cancelled."))
            if state["state"] == "done":
                # Each array follows in a frame of its own, as numpy's .npy.
                names = state["result"].get("arrays", [])
                return state["result"], {name: np.load(io.BytesIO(engine.recv())) for name in names}

    print(ask("hello", protocol=2, client="a page of Python"), file=sys.stderr)
    result, _ = follow(ask("train", dataset=dataset, run=run, seconds=5)["job"])
    print(result, file=sys.stderr)

    instance = json.loads((Path(run) / "run.json").read_text())["instances"][0]["id"]
    # Three units along -y from the middle of the unit sphere, looking at it; z is up. OpenCV's axes: x right, y down.
    pose = [[1, 0, 0, 0], [0, 0, 1, -3], [0, -1, 0, 0], [0, 0, 0, 1]]
    camera = {"pose": pose, "fl_x": 160, "fl_y": 160, "cx": 64, "cy": 64, "width": 128, "height": 128}
    job = ask("render", run=run, instance=instance, camera=camera, passes=["colour", "depth"])["job"]
    _, arrays = follow(job)
    np.save(out, arrays["colour"])  # (128, 128, 4) float32: sRGB with straight alpha
    print(f"{out}: {arrays['colour'].shape}, nearest point at {arrays['depth'][arrays['depth'] > 0].min():.2f}")
