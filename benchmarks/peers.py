"""The objectives here beside those of other libraries, update by update.

    .venv/bin/python benchmarks/peers.py --subpopbench PATH --vb-mitigator PATH

PATH is a work tree of https://github.com/YyzHarry/SubpopBench or of
https://github.com/mever-team/vb-mitigator (`peers.json`: 4d3dbbe and 2f79f09); nothing of them is
part of this repository. Their class makes an update by its own method, with its own optimiser; ours
begins from a copy of its network, sees the same batches and takes steps of the same optimiser.
After 20 steps (stochastic gradient descent with momentum and weight decay) the largest difference
between two parameters is reported. What they import and these updates never call (data sets,
pretrained models, progress bars) is replaced by empty modules; `.cuda()` does nothing.

Where a method differs, `differs` says in what, and the comparison is run with that set alike, so
that nothing else is left to differ:

- SubpopBench JTT weighs the loss of errors by lambda where we draw them lambda times. Each error
  stands lambda times in our batch, and the step is longer by its larger size.
- SubpopBench LfF compares plain losses of a batch: no moving average, no division by the largest of
  the class, which the authors' code has. Ours is run without both. Its biased network's gradient is
  multiplied by q once more, as in the authors' code: our step of that network is q times as long.
- SubpopBench DFR takes steps of last-layer training with an L1 penalty; ours are the optima of ten
  logistic regressions with an L2 penalty, averaged. Nothing to compare step by step.
- VB-Mitigator JTT adds lambda copies of the errors to all images, as the authors' code does: an
  error counts lambda + 1 times. Its set of images is compared with our multiples, copy by copy.
- VB-Mitigator GroupDRO numbers groups by label * 2 + attribute * 2 when both are binary: two of the
  four are one, and the last has no number and is left out of the loss. It is given half of the
  attribute's value, which makes its number right.
- VB-Mitigator LfF takes the mean loss of the batch for that of each of its images, and the largest
  of a class that any image ever had for that of now. Both are set as in the authors' code.
"""

import argparse
import copy
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from debias.training.batches import Batch
from debias.training.objectives import OBJECTIVES
from debias.training.objectives.lff import Pair
from debias.training.objectives.objective import Supervised

STEPS, SIZE, IMAGES, WIDTH, CLASSES = 20, 32, 240, 12, 2
RATE, MOMENTUM, DECAY = 0.05, 0.9, 1e-4
CLOSE = 1e-5

Result = dict[str, object]
Results = dict[str, Result]


class Absent:
    """Finds an empty module in place of each of some packages; names in it are empty classes."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name in self.names or any(name.startswith(f"{one}.") for one in self.names):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        def empty(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module = ModuleType(spec.name)
        module.__getattr__ = empty  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None: ...


@dataclass
class Lesson:
    """Training points: a label, and an attribute that follows it in nine of ten."""

    network_of: Callable[[], nn.Module]
    classes: int = CLASSES
    epochs: int = 1
    pixels: torch.Tensor = field(init=False)
    labels: np.ndarray = field(init=False)
    attribute: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        noise = np.random.default_rng(0)
        self.labels = (np.arange(IMAGES) % 3 == 0).astype(np.int64)
        self.attribute = self.labels ^ (noise.random(IMAGES) < 0.1)
        points = noise.normal(size=(IMAGES, WIDTH))
        points[:, 0] += 0.7 * self.labels
        points[:, 1] += 2 * self.attribute
        self.pixels = torch.from_numpy(points).float()

    def labels_of(self, split: str) -> np.ndarray:
        return self.labels

    def groups_of(self, split: str) -> np.ndarray:
        return 2 * self.labels + self.attribute

    def positions(self, batch: Batch) -> torch.Tensor:
        return batch.index

    def network(self) -> nn.Module:
        return self.network_of()

    def batches(self) -> Iterator[torch.Tensor]:
        noise = np.random.default_rng(1)
        for _ in range(STEPS):
            yield torch.from_numpy(noise.choice(IMAGES, SIZE, replace=False))

    def batch(self, rows: torch.Tensor) -> Batch:
        label = torch.from_numpy(self.labels)[rows]
        return SimpleNamespace(image=self.pixels[rows], label=label, index=rows)  # type: ignore[return-value]


def steps(network: nn.Module, scale: float = 1.0) -> torch.optim.Optimizer:
    """The optimiser of both sides, as of a loss that is multiplied by ``scale``."""
    return torch.optim.SGD(
        network.parameters(), lr=RATE * scale, momentum=MOMENTUM, weight_decay=DECAY / scale
    )


def apart(one: nn.Module, other: nn.Module) -> float:
    """The largest difference between two parameters."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def moved(network: nn.Module, start: nn.Module, other: nn.Module) -> Result:
    """How far both sides are apart, and how far they came."""
    difference = apart(network, other)
    return {
        "steps": STEPS,
        "largest_difference": float(f"{difference:.2g}"),
        "largest_move": float(f"{apart(network, start):.2g}"),
        "agrees": difference <= CLOSE,
    }


