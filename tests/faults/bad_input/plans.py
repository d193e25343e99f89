"""Ways in which the plan of examples that are computed can be wrong."""

import numpy as np

from tests.faults.bad_input.damage import Kinds, flipped, on_bytes, on_json, remove, without
from tests.faults.bad_input.stored import META, PLANS, attribute, changed, overwrite

KINDS = Kinds()
kind = KINDS.add

for which, own in zip(PLANS, ("sudoku", "maze", "arc"), strict=True):
    kind(which, "of an unknown kind", attribute("plan", "kind", "chess"), "x.zarr: kind 'chess'")
    kind(which, "kind a list", attribute("plan", "kind", []), "x.zarr: ")
    kind(
        which,
        "of another kind",
        attribute("plan", "kind", "maze" if own == "sudoku" else "sudoku"),
        "x.zarr: ",
    )
    kind(which, "no plan folder", remove("x.zarr/plan"), "x.zarr/plan: ")
    kind(which, "another seed type", attribute("header", "seed", 1.5), "header's seed")
    kind(
        which,
        "more augmentations than planned",
        attribute("header", "augmentations", 7),
        "x.zarr: ",
    ) if own != "arc" else None
    kind(
        which,
        "fewer groups",
        overwrite("group_offsets", lambda v: np.array([0, v[-1]])),
        "group_offsets is not that of the planned",
    )
for which, names in ((PLANS[0], ("puzzles", "answers")), (PLANS[1], ("inputs", "labels"))):
    for name in names:
        kind(which, f"no {name}", remove(f"x.zarr/plan/{name}"), f"x.zarr: no {name!r}")
        kind(
            which, f"{name} without chunk", remove(f"x.zarr/plan/{name}/c"), f"plan/{name}: only 0"
        )
        kind(
            which,
            f"{name} flipped",
            on_bytes(f"x.zarr/plan/{name}/c/0/0", lambda d: flipped(d, 20)),
            f"plan/{name}: ",
        )
        kind(
            which,
            f"{name} of floats",
            overwrite(f"plan/{name}", lambda v: v.astype(float)),
            "float64",
        )
        kind(which, f"{name} of fewer", overwrite(f"plan/{name}", lambda v: v[1:]), "x.zarr: ")
        kind(which, f"{name} narrower", overwrite(f"plan/{name}", lambda v: v[:, 1:]), "x.zarr: ")
        kind(which, f"{name} flat", overwrite(f"plan/{name}", lambda v: v.ravel()), "x.zarr: ")
        kind(
            which,
            f"{name} out of range",
            overwrite(f"plan/{name}", lambda v: changed(v, 0, 77)),
            "x.zarr: ",
        )
kind(
    PLANS[0], "parameters", attribute("plan", "parameters", {"copies": 1}), "parameters ['copies']"
)
kind(
    PLANS[2],
    "no tasks",
    on_json(META, without("attributes", "plan", "parameters", "tasks")),
    "no 'tasks'",
)
kind(
    PLANS[2],
    "tasks text",
    attribute("plan", "parameters", "tasks", "ab"),
    "tasks: expected a list of names",
)
kind(
    PLANS[2],
    "tasks numbers",
    attribute("plan", "parameters", "tasks", [1, 2]),
    "tasks: expected a list of names",
)
kind(
    PLANS[2],
    "one task less",
    attribute("plan", "parameters", "tasks", ["one"]),
    "pair_offsets is int64 [3]",
)
kind(
    PLANS[2],
    "translate text",
    attribute("plan", "parameters", "translate", "yes"),
    "translate='yes'",
)
for name in (
    "cells",
    "shapes",
    "pair_offsets",
    "group_offsets",
    "puzzle_ids",
    "dihedrals",
    "colours",
):
    kind(PLANS[2], f"no {name}", remove(f"x.zarr/plan/{name}"), f"x.zarr: no {name!r}")
    kind(
        PLANS[2],
        f"{name} of floats",
        overwrite(f"plan/{name}", lambda v: v.astype(float)),
        f"{name} is float64",
    )
    kind(PLANS[2], f"{name} one less", overwrite(f"plan/{name}", lambda v: v[:-1]), "x.zarr: ")
    kind(
        PLANS[2],
        f"{name} with another axis",
        overwrite(f"plan/{name}", lambda v: v[..., None]),
        "x.zarr: ",
    )
for name, array, value, says in (
    ("shape 0", "shapes", 0, "shapes: expected sides of 1..8"),
    ("shape 9", "shapes", 9, "shapes: expected sides of 1..8"),
    ("colour 12 in a grid", "cells", 12, "colour 12"),
    ("symmetry 8", "dihedrals", 8, "symmetry 8"),
    ("colours repeated", "colours", 1, "colours: expected permutations"),
    ("colours too large", "colours", 200, "colours: expected perm"),
    ("pairs falling", "pair_offsets", 10**9, "pair_offsets: expected to rise"),
    ("groups falling", "group_offsets", -5, "group_offsets: ex"),
    ("other ids", "puzzle_ids", 99, "puzzle_ids is not that of the planned"),
):
    kind(
        PLANS[2],
        name,
        overwrite(f"plan/{array}", lambda v, value=value: changed(v, 1, value)),
        says,
    )
