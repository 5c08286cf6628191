import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srn_engine.pictures import (
    ERROR_SCALE,
    MISS_COLOUR,
    Embedding,
    LabelClass,
    Picture,
    ViewResult,
    depth_picture,
    error_picture,
    label_picture,
)
from srn_engine.report import write_report

CLASSES = [
    LabelClass("background", (0.0, 0.0, 0.0)),
    LabelClass("clay & <glaze>", (0.9, 0.3, 0.1)),
    LabelClass("wood", (0.2, 0.5, 0.8)),
]


def ball(size: int, shift: float, noise: float, seed: int) -> Picture:
    """A lit ball with two materials, its depth and its labels, moved and made noisy by known amounts."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, size), np.linspace(-1.2, 1.2, size))
    x = x - shift
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    labels = np.where(inside, np.where(y > 0.2, 1, 2), 0).astype(np.uint8)
    base = np.array([[1.0, 1.0, 1.0], [0.9, 0.4, 0.2], [0.3, 0.5, 0.8]])[labels]
    shade = np.where(inside, 0.35 + 0.65 * z, 1.0)[..., None]
    colour = np.clip(base * shade + rng.normal(0, noise, (size, size, 3)) * inside[..., None], 0, 1)
    return Picture(colour.astype(np.float32), np.where(inside, 2.4 - z, 0.0).astype(np.float32), labels)


def results(count: int, size: int = 48) -> list[ViewResult]:
    return [
        ViewResult(f"test {i:03d}", ball(size, 0.0, 0.0, i), ball(size, 0.01 * i, 0.02, i), 36.0 - i, 0.98, 0.01, 0.95)
        for i in range(count)
    ]


def test_pictures_show_what_they_say() -> None:
    grey = np.full((2, 2, 3), 0.5)
    off = grey.copy()
    off[0, 0] += ERROR_SCALE
    heat = error_picture(grey, off)
    assert heat[0, 0].astype(int).sum() > 500  # the brightest end of the map
    assert heat[1, 1].astype(int).sum() < 30
    depth = depth_picture(np.array([[0.0, 1.0], [2.0, 3.0]]), (1.0, 3.0))
    assert tuple(depth[0, 0]) == MISS_COLOUR
    assert len({tuple(pixel) for pixel in depth.reshape(-1, 3)}) == 4
    labels = label_picture(np.array([[0, 2], [1, 1]]), CLASSES)
    assert tuple(labels[0, 1]) == (51, 128, 204)
    assert tuple(labels[0, 0]) == (0, 0, 0)


def test_report_is_whole_and_worst_first(tmp_path: Path) -> None:
    mean = {"psnr": 33.0, "render_ms_per_view": 21.0}
    page = write_report(tmp_path / "new", "Ball & <co>", results(7), mean, CLASSES, [(1.0, 20.0), (30.0, 33.0)])
    text = page.read_text(encoding="utf-8")
    assert sorted(path.name for path in page.parent.iterdir()) == ["compare.png", "report.html"]
    assert "Ball &amp; &lt;co&gt;" in text and "clay &amp; &lt;glaze&gt;" in text
    assert "<co>" not in text
    assert re.findall(r"<td>(test \d+)</td>", text) == [f"test {i:03d}" for i in reversed(range(7))]
    assert text.count('alt="Cycles"') == 7
    assert not re.search(r'(src|href)="(?!data:)', text), "the report must not load anything"
    with Image.open(page.parent / "compare.png") as sheet:
        assert sheet.width > 5 * 150 and sheet.height > 7 * 150
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    # the palette of the labels is on the sheet as it is in the dataset
    assert (np.abs(pixels.astype(int) - (51, 128, 204)).sum(axis=1) == 0).sum() > 1000


def test_report_without_depth_and_labels(tmp_path: Path) -> None:
    views = [ViewResult("one", Picture(v.truth.colour), Picture(v.neural.colour), 30.0, 0.9) for v in results(1)]
    text = write_report(tmp_path, "Plain", views, {"psnr": 30.0, "miou": None}).read_text(encoding="utf-8")
    assert "labels" not in text and "mIoU" not in text and "depth" not in text, "what no view has is left out"


def test_some_views_without_a_pass_keep_its_column(tmp_path: Path) -> None:
    few = results(2)
    views = [few[0], ViewResult("bare", few[1].truth, few[1].neural, 30.0, 0.9)]
    text = write_report(tmp_path, "Mixed", views, {"psnr": 30.0}, CLASSES).read_text(encoding="utf-8")
    row = re.search(r"<tr><td>bare</td>(.*?)</tr>", text)
    assert row and row[1].count("–") == 2 and "LPIPS" not in text


def test_the_spread_and_the_instances_are_shown(tmp_path: Path) -> None:
    views = [ViewResult(**{**vars(view), "lpips": 0.1 * n}) for n, view in enumerate(results(6))]
    of_instances = {name: {"psnr": psnr, "ssim": 0.9, "depth_abs_rel": 0.1, "miou": 0.5, "lpips": 0.1}
                    for name, psnr in (("oak", 30.0), ("<elm>", 20.0))}  # fmt: skip
    text = write_report(tmp_path, "Many", views, {}, CLASSES, instances=of_instances).read_text(encoding="utf-8")
    assert re.findall(r"<td>(oak|&lt;elm&gt;)</td>", text) == ["&lt;elm&gt;", "oak"]
    assert "<th>LPIPS</th>" in text and ">0.5000<" in text
    shown = re.search(r'class="spread"[^>]*base64,([^"]*)"', text)
    assert shown
    with Image.open(io.BytesIO(base64.b64decode(shown[1]))) as picture:
        assert picture.width > 5 * 200, "a histogram for each of five metrics"


def test_features_are_drawn_in_the_colours_of_their_classes(tmp_path: Path) -> None:
    places = np.concatenate([np.random.default_rng(0).normal((x, 0), 0.1, (200, 2)) for x in (-1, 1)])
    embedding = Embedding(places, np.repeat([1, 2], 200))
    text = write_report(tmp_path, "Ball", results(1), {}, CLASSES, embedding=embedding).read_text(encoding="utf-8")
    shown = re.search(r'class="features"[^>]*base64,([^"]*)"', text)
    assert shown and "wood" in text[: shown.start()], "the key comes first"
    with Image.open(io.BytesIO(base64.b64decode(shown[1]))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    half = pixels.shape[1] // 2
    for side, colour in ((pixels[:, :half], (230, 77, 26)), (pixels[:, half:], (51, 128, 204))):
        drawn = side[side[..., 3] == 255][:, :3].astype(int)
        assert len(drawn) > 500 and (np.abs(drawn - colour).max(axis=1) <= 1).all()


def test_report_needs_a_view(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one view"):
        write_report(tmp_path, "Empty", [], {})
