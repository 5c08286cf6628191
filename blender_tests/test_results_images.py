"""Arrays become image datablocks and keep their values, also through a saved file."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from srn_blender.results import images

PALETTE = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.6, 1.0]]


def arrays(height: int, width: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 3.0, (height, width)).astype(np.float32)
    depth[0, 0] = 0.0
    return {
        "colour": rng.random((height, width, 4), np.float32),
        "depth": depth,
        "normal": rng.uniform(-1.0, 1.0, (height, width, 3)).astype(np.float32),
        "semantic": rng.integers(0, 3, (height, width)).astype(np.uint8),
    }


def check(sent: dict[str, np.ndarray], scale: float) -> None:
    held = {image.name: images.pixels_of(image) for image in bpy.data.images if image.name.startswith("SRN")}
    assert np.abs(held[images.COLOUR] - sent["colour"]).max() <= 0.5 / 255 + 1e-6
    hit = sent["depth"] > 0
    np.testing.assert_array_equal(held[images.DEPTH][..., 0][hit], (sent["depth"] * np.float32(scale))[hit])
    assert (held[images.DEPTH][~hit][:, 0] == np.float32(1e10)).all()
    np.testing.assert_array_equal(held[images.NORMAL][..., :3], sent["normal"])
    np.testing.assert_array_equal(held[images.LABEL_IDS][..., 0], sent["semantic"])
    labels = held[images.LABELS]
    np.testing.assert_allclose(labels[..., :3], np.asarray(PALETTE)[sent["semantic"]], atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(labels[..., 3], sent["semantic"] > 0)


def test_values_and_names_stay_over_several_sizes() -> None:
    for seed, (height, width) in enumerate(((6, 8), (4, 16), (4, 16))):
        sent = arrays(height, width, seed)
        shown = images.show(sent, 2.5, PALETTE)
        assert all(tuple(image.size) == (width, height) for image in shown.values())
        check(sent, 2.5)
    ours = [image.name for image in bpy.data.images if image.name.startswith("SRN")]
    assert sorted(ours) == sorted([images.COLOUR, images.DEPTH, images.NORMAL, images.LABELS, images.LABEL_IDS])


def test_only_what_was_sent_is_replaced() -> None:
    images.show(arrays(4, 4, 0), 1.0, PALETTE)
    before = images.pixels_of(bpy.data.images[images.DEPTH])
    shown = images.show({"colour": np.ones((4, 4, 4), np.float32)}, 1.0, PALETTE)
    assert list(shown) == [images.COLOUR]
    np.testing.assert_array_equal(images.pixels_of(bpy.data.images[images.DEPTH]), before)


def test_an_image_of_the_wrong_kind_under_our_name_is_made_right() -> None:
    bpy.data.images.new(images.DEPTH, 3, 3, float_buffer=False)
    sent = arrays(4, 6)
    images.show(sent, 1.0, PALETTE)
    check(sent, 1.0)


def test_everything_is_in_the_saved_file(tmp_path: Path) -> None:
    sent = arrays(5, 7)
    images.show(sent, 3.0, PALETTE)
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert images.COLOUR not in bpy.data.images
    bpy.ops.wm.open_mainfile(filepath=path)
    check(sent, 3.0)
    assert bpy.data.images[images.COLOUR].colorspace_settings.name == "sRGB"
    assert bpy.data.images[images.NORMAL].colorspace_settings.name == "Non-Color"
