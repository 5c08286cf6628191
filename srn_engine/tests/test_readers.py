"""Foreign layouts: cameras and pictures as their own readers see them."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srn_engine.cameras import Intrinsics
from srn_engine.data.dataset import SPLITS, Dataset
from srn_engine.data.lens import Lens
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.tests import foreign
from srn_engine.tests.scenes import RADIUS, write_ball


def reprojects(data: Dataset, split: str, poses: list[np.ndarray]) -> None:
    """Every camera sees points of the ball's surface where one at `poses` sees them in the world."""
    instance = data.instances[0]
    points = foreign.surface_points()
    moved = (points - instance.centre) / instance.scale
    cameras = data.views(split, instance.id).cameras
    assert len(cameras) == len(poses)
    for camera, pose in zip(cameras, poses, strict=True):
        size, expected = camera.intrinsics, (points - pose[:3, 3]) @ pose[:3, :3]
        local = (moved - camera.pose[:3, 3]) @ camera.pose[:3, :3]
        np.testing.assert_allclose(local * instance.scale, expected, atol=1e-6)
        pixels = local[:, :2] / local[:, 2:] * (size.fl_x, size.fl_y) + (size.cx, size.cy)
        truth = expected[:, :2] / expected[:, 2:] * foreign.SIZE.fl_x + 16
        scale = size.width / foreign.SIZE.width
        np.testing.assert_allclose(pixels, truth * scale, atol=1e-6)


def in_the_unit_sphere(data: Dataset) -> None:
    """The ball lies in the unit sphere and fills a good part of it, and the cameras stand outside."""
    instance = data.instances[0]
    middle = (foreign.MIDDLE - instance.centre) / instance.scale
    radius = RADIUS * foreign.STRETCH / instance.scale
    assert radius > 0.5 and np.linalg.norm(middle) + radius < 1
    for camera in data.views("train", instance.id).cameras:
        assert np.linalg.norm(camera.pose[:3, 3]) > 1.5


def test_nerf_synthetic(tmp_path: Path):
    data = open_dataset(foreign.write_nerf(tmp_path / "lego", (30, 2, 3)))
    assert [instance.id for instance in data.instances] == ["lego"] and data.passes == {"rgb", "rgba"}
    for seed, split in enumerate(SPLITS):
        reprojects(data, split, foreign.poses((30, 2, 3)[seed], seed))
    in_the_unit_sphere(data)
    views = data.views("test", "lego")
    assert views.names == ("test/r_0", "test/r_1", "test/r_2")
    np.testing.assert_array_equal(views.rgba(1), foreign.picture(foreign.poses(3, 2)[1]))


def test_the_unit_sphere_is_drawn_around_the_silhouettes(tmp_path: Path):
    """Without alpha there is what the cameras see whole, and nothing more to go by."""
    size = Intrinsics(76, 76, 32, 32, 64, 64)
    tight = open_dataset(foreign.write_nerf(tmp_path / "tight", (24, 0, 1), size))
    root = Path(shutil.copytree(tmp_path / "tight", tmp_path / "loose"))
    for path in root.rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    loose = open_dataset(root)
    assert loose.passes == {"rgb"} and (loose.views("train", "loose").rgba(0)[..., 3] == 255).all()
    sight = 3 * foreign.STRETCH * np.sin(np.arctan(16 / 38))
    assert loose.instances[0].scale == pytest.approx(sight)
    np.testing.assert_allclose(loose.instances[0].centre, foreign.MIDDLE, atol=1e-9)
    assert RADIUS * foreign.STRETCH < tight.instances[0].scale < 0.9 * sight
    in_the_unit_sphere(tight), in_the_unit_sphere(loose)