def train(lesson: Lesson, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> nn.Module:
    """Our side: 20 steps of ``model.loss``."""
    for rows in lesson.batches():
        for optimizer in optimizers:
            optimizer.zero_grad()
        model.loss(lesson.batch(rows))["loss"].backward()  # type: ignore[operator]
        for optimizer in optimizers:
            optimizer.step()
    return model.network  # type: ignore[return-value]


def ours(lesson: Lesson, name: str, **settings: float) -> nn.Module:
    """What 20 steps of an objective that is a loss of the logits make of the network."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = lesson.network()

        def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
            return {"loss": nn.functional.cross_entropy(self.network(batch.image), batch.label)}

    criterion = OBJECTIVES[name](**settings).criterion(lesson)
    model = Supervised(lesson.network(), criterion) if criterion else Plain()
    return train(lesson, model, [steps(model.network)])


class AsTheyAre(nn.Module):
    """In place of moving averages: the losses of the batch."""

    def forward(self, losses: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return losses


def pair(lesson: Lesson, plain: bool = False) -> nn.Module:
    """LfF; with ``plain`` losses for the moving averages that are divided by the largest."""
    model = Pair(lesson, q=0.7, decay=0.7)
    if plain:
        model.easy, model.hard = AsTheyAre(), AsTheyAre()
    return train(lesson, model, [steps(model.network), steps(model.biased, scale=model.q)])


# SubpopBench ------------------------------------------------------------------------------------

SUBPOPBENCH = {
    "nonlinear_classifier": False, "mlp_width": 16, "mlp_depth": 3, "mlp_dropout": 0.0,
    "lr": RATE, "weight_decay": DECAY, "last_layer_dropout": 0.0, "groupdro_eta": 0.01,
    "joint_dro_alpha": 0.2, "gamma": 2.0, "beta": 0.9, "jtt_lambda": 10, "LfF_q": 0.7,
    "first_stage_step_frac": 0.0, "steps": STEPS,
}  # fmt: skip
SAME = {
    "ERM": ("erm", {}),
    "Focal": ("focal", {"gamma": 2.0}),
    "CBLoss": ("class_balanced", {"beta": 0.9}),
    "GroupDRO": ("group_dro", {"eta": 0.01}),
    "CVaRDRO": ("cvar_dro", {"alpha": 0.2}),
}


def subpopbench(path: Path) -> Results:
    sys.path.insert(0, str(path))
    found = {name: same_as_subpopbench(name, own, chosen) for name, (own, chosen) in SAME.items()}
    found["JTT, second stage"] = weighted_errors()
    found["LfF"] = lff_of_subpopbench()
    found["DFR"] = {
        "ours": "dfr",
        "differs": "last-layer steps with an L1 penalty; ours is the mean of logistic regressions "
        "at their optimum, with an L2 penalty: nothing to compare step by step",
    }
    return found


def algorithm(name: str, attributes: int = 1) -> nn.Module:
    torch.manual_seed(0)
    lesson = Lesson(nn.Module)
    groups = lesson.labels * attributes + lesson.attribute % attributes
    sizes = np.bincount(groups, minlength=CLASSES * attributes).tolist()
    made = getattr(importlib.import_module("subpopbench.learning.algorithms"), name)
    with mock.patch.object(torch.Tensor, "cuda", lambda tensor: tensor):
        return made("tabular", (WIDTH,), CLASSES, attributes, IMAGES, SUBPOPBENCH, sizes)


def updated(theirs: nn.Module, network: nn.Module) -> tuple[Lesson, nn.Module]:
    """The lesson of a copy of their network, which then makes its 20 updates."""
    start = copy.deepcopy(network)
    lesson = Lesson(lambda: copy.deepcopy(start))
    attribute = torch.from_numpy(lesson.attribute) % theirs.num_attributes
    for step, rows in enumerate(lesson.batches()):
        batch = lesson.batch(rows)
        theirs.update((rows, batch.image, batch.label, attribute[rows]), step)
    return lesson, start


def same_as_subpopbench(name: str, own: str, chosen: dict[str, float]) -> Result:
    theirs = algorithm(name, attributes=2 if name == "GroupDRO" else 1)
    lesson, start = updated(theirs, theirs.network)
    return {"ours": own} | moved(theirs.network, start, ours(lesson, own, **chosen))


def lff_of_subpopbench() -> Result:
    theirs = algorithm("LfF")
    network = theirs.pred_model.network
    theirs.biased_network.load_state_dict(network.state_dict())
    lesson, start = updated(theirs, network)
    return {
        "ours": "lff",
        "differs": "plain losses of the batch for moving averages divided by the largest of the "
        "class; gradient of the biased network times q once more",
        "as_it_is": moved(network, start, pair(lesson)),
    } | moved(network, start, pair(lesson, plain=True))


def weighted_errors() -> Result:
    """Theirs weighs errors by 10; ours has each of them 10 times in a batch."""
    theirs = algorithm("JTT")
    lesson, start = updated(theirs, theirs.stage2_model.network)
    with torch.no_grad():
        wrong = theirs.stage1_model.predict(lesson.pixels).argmax(1).numpy() != lesson.labels
    multiples = OBJECTIVES["jtt"](upweight=10).multiples(wrong)
    network = lesson.network()
    optimizer = steps(network)
    for rows in lesson.batches():
        copies = torch.from_numpy(multiples[rows].astype(np.int64))
        batch = lesson.batch(rows.repeat_interleave(copies))
        loss = nn.functional.cross_entropy(network(batch.image), batch.label)
        optimizer.zero_grad()
        (loss * len(batch.label) / SIZE).backward()
        optimizer.step()
    return {
        "ours": "jtt",
        "differs": "errors weighed by lambda, not drawn lambda times: the step is longer by what "
        "the batch would have grown",
        "errors": int(wrong.sum()),
    } | moved(theirs.stage2_model.network, start, network)


# VB-Mitigator -----------------------------------------------------------------------------------

VB_MITIGATOR = SimpleNamespace(
    SOLVER=SimpleNamespace(
        TYPE="SGD", CRITERION="CE", LR=RATE, MOMENTUM=MOMENTUM, WEIGHT_DECAY=DECAY, BATCH_SIZE=SIZE
    ),
    DATASET=SimpleNamespace(NUM_WORKERS=0),
    MITIGATOR=SimpleNamespace(
        GROUPDRO=SimpleNamespace(ROBUST_STEP_SIZE=0.01),
        JTT=SimpleNamespace(BIAS_DISCOVERY_EPOCHS=9, UPWEIGHT=9),
    ),
)  # fmt: skip


def vb_mitigator(path: Path) -> Results:
    sys.path.insert(0, str(path))
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    lesson = Lesson(lambda: copy.deepcopy(start))
    erm = iterated(trainer("erm", "ERMTrainer", lesson), lesson)
    return {
        "ERM": {"ours": "erm"} | moved(erm, start, ours(lesson, "erm")),
        "GroupDRO": group_dro_of_vb_mitigator(lesson, start),
        "LfF": lff_of_vb_mitigator(lesson, start),
        "JTT": copies_of_errors(lesson),
    }


def trainer(module: str, name: str, lesson: Lesson) -> Any:  # noqa: ANN401 (a class of theirs)
    """One of theirs, set up but for data sets, models and log files."""
    made: Any = object.__new__(getattr(importlib.import_module(f"mitigators.{module}"), name))
    made.cfg, made.device, made.biases = VB_MITIGATOR, torch.device("cpu"), ["bias"]
    made.num_class, made.num_group, made.num_biases = CLASSES, 4, 2.0
    made.model, made.bias_discover_net = lesson.network(), lesson.network()
    made.sets = {"train": Points(lesson)}
    made.dataloaders = {"train": DataLoader(made.sets["train"], SIZE, shuffle=True)}
    made._setup_criterion()
    made._setup_optimizer()
    return made


class Points(Dataset):
    """The lesson's images as theirs has them."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, self.targets = lesson, lesson.labels.tolist()

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, row: int) -> dict[str, object]:
        return {"inputs": self.lesson.pixels[row], "targets": self.targets[row], "index": row}


