"""The client that docs/protocol.md shows, run as a stranger would run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from srn_engine.tests.scenes import write_ball
from srn_engine.tests.server_harness import ROOT, TOKEN, EngineProcess


def test_the_example_trains_and_saves_a_view(tmp_path: Path) -> None:
    dataset = write_ball(tmp_path / "dataset")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    engine = EngineProcess("--device", "cpu", program=("-m", "srn_engine", "serve"))
    # But for its training, which takes steps here: what seconds teach is the machine's doing.
    text = (ROOT / "docs" / "protocol_client.py").read_text(encoding="utf-8")
    assert text.count("seconds=5") == 1
    program = tmp_path / "client.py"
    program.write_text(text.replace("seconds=5", "steps=20"), encoding="utf-8")
    try:
        arguments = [token, str(engine.port), dataset, tmp_path / "run", tmp_path / "view.npy"]
        done = subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True, check=False)
    finally:
        engine.kill()
    assert done.returncode == 0, done.stderr
    view = np.load(tmp_path / "view.npy")
    assert view.shape == (128, 128, 4)
    assert view[64, 64, 3] > 0.9 and view[2, 2, 3] < 0.1, "the ball in the middle of nothing"