@pytest.mark.parametrize(
    "shared",
    [
        foreign.PIXELS,
        foreign.PIXELS
        | {"applied_transform": [[0, 1, 0, 5], [1, 0, 0, 0], [0, 0, -1, 0]], "camera_model": "OPENCV", "k1": 0.0},
        {"camera_angle_x": 2 * float(np.arctan(16 / 38))},
        {"x_fov": float(np.degrees(2 * np.arctan(16 / 38))), "w": 32, "h": 32},
        {"fl_y": 38.0},
    ],
    ids=["pixels", "applied transform", "radians", "degrees", "only y"],
)
def test_transforms_say_the_focal_length_in_many_ways(tmp_path: Path, shared: dict):
    data = open_dataset(foreign.write_transforms(tmp_path / "phone", shared))
    order = foreign.poses(10)
    reprojects(data, "test", [order[0], order[8]])
    reprojects(data, "train", [pose for number, pose in enumerate(order) if number % 8])
    assert len(data.views("val", "phone")) == 0
    assert data.views("test", "phone").cameras[0].intrinsics.fl_x == pytest.approx(38)


def test_each_frame_may_have_its_own_camera_and_the_file_its_splits(tmp_path: Path):
    frames = [foreign.PIXELS | {"fl_x": 40.0 + number, "cx": 15.0} for number in range(10)]
    frames[1]["file_path"] = "images\\1.png"
    splits = {
        "train_filenames": [f"images/{n}.png" for n in (5, 1, 2)],
        "val_filenames": [],
        "test_filenames": ["images/3.png"],
    }
    data = open_dataset(foreign.write_transforms(tmp_path / "own", splits, frames))
    views = data.views("train", "own")
    assert views.names == ("images/5", "images/1", "images/2")
    assert [camera.intrinsics.fl_x for camera in views.cameras] == [45, 41, 42]
    assert views.cameras[0].intrinsics.cx == 15
    assert data.views("test", "own").names == ("images/3",) and not data.having("val")


@pytest.mark.parametrize("kind", [{"k1": 0.1, "k2": 0.02, "p1": 0.001}, {"k1": 0.05, "camera_model": "OPENCV_FISHEYE"}])
def test_distortion_is_taken_out(tmp_path: Path, kind: dict):
    """The ball's outline, bent by the lens, is where the undistorted camera sees it."""
    from srn_engine.tests.test_lens import directions_of

    root = foreign.write_transforms(tmp_path / "bent", foreign.PIXELS | kind)
    fisheye = "camera_model" in kind
    lens = Lens(foreign.SIZE, (kind["k1"], kind.get("k2", 0), 0, 0), (kind.get("p1", 0), 0), fisheye)
    x, y = directions_of(lens)
    for number, pose in enumerate(foreign.poses(10)):
        local = (foreign.MIDDLE - pose[:3, 3]) @ pose[:3, :3]
        rays = np.stack([x, y, np.ones_like(x)], -1) / np.sqrt(x * x + y * y + 1)[..., None]
        hit = np.linalg.norm(np.cross(rays, local), axis=-1) < RADIUS * foreign.STRETCH
        Image.fromarray((hit[..., None] * np.array([200, 100, 50, 255])).astype(np.uint8)).save(
            root / "images" / f"{number}.png"
        )
    views = open_dataset(root).views("train", "bent")
    pinhole = views.cameras[0].intrinsics
    assert pinhole == lens.pinhole()
    for n in range(len(views)):
        order = [number for number in range(10) if number % 8]
        truth = foreign.picture(foreign.poses(10)[order[n]], pinhole)[..., 3]
        wrong = np.abs(views.rgba(n)[..., 3].astype(int) - truth) > 128
        assert wrong.sum() <= 0.02 * truth.size


def test_a_mask_says_what_is_background(tmp_path: Path):
    root = foreign.write_transforms(
        tmp_path / "masked", foreign.PIXELS, [{"mask_path": f"images/mask_{n}.png"} for n in range(10)]
    )
    for number, pose in enumerate(foreign.poses(10)):
        rgba = foreign.picture(pose)
        Image.fromarray(rgba[..., :3]).save(root / "images" / f"{number}.png")
        Image.fromarray((rgba[..., 3] > 127).astype(np.uint8) * 255).save(root / "images" / f"mask_{number}.png")
    data = open_dataset(root)
    assert "rgba" in data.passes
    alpha = data.views("test", "masked").rgba(0)[..., 3]
    np.testing.assert_array_equal(alpha, np.where(foreign.picture(foreign.poses(1)[0])[..., 3] > 127, 255, 0))