def iterated(made: Any, lesson: Lesson, bias: np.ndarray | None = None) -> nn.Module:  # noqa: ANN401
    told = torch.from_numpy(lesson.attribute if bias is None else bias)
    for rows in lesson.batches():
        batch = lesson.batch(rows)
        made._train_iter(
            {"inputs": batch.image, "targets": batch.label, "index": rows, "bias": told[rows]}
        )
    return made.model


def group_dro_of_vb_mitigator(lesson: Lesson, start: nn.Module) -> Result:
    def theirs(bias: np.ndarray) -> nn.Module:
        made = trainer("groupdro", "GroupDROTrainer", lesson)
        made._method_specific_setups()
        return iterated(made, lesson, bias)

    worst = ours(lesson, "group_dro", eta=0.01)
    return {
        "ours": "group_dro",
        "differs": "its number of a group is label * 2 + attribute * 2: two groups are one, and "
        "the last is in no loss; given half of the attribute's value it is right",
        "as_it_is": moved(theirs(lesson.attribute), start, worst),
    } | moved(theirs(lesson.attribute / 2), start, worst)


def lff_of_vb_mitigator(lesson: Lesson, start: nn.Module) -> Result:
    def theirs(as_the_authors: bool) -> nn.Module:
        made = trainer("lff", "LfFTrainer", lesson)
        made._method_specific_setups()
        if as_the_authors:
            made.criterion = made.criterion_train
            for losses in (made.sample_loss_ema_b, made.sample_loss_ema_d):
                losses.max_loss = lambda label, of=losses: torch.stack(
                    [of.parameter[of.label == one].max() for one in label]
                )
        return iterated(made, lesson)

    own = pair(lesson)
    return {
        "ours": "lff",
        "differs": "the mean loss of the batch for that of each of its images; the largest loss of "
        "a class of all time for that of now; gradient of the biased network times q once more",
        "as_it_is": moved(theirs(as_the_authors=False), start, own),
    } | moved(theirs(as_the_authors=True), start, own)


