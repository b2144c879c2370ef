"""train_folds: candidates, folds and seeds; what was stopped goes on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gnnlib import Batch, Graph
from gnnlib.models import GCN
from gnnlib.train import (
    Candidate,
    Epoch,
    GraphSplit,
    Outcome,
    Run,
    RunFolder,
    TrainConfig,
    train_folds,
    train_seed,
    train_seeds,
)
from gnnlib.train.run import digest_of
from tests.train.many_graphs import is_ring, parts

CONFIG = TrainConfig(epochs=2)


class Answers(nn.Module):
    """Is right on so many of the six validation nodes, and on so many of the eight test nodes."""

    def __init__(self, val: int, test: int):
        super().__init__()
        self.right = {"val_mask": val, "test_mask": test}
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("mark", torch.tensor([val, test]))

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        answer = graph.y.clone()
        for mask, right in self.right.items():
            wrong = graph[mask].nonzero().squeeze(1)[right:]
            answer[wrong] = 1 - graph.y[wrong]
        return nn.functional.one_hot(answer, 2) * (1 + 0 * self.scale)


def answering(val: int, test: int) -> Candidate:
    return Candidate(lambda data: Answers(val, test), CONFIG, f"val={val}, test={test}")


def test_the_validation_part_alone_chooses(graph, tmp_path):
    candidates = [answering(3, 8), answering(5, 0), answering(4, 7)]
    outcome = train_folds(candidates, [lambda: graph], [4], RunFolder(tmp_path / "run"))
    assert outcome.chosen == [1]
    assert outcome.results[0].test["accuracy"] == 0
    assert outcome.results[0].val["accuracy"] == pytest.approx(5 / 6)
    assert outcome.weights["mark"].tolist() == [5, 0]
    assert (outcome.runs, outcome.best) == ([Run(4)], Run(4))


def test_the_first_of_equal_candidates_is_chosen(graph, tmp_path):
    candidates = [answering(3, 8), answering(4, 0), answering(4, 8)]
    outcome = train_folds(candidates, [lambda: graph] * 2, [0], RunFolder(tmp_path / "run"))
    assert outcome.chosen == [1, 1]
    assert outcome.best == Run(0, 0)
    assert outcome.weights["mark"].tolist() == [4, 0]


def test_less_is_better_of_an_error(graph, tmp_path):
    numbers = graph.replace(y=graph.x[:, :1] + 3)
    calls: list[float] = []

    class Constant(nn.Module):
        def __init__(self, value: float):
            super().__init__()
            calls.append(value)
            self.value = nn.Parameter(torch.tensor(value))

        def forward(self, x: Tensor, graph: Graph) -> Tensor:
            return self.value.expand(graph.num_nodes, 1)

    candidates = [
        Candidate(lambda data, v=value: Constant(v), replace(CONFIG, metric="mae"))
        for value in (9.0, 3.5, 0.0)
    ]
    outcome = train_folds(candidates, [lambda: numbers], [0, 1], RunFolder(tmp_path / "run"))
    assert outcome.chosen == [1]
    assert calls == [9.0, 3.5, 0.0, 3.5]  # the other seed is trained with the chosen one alone
    assert outcome.results[0].metric == "mae"


def gcn(size: int, lr: float = 0.05) -> Candidate:
    config = TrainConfig(epochs=3, lr=lr)
    return Candidate(lambda data: GCN(5, size, 2, dropout=0.5), config, f"size={size}, lr={lr}")


SEEDS = [3, 0]
CANDIDATES = [gcn(2), gcn(8), gcn(8, 0.2)]


def folds_of(graph: Graph) -> list[Callable[[], Graph]]:
    """The graph, and with training and validation part exchanged."""
    other = graph.replace(train_mask=graph.val_mask, val_mask=graph.train_mask)
    return [lambda: graph, lambda: other]


def train(graph: Graph, folder: RunFolder, **more) -> Outcome:
    return train_folds(CANDIDATES, folds_of(graph), SEEDS, folder, checkpoint_seconds=0, **more)


def assert_same(a: Outcome, b: Outcome) -> None:
    timeless = lambda outcome: [{**r.to_dict(), "seconds": 0} for r in outcome.results]  # noqa: E731
    assert timeless(a) == timeless(b)
    assert (a.runs, a.best, a.chosen) == (b.runs, b.best, b.chosen)
    assert a.weights.keys() == b.weights.keys()
    assert all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)


def test_the_outcome_is_that_of_each_training_alone(graph, tmp_path):
    outcome = train(graph, RunFolder(tmp_path / "run"))
    runs, results, models = [], [], []

    def alone(candidate: Candidate, data: Graph, seed: int):
        return train_seed(lambda: candidate.build(data), data, candidate.config, seed)

    for fold, data in enumerate(folds_of(graph)):
        tried = [alone(candidate, data(), SEEDS[0]) for candidate in CANDIDATES]
        scores = [result.val["accuracy"] for _, result in tried]
        number = scores.index(max(scores))
        assert outcome.chosen[fold] == number
        other = alone(CANDIDATES[number], data(), SEEDS[1])
        for seed, (model, result) in zip(SEEDS, [tried[number], other], strict=True):
            runs.append(Run(seed, fold))
            results.append(result)
            models.append(model.state_dict())
    scores = [result.val["accuracy"] for result in results]
    best = scores.index(max(scores))
    assert_same(outcome, Outcome(runs, results, runs[best], models[best], outcome.chosen))
    assert [run.name for run in outcome.runs[:2]] == ["fold 0, seed 3", "fold 0, seed 0"]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_stopped_in_any_training_it_goes_on_to_the_same_outcome(graph, tmp_path):
    begun: list[tuple[Run, str]] = []
    note = lambda run, candidate: begun.append((run, candidate.name))  # noqa: E731
    whole = train(graph, RunFolder(tmp_path / "whole"), on_begin=note)
    assert len(begun) == 2 * (3 + 1)
    assert len(set(begun)) == len(begun)
    epochs = 0
    for stopped in range(len(begun)):
        folder = RunFolder(tmp_path / "run")

        def kill(epoch: Epoch) -> None:
            nonlocal epochs
            epochs += 1
            if epochs == 3 * stopped + 2:  # noqa: B023
                raise Killed

        epochs = 0
        with pytest.raises(Killed):
            train(graph, folder, on_epoch=kill)
        again: list[tuple[Run, str]] = []
        seen: list[Epoch] = []
        ended: list[int] = []
        outcome = train(
            graph,
            folder,
            on_begin=lambda run, candidate: again.append((run, candidate.name)),  # noqa: B023
            on_epoch=seen.append,
            on_end=lambda result: ended.append(result.best_epoch),  # noqa: B023
        )
        assert_same(outcome, whole)
        assert again == begun
        assert len(ended) == len(begun)
        assert len(seen) == 3 * (len(begun) - stopped)  # what has ended is not trained again
        shutil.rmtree(folder.path)


def test_what_is_finished_is_not_trained_again_and_little_is_kept(graph, tmp_path):
    folder = RunFolder(tmp_path / "run")
    whole = train(graph, folder)
    kept = sorted(path.name for path in folder.progress.iterdir())
    assert len(kept) == 2 and kept[0].startswith("best-fold-") and kept[1] == "runs.json"
    assert_same(train(graph, folder, on_epoch=lambda _: pytest.fail("trained again")), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seeds", r"the same seeds: it has \[3, 0\], got \[3\]"),
        ("names", "the same candidates: it has .*'size=8, lr=0.2'.*, got "),
        ("fewer", "the same config: "),
        ("config", "the same config: .*'lr': 0.05.*, got .*'lr': 0.5"),
        ("folds", "the same folds: it has 2, got 1"),
        ("graph", "the same graph: it has "),
    ],
)
def test_the_progress_of_something_else_is_refused(change, message, graph, tmp_path):
    folder = RunFolder(tmp_path / "run")
    train(graph, folder)
    candidates, folds, seeds = CANDIDATES, folds_of(graph), SEEDS
    if change == "seeds":
        seeds = [3]
    elif change == "names":
        candidates = [replace(CANDIDATES[0], name="another"), *CANDIDATES[1:]]
    elif change == "fewer":
        candidates = CANDIDATES[:2]
    elif change == "config":
        candidates = [gcn(2, lr=0.5), *CANDIDATES[1:]]
    elif change == "folds":
        folds = folds[:1]
    else:
        folds = folds[::-1]
    with pytest.raises(ValueError, match=message):
        train_folds(candidates, folds, seeds, folder)


def test_another_split_of_a_later_fold_is_refused_where_it_would_go_on(graph, tmp_path):
    folder, folds = RunFolder(tmp_path / "run"), folds_of(graph)

    def kill(epoch: Epoch) -> None:
        if len(list(folder.progress.glob("fold-1*.ckpt"))) == 1:
            raise Killed

    with pytest.raises(Killed):
        train(graph, folder, on_epoch=kill)
    with pytest.raises(ValueError, match="another graph: content was"):
        train_folds(CANDIDATES, [folds[0]] * 2, SEEDS, folder)


def test_without_a_candidate_a_fold_or_distinct_seeds_there_is_nothing_to_do(graph, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match="a candidate and a fold, got 0 and 1"):
        train_folds([], [lambda: graph], [0], folder)
    with pytest.raises(ValueError, match="a candidate and a fold, got 3 and 0"):
        train_folds(CANDIDATES, [], [0], folder)
    for seeds in ([], [1, 1]):
        with pytest.raises(ValueError, match="seeds must be distinct and at least one, got"):
            train_folds(CANDIDATES, [lambda: graph], seeds, folder)


def test_seeds_alone_are_folds_without_numbers(graph, tmp_path):
    build = lambda: GCN(5, 8, 2, dropout=0.5)  # noqa: E731
    begun: list[int] = []
    seeds = train_seeds(
        build, graph, CONFIG, SEEDS, RunFolder(tmp_path / "a"), on_begin=begun.append
    )
    folds = train_folds(
        [Candidate(lambda _: build(), CONFIG)], [lambda: graph], SEEDS, RunFolder(tmp_path / "b")
    )
    assert_same(seeds, folds)
    assert begun == SEEDS
    assert seeds.runs == [Run(3), Run(0)]
    assert seeds.best_seed == seeds.best.seed


def test_a_candidate_is_built_for_the_data_of_its_fold(graph, tmp_path):
    built: list[Any] = []

    def build(data: Any) -> nn.Module:
        built.append(data)
        return GCN(5, 4, 2)

    folds = folds_of(graph)
    train_folds([Candidate(build, CONFIG)], folds, [0], RunFolder(tmp_path / "run"))
    assert [data.train_mask is fold().train_mask for data, fold in zip(built, folds)] == [True] * 2


def test_many_graphs_have_one_digest_as_lists_and_as_batches(tmp_path):
    split = parts(is_ring)
    assert digest_of(split) == digest_of(GraphSplit(*map(Batch.from_graphs, split)))
    assert digest_of(split) != digest_of((split[1], split[0], split[2]))


def test_a_graph_that_cannot_be_trained_on_is_one_error(graph, tmp_path):
    """It is the Trainer's, also where a run is begun."""
    bad = graph.replace(val_mask=None)
    with pytest.raises(ValueError, match=r"training needs graph\.val_mask"):
        train_seeds(lambda: GCN(5, 4, 2), bad, CONFIG, [0], RunFolder(tmp_path / "run"))
    with pytest.raises(TypeError, match="a tuple of three sequences"):
        train_seeds(lambda: GCN(5, 4, 2), (bad,), CONFIG, [0], RunFolder(tmp_path / "other"))  # pyright: ignore[reportArgumentType]


def test_the_folder_holds_nothing_else(graph, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    train(graph, folder)
    assert [path.name for path in folder.path.iterdir()] == ["progress"]