@pytest.mark.parametrize(
    ("camera", "name"),
    [
        ("PINHOLE 32 32 38 38 16 16", "photo {:02d}.png"),
        ("SIMPLE_PINHOLE 32 32 38 16 16", "left/photo {:02d}.png"),
        ("PINHOLE 64 64 76 76 32 32", "{:02d}.png"),  # the pictures were halved, as for Gaussian splatting
        ("OPENCV 32 32 38 38 16 16 0 0 0 0", "{:02d}.png"),
    ],
)
def test_colmap_text(tmp_path: Path, camera: str, name: str):
    data = open_dataset(foreign.write_colmap(tmp_path / "garden", 18, camera, name))
    order = foreign.poses(18)
    reprojects(data, "test", [order[0], order[8], order[16]])
    reprojects(data, "train", [pose for number, pose in enumerate(order) if number % 8])
    assert data.views("test", "garden").names[1] == name.format(8).removesuffix(".png")


def test_colmap_says_its_test_views(tmp_path: Path):
    root = foreign.write_colmap(tmp_path / "garden")
    (root / "sparse/0/test.txt").write_text("photo 03.png\nphoto 05.png\n", encoding="utf-8")
    data = open_dataset(root)
    assert data.views("test", "garden").names == ("photo 03", "photo 05") and len(data.views("train", "garden")) == 8


@pytest.mark.parametrize(
    ("model", "parameters", "lens"),
    [
        ("SIMPLE_RADIAL", [38, 16, 16, 0.1], Lens(foreign.SIZE, (0.1, 0, 0, 0))),
        ("RADIAL", [38, 16, 16, 0.1, 0.01], Lens(foreign.SIZE, (0.1, 0.01, 0, 0))),
        ("OPENCV", [38, 38, 16, 16, 0.1, 0.01, 0.001, 0.002], Lens(foreign.SIZE, (0.1, 0.01, 0, 0), (0.001, 0.002))),
        ("OPENCV_FISHEYE", [38, 38, 16, 16, 0.1, 0, 0, 0], Lens(foreign.SIZE, (0.1, 0, 0, 0), fisheye=True)),
    ],
)
def test_what_colmap_itself_writes(tmp_path: Path, model: str, parameters: list[float], lens: Lens):
    pycolmap = pytest.importorskip("pycolmap")
    root = foreign.write_colmap(tmp_path / "garden", name="photo_{:02d}.png")
    scene = pycolmap.Reconstruction(str(root / "sparse/0"))
    scene.cameras[1].model = getattr(pycolmap.CameraModelId, model)
    scene.cameras[1].params = parameters
    for end, write in {"bin": scene.write_binary, "txt": scene.write_text}.items():
        shutil.rmtree(root / "sparse/0")
        (root / "sparse/0").mkdir()
        write(str(root / "sparse/0"))
        assert (root / "sparse/0" / f"images.{end}").is_file()
        views = open_dataset(root).views("train", "garden")
        assert views.views[0].colour.lens == lens
        assert views.cameras[0].intrinsics == lens.pinhole()
        instance = open_dataset(root).instances[0]
        back = views.cameras[0].pose[:3, 3] * instance.scale + instance.centre
        np.testing.assert_allclose(back, foreign.poses(10)[1][:3, 3], atol=1e-6)