def copies_of_errors(lesson: Lesson) -> Result:
    """How often each image stands in their second stage, and how often ours draws it."""
    made = trainer("jtt", "JTTTrainer", lesson)
    helpers: list[nn.Module] = []
    # What it sets up anew once the errors are known is the second stage's network.
    made._setup_models = lambda: helpers.append(copy.deepcopy(made.model))
    with tempfile.TemporaryDirectory() as made.log_path, redirect_stdout(None):
        made.bias_detection()
    plain, errors = made.dataloaders["train"].dataset.datasets
    copies = np.ones(len(plain)) + np.bincount(errors.indices, minlength=IMAGES)
    with torch.no_grad():
        wrong = helpers[0](lesson.pixels).argmax(1).numpy() != lesson.labels
    multiples = OBJECTIVES["jtt"](upweight=10).multiples(wrong)
    return {
        "ours": "jtt",
        "differs": "UPWEIGHT copies of the errors are added to all images: 9 is our 10; the second "
        "stage is plain training, as above",
        "errors": int(wrong.sum()),
        "largest_difference": float(np.abs(copies - multiples).max()),
        "agrees": bool((copies == multiples).all()),
    }


UNCALLED = {
    "transformers", "timm", "tqdm", "torch.utils.tensorboard", "ram", "yacs", "my_datasets",
    "models", "ollama", "clip", "wandb",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--subpopbench", type=Path, help="a work tree of SubpopBench")
    parser.add_argument("--vb-mitigator", type=Path, help="a work tree of VB-Mitigator")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, object] = {}
    sys.meta_path.insert(0, Absent(UNCALLED))  # type: ignore[arg-type]
    print("replaced by empty modules:", ", ".join(sorted(UNCALLED)))
    if args.subpopbench:
        found["SubpopBench"] = subpopbench(args.subpopbench)
    if args.vb_mitigator:
        found["VB-Mitigator"] = vb_mitigator(args.vb_mitigator)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
