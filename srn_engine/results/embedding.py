"""How a run's features lie to one another: a plane on which rays with like features lie close (t-SNE)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from srn_engine.data.dataset import Views
from srn_engine.model.interfaces import SemanticHead
from srn_engine.pictures import Embedding
from srn_engine.train.labels import COVERED
from srn_engine.train.run import Run

RAYS = 2000
MOST_VIEWS = 40
DIMENSIONS = 30  # that t-SNE looks at: what is left beyond them is noise, and time
LEAST = 50  # rays below which there is nothing to see


def embed(run: Run, head: SemanticHead, views: Sequence[Views]) -> Embedding | None:
    """Places rays of held-out views, a share of each instance's, by what the semantic head reads of them.

    Their class is the dataset's where a view has labels, else the head's. None where hardly a ray meets an instance.
    """
    chosen = [(one, number) for one in views for number in range(len(one))]
    chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_VIEWS)).astype(int)]
    random = np.random.default_rng(0)
    drawn = [_features(run, head, one, number, -(-RAYS // len(chosen)), random) for one, number in chosen]
    features, labels = (np.concatenate(part) for part in zip(*drawn, strict=True))
    if len(features) < LEAST:
        return None
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    reduced = PCA(min(DIMENSIONS, *standard.shape), random_state=0).fit_transform(standard)
    places = TSNE(init="pca", max_iter=500, random_state=0).fit_transform(reduced)
    return Embedding(places.astype(np.float32), labels)


@torch.no_grad()
def _features(
    run: Run, head: SemanticHead, views: Views, number: int, count: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What the head reads of at most `count` rays of a view that meet the instance, and their classes."""
    camera = views.cameras[number].shifted(0.5 - run.scene.pixel_centre)
    every = camera.rays(run.scene.device)
    pixels = torch.from_numpy(random.permutation(len(every))[: 16 * count])
    scene = run.scene_of(views.instance.id)
    marched = scene.render(every[pixels.to(every.origins.device)]).marched
    labels = scene.labels(marched).cpu().numpy()
    met = (labels > 0) & (marched.opacity.cpu().numpy() > COVERED)
    if views.has("semantic", number):
        labels = views.semantic(number).reshape(-1)[pixels.numpy()]
        met &= labels > 0
    kept = np.nonzero(met)[0][:count]
    inputs = head.inputs(marched.label_feature, marched.opacity)[torch.from_numpy(kept).to(every.origins.device)]
    return inputs.cpu().numpy(), labels[kept]