def test_srn_folders_as_the_authors_ship_them(tmp_path: Path):
    """Training instances, further views of them, held-out instances, and chairs one folder deeper."""
    folders = {
        "cars_train": "abc", "cars_train_val": "abc", "cars_train_test": "abc", "cars_val": "d", "cars_test": "ef",
    }  # fmt: skip
    data = open_dataset(foreign.write_instances(tmp_path / "srn", folders))
    assert "".join(instance.id for instance in data.instances) == "abcdef"
    having = {split: "".join(instance.id for instance in data.having(split)) for split in SPLITS}
    assert having == {"train": "abc", "val": "abcd", "test": "abcef"}
    assert len(data.views("train", "d")) == 0 and len(data.views("val", "d")) == 4
    reprojects(data, "train", foreign.poses(4))
    in_the_unit_sphere(data)
    assert len({(one.centre, one.scale) for one in data.instances}) == 1, "a class has one scale"

    foreign.write_instances(tmp_path / "deep", {"chairs_train/chairs_2.0_train": "ab", "chairs_test": "c"})
    assert len(open_dataset(tmp_path / "deep").having("train")) == 2


def test_srn_folders_of_several_classes_are_told_apart_by_name(tmp_path: Path):
    root = foreign.write_instances(tmp_path, {"cars_train": "ab", "cars_test": "c", "chairs_train": "d"})
    with pytest.raises(UserError, match="cars and chairs"):
        open_dataset(root)
    assert len(open_dataset(root / "cars").instances) == 3
    assert [one.id for one in open_dataset(root / "chairs").instances] == ["d"]


def test_a_plain_folder_of_instances_and_a_single_one(tmp_path: Path):
    root = foreign.write_instances(tmp_path, {"things": ["a", "b"]}, count=10, lines=True) / "things"
    for data in (open_dataset(root), open_dataset(root / "a")):
        assert data.views("test", "a").names == ("000000", "000008")
        reprojects(data, "train", [pose for number, pose in enumerate(foreign.poses(10)) if number % 8])
    assert len(open_dataset(root).instances) == 2 and len(open_dataset(root / "a").instances) == 1


def test_deepvoxels(tmp_path: Path):
    scenes = ["cube", "vase"]
    root = foreign.write_instances(tmp_path / "dv", {"train": scenes, "validation": scenes, "test": scenes})
    for path in root.rglob("intrinsics.txt"):  # a near plane more, and no zero after cx cy
        path.write_text("38.0 16.0 16.0\n0. 0. 0.\n0.\n1.\n32 32\n", encoding="utf-8")
    data = open_dataset(root)
    assert [one.id for one in data.instances] == ["cube", "vase"]
    assert all(len(data.having(split)) == 2 for split in SPLITS)
    reprojects(data, "val", foreign.poses(4))


def test_poses_from_the_world_to_the_camera_are_turned(tmp_path: Path):
    root = foreign.write_instances(tmp_path / "srn", {"cars_train": "a"}, tail="1\n")
    for number, pose in enumerate(foreign.poses(4)):
        text = " ".join(map(repr, map(float, np.linalg.inv(pose).flat)))
        (root / f"cars_train/a/pose/{number:06d}.txt").write_text(text, encoding="utf-8")
    reprojects(open_dataset(root), "train", foreign.poses(4))


def test_pictures_of_another_size_than_intrinsics_say(tmp_path: Path):
    """As the authors' reader scales them: DeepVoxels' files describe the camera before a square crop."""
    root = foreign.write_instances(tmp_path / "srn", {"cars_train": "a"})
    (root / "cars_train/a/intrinsics.txt").write_text("570 319.5 239.5 0.\n0. 0. 0.\n1.\n480 640\n")
    size = open_dataset(root).views("train", "a").cameras[0].intrinsics
    assert (size.fl_x, size.cx, size.cy) == pytest.approx((38, 319.5 / 20, 239.5 / 15))


def test_white_around_the_object_is_empty(tmp_path: Path):
    root = foreign.write_instances(tmp_path / "srn", {"cars_train": "a"})
    path = root / "cars_train/a/rgb/000000.png"
    white = np.asarray(Image.open(path)).copy()
    white[15:17, 15:17] = 255  # a highlight
    Image.fromarray(white).save(path)
    rgba = open_dataset(root).views("train", "a").rgba(0)
    truth = foreign.picture(foreign.poses(1)[0])
    np.testing.assert_array_equal(rgba[..., 3] > 0, (truth[..., 3] > 0) & (foreign.over_white(truth) < 255).any(-1))
    assert (rgba[15:17, 15:17] == 255).all()


