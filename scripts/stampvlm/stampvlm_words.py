"""How the projector that train.py trained says what an object is, which its low-rank update can read."""

import numpy as np
import torch

from scenes import load_maker
from stampvlm_parts import load_vision_and_projector
from vision_layers import patch_features, projected

COVERED_SHARE = 0.6
SCENES = 250
SEED = 5


@torch.no_grad()
def name_projections(parts, stamps, names, pixels_of):
    """[1 + names, hidden]: its mean projection of patches that show only background, and of
    those that each object covers, over SCENES stamp scenes. pixels_of(picture): [3, size, size]."""
    tower, projector = load_vision_and_projector(parts, parts)
    side, maker = tower.config.patch_size, load_maker(stamps)
    sums = torch.zeros(1 + len(names), projector.linear_2.out_features)
    counts = torch.zeros(1 + len(names), 1)
    for index in range(SCENES):
        picture, owners, scene, _ = maker.make(SEED, index)
        features = projected(projector, patch_features(tower, pixels_of(picture)[None])[0]).float()
        blocks = owners.reshape(len(owners) // side, side, -1, side).swapaxes(1, 2)
        blocks = blocks.reshape(len(features), -1)
        for number, thing in [(-1, None), *enumerate(scene["objects"])]:
            least = COVERED_SHARE if thing else 0.999
            shown = torch.from_numpy(np.flatnonzero((blocks == number).mean(1) > least))
            row = 1 + names.index(thing["name"]) if thing else 0
            sums[row] += features[shown].sum(0)
            counts[row] += len(shown)
    return sums / counts.clamp(min=1)