def test_labels_of_semantic_srn(tmp_path: Path):
    root = foreign.write_instances(tmp_path / "srn", {"cars_train": "ab"})
    (root / "cars_train/a/seg").mkdir()
    ids = np.zeros((32, 32), np.uint8)
    ids[4:8], ids[20:] = 1, 3
    Image.fromarray(ids).save(root / "cars_train/a/seg/000001.png")
    data = open_dataset(root)
    assert [one.name for one in data.classes] == ["background", "class 1", "class 2", "class 3"]
    views = data.views("train", "a")
    assert views.has("semantic") and not views.has("semantic", 0) and not data.views("train", "b").has("semantic")
    np.testing.assert_array_equal(views.semantic(1), ids)
    (root / "classes.txt").write_text("background\nroof\nwheel\n", encoding="utf-8")
    data = open_dataset(root)
    assert [one.name for one in data.classes] == ["background", "roof", "wheel"]
    with pytest.raises(UserError, match="class 3, which the dataset does not name"):
        data.views("train", "a").semantic(1)


def png_16(pixels: np.ndarray) -> bytes:
    """A 16 bit PNG of (H, W, C) pixels, rows filtered in turn by none and by the pixel to the left."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    left = np.concatenate([np.zeros((height, 2 * channels), np.uint8), rows[:, : -2 * channels]], axis=1)
    raw = b"".join(
        bytes([row % 2]) + (rows[row] - (left[row] if row % 2 else 0)).astype(np.uint8).tobytes()
        for row in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_16_bit_keep_them(tmp_path: Path, channels: int):
    root = foreign.write_nerf(tmp_path / "deep")
    pixels = np.random.default_rng(0).integers(0, 65536, (32, 32, channels)).astype(np.uint16)
    (root / "train/r_3.png").write_bytes(png_16(pixels))
    seen = open_dataset(root).views("train", "deep").rgba(3)
    assert seen.dtype == np.uint16
    np.testing.assert_array_equal(seen[..., :3], np.broadcast_to(pixels[..., :3], (32, 32, 3)))
    np.testing.assert_array_equal(seen[..., 3], pixels[..., 3] if channels == 4 else 65535)


def test_pictures_of_every_usual_kind_are_read(tmp_path: Path):
    frames = [{"file_path": f"images/{n}.{end}"} for n, end in enumerate(("jpg", "webp", "png", "png", "png"))]
    root = foreign.write_transforms(tmp_path / "kinds", foreign.PIXELS, frames)
    kept = Image.open(root / "images/0.png")
    kept.convert("RGB").save(root / "images/0.jpg", quality=95)
    kept.save(root / "images/1.webp", lossless=True)
    kept.convert("P").save(root / "images/2.png")
    kept.convert("L").save(root / "images/3.png")
    kept.convert("LA").save(root / "images/4.png")
    data = open_dataset(root)
    views = [data.views(split, "kinds") for split in ("test", "train")]
    seen = {name: one.rgba(n) for one in views for n, name in enumerate(one.names)}
    assert all(rgba.shape == (32, 32, 4) and rgba.dtype == np.uint8 for rgba in seen.values())
    np.testing.assert_array_equal(seen["images/1"], np.asarray(kept))
    np.testing.assert_array_equal(seen["images/4"][..., 3], np.asarray(kept)[..., 3])
    assert (seen["images/0"][..., 3] == 255).all() and (seen["images/3"][..., 3] == 255).all()
    assert np.abs(seen["images/0"][12:20, 12:20, :3].astype(int) - np.asarray(kept)[12:20, 12:20, :3]).mean() < 12


def test_a_capture_is_read_as_a_capture_though_it_is_others_too(tmp_path: Path):
    root = write_ball(tmp_path / "ball", train=3, test=1, size=16)
    (root / "transforms_train.json").write_text("{}", encoding="utf-8")
    assert "depth" in open_dataset(root).passes
