"""What a person sees while models train: live curves in a terminal, a few lines elsewhere."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, TextIO

from . import braille
from .config import METRICS
from .history import Epoch, TrainResult

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

SECONDS_BETWEEN_LINES = 30
REPLAYED = 1e-4  # seconds: an epoch that ends so soon is one that an earlier process has trained
STYLES = ("cyan", "magenta")  # training, validation
SIDE_BY_SIDE = 84  # columns of a terminal
LEAST_WIDTH, LEAST_ROWS, MOST_ROWS = 30, 3, 10  # of a panel of curves
MOST_POINTS = 2000  # of a curve: the display must not slow down a long training


class Display:
    """Follows several trainings and shows nothing: the base of the displays that do.

    A context manager; call `begin(name)`, `epoch(…)` as each epoch ends, and `end(result)`.

    Args:
        trainings: how many there will be.
        epochs: of each, at most.
        metric: the name of the metric in the epochs.
    """

    def __init__(self, trainings: int, epochs: int, metric: str = "accuracy"):
        self.trainings = trainings
        self.epochs = epochs
        self.metric = metric
        self.name = ""
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.done = 0
        self._last_epoch = time.monotonic()
        self._paces: deque[float] = deque(maxlen=100)

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, name: str) -> None:
        self.name, self.history, self.best = name, [], None
        self._last_epoch = time.monotonic()

    def epoch(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        if self.best is None or self._goodness(epoch) > self._goodness(self.best):
            self.best = epoch
        now = time.monotonic()
        if now - self._last_epoch > REPLAYED:
            self._paces.append(now - self._last_epoch)
        self._last_epoch = now

    def end(self, result: TrainResult) -> None:
        self.done += 1
        self.history = []

    def seconds_left(self) -> float:
        """Time to the last epoch of all trainings, if none stops early, at the pace of late."""
        pace = median(list(self._paces)) if self._paces else 0.0
        return pace * (self.epochs * (self.trainings - self.done) - len(self.history))

    def shown(self, value: float) -> str:
        return shown(self.metric, value)

    def _goodness(self, epoch: Epoch) -> tuple[float, float]:
        """NaN is worse than any number."""
        loss = math.inf if math.isnan(epoch.val_loss) else epoch.val_loss
        return METRICS[self.metric].score(epoch.val_metric), -loss


class LineDisplay(Display):
    """One line for each training, and one now and then while one takes long."""

    def __init__(self, trainings: int, epochs: int, file: TextIO, metric: str = "accuracy"):
        super().__init__(trainings, epochs, metric)
        self.file = file
        self._last_line = self._last_epoch

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print(
                f"{self.name}: epoch {epoch.epoch} of {self.epochs}, "
                f"loss {epoch.train_loss:.3f}, validation {self.shown(epoch.val_metric)}, "
                f"{''.join(f'{part}, ' for part in convergence(epoch))}"
                f"at most {clock(self.seconds_left())} left"
            )

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self._print(run_line(self.name, result))

    def _print(self, line: str) -> None:
        print(line, file=self.file, flush=True)
        self._last_line = time.monotonic()


class LiveDisplay(Display):
    """Curves of loss and metric as they run, in a terminal; a line stays for each training.

    What does not fit the terminal is left out: with few columns the curves stand one above the
    other, with very few rows or columns there are numbers only.
    """

    def __init__(self, trainings: int, epochs: int, console: "Console", metric: str = "accuracy"):
        from rich.live import Live

        super().__init__(trainings, epochs, metric)
        self.console = console
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self.console.print(run_line(self.name, result), highlight=False)

    def render(self) -> "RenderableType":
        """The picture of this moment."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        # The live display draws from a thread of its own, while epochs come in.
        history, best = list(self.history), self.best
        if not history or best is None:
            line = f"{self.name}: the first epoch"
            return Group(Text(line, no_wrap=True, overflow="ellipsis"))
        last = history[-1]
        width, height = self.console.size
        panels: list[RenderableType] = []
        columns = 2 if width >= SIDE_BY_SIDE else 1
        solves = convergence(last) if height > 4 else []
        rows = min(MOST_ROWS, (height - 4 - bool(solves)) // (3 - columns) - 3)
        if width >= LEAST_WIDTH and rows >= LEAST_ROWS:
            grid = Table.grid(expand=True)
            for _ in range(columns):
                grid.add_column(ratio=1)
            step = len(history) // MOST_POINTS + 1
            points = history[::-step][::-1]  # with the last
            charts = [_panel(points, quantity, rows) for quantity in ("loss", self.metric)]
            for first in range(0, 2, columns):
                grid.add_row(*charts[first : first + columns])
            panels = [grid]
        else:
            panels = [
                _legend("loss", last.train_loss, last.val_loss),
                _legend(self.metric, last.train_metric, last.val_metric),
            ]
        foot = [f"best so far: {self.shown(best.val_metric)} at epoch {best.epoch}"]
        if solves:
            foot.insert(0, f"fixed point: {', '.join(solves)}, {converged_epochs(history)}")
        lines = [Text(line, "dim", no_wrap=True, overflow="ellipsis") for line in foot]
        return Group(self._head(last, width), *panels, *lines)

    def _head(self, last: Epoch, width: int) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        name = Text(self.name, "bold")
        name.append(f" ({self.done + 1} of {self.trainings})", "dim not bold")
        epoch = Text(f"epoch {last.epoch} of {self.epochs}")
        left = Text(f"at most {clock(self.seconds_left())} left", "dim")
        if width < SIDE_BY_SIDE:
            line = Text("  ").join([name, epoch, left])
            line.no_wrap, line.overflow = True, "ellipsis"
            return line
        head = Table.grid(padding=(0, 2))
        head.add_row(
            name, ProgressBar(total=self.epochs, completed=last.epoch, width=24), epoch, left
        )
        return head


def _panel(history: Sequence[Epoch], quantity: str, rows: int) -> "RenderableType":
    """The two curves of "loss" or a metric in a frame, their last values in its title."""
    from rich.panel import Panel

    field = "loss" if quantity == "loss" else "metric"
    train = [getattr(epoch, f"train_{field}") for epoch in history]
    validation = [getattr(epoch, f"val_{field}") for epoch in history]
    title = _legend(quantity, train[-1], validation[-1])
    of_fraction = quantity in METRICS and METRICS[quantity].is_fraction
    scale = percent if of_fraction else "{:.3g}".format
    chart = _Chart([train, validation], rows, history[-1].epoch, scale)
    return Panel(chart, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _legend(quantity: str, train: float, validation: float) -> "Text":
    """The quantity and its two values, in the colours of their curves."""
    from rich.text import Text

    name = METRICS[quantity].title if quantity in METRICS else quantity
    text = Text(name, "bold not dim", no_wrap=True, overflow="ellipsis")
    text.append(f"  train {shown(quantity, train)}", f"not bold {STYLES[0]}")
    return text.append(f"  validation {shown(quantity, validation)}", f"not bold {STYLES[1]}")


class _Chart:
    """Curves with a scale on the left and the first and last epoch below, as wide as there is."""

    def __init__(
        self,
        series: Sequence[Sequence[float]],
        rows: int,
        last_epoch: int,
        shown: Callable[[float], str],
    ):
        self.series = series
        self.rows = rows
        self.last_epoch = last_epoch
        self.shown = shown

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        numbers = [value for values in self.series for value in values if math.isfinite(value)]
        low, high = (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
        top, bottom = self.shown(high), self.shown(low)
        margin = max(len(top), len(bottom)) + 1
        width = max(options.max_width - margin, 1)
        lines = braille.draw(self.series, width, self.rows, low, high)
        for row, cells in enumerate(lines):
            label = {0: top, self.rows - 1: bottom}.get(row, "")
            line = Text(label.rjust(margin - 1) + " ", "dim", no_wrap=True, end="")
            for character, owner in cells:
                if owner is None:
                    line.append(" ")  # not every font has the empty braille pattern
                else:
                    line.append(character, f"not dim {STYLES[owner]}")
            yield line
            yield Text("")
        last = str(self.last_epoch)
        axis = "1" + last.rjust(width - 1) if width > len(last) + 1 else ""
        yield Text(" " * margin + axis, "dim", no_wrap=True, overflow="crop")


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Example:
        >>> clock(125.2)
        '2:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def shown(quantity: str, value: float) -> str:
    """A metric or a loss, for a person.

    Example:
        >>> shown("accuracy", 0.8125), shown("rmse", 0.8125)
        ('81.2 %', '0.812')
    """
    of_fraction = quantity in METRICS and METRICS[quantity].is_fraction
    return percent(value) if of_fraction else f"{value:.3f}"


def convergence(epoch: Epoch) -> list[str]:
    """How the fixed points of an epoch were solved; nothing for a model without.

    Example:
        >>> convergence(Epoch(1, 1.9, 0.2, 1.8, 0.25, 0.01, 21, 18, 8.3e-7, True))
        ['21 + 18 iterations', 'residual 8.3e-07']
    """
    if epoch.iterations is None:
        return []
    adjoint = "" if epoch.backward_iterations is None else f" + {epoch.backward_iterations}"
    residual = "not finite" if epoch.residual is None else f"{epoch.residual:.1e}"
    failed = [] if epoch.converged else ["not converged"]
    return [f"{epoch.iterations}{adjoint} iterations", f"residual {residual}", *failed]


def converged_epochs(history: Sequence[Epoch]) -> str:
    return f"{sum(map(bool, (e.converged for e in history)))} of {len(history)} epochs converged"


def run_line(name: str, result: TrainResult) -> str:
    of_fixed_points = any(epoch.converged is not None for epoch in result.history)
    return (
        f"{name}: test {shown(result.metric, result.test[result.metric])}, "
        f"validation {shown(result.metric, result.val[result.metric])}, "
        f"best epoch {result.best_epoch} of {len(result.history)}, "
        f"{converged_epochs(result.history) + ', ' if of_fixed_points else ''}"
        f"{result.seconds:.1f} s"
    )


def headline(record: dict[str, Any]) -> str:
    """The result in one line.

    Example:
        >>> test = {"mean": 0.8217, "std": 0.0072}
        >>> facts = {"model": "gcn", "dataset": "cora", "metric": "accuracy", "folds": None}
        >>> headline({**facts, "seeds": [0, 1, 2], "test": test})
        'gcn on cora: test accuracy 82.2 ± 0.7 % over 3 seeds'
    """
    metric, test = record["metric"], record["test"]
    over = _over(record)
    value = spread(metric, test, digits=1) if over else shown(metric, test["mean"])
    over = f" over {over}" if over else ""
    return f"{record['model']} on {record['dataset']}: test {METRICS[metric].title} {value}{over}"


def _over(record: dict[str, Any]) -> str:
    """What the standard deviation is over; nothing for a single training."""
    folds, seeds = record["folds"], len(record["seeds"])
    if folds is not None:
        return f"{folds} folds"
    return f"{seeds} seeds" if seeds > 1 else ""


def spread(metric: str, value: dict[str, float], digits: int = 2) -> str:
    """Mean ± standard deviation.

    Example:
        >>> spread("accuracy", {"mean": 0.8217, "std": 0.0072})
        '82.17 ± 0.72 %'
        >>> spread("rmse", {"mean": 0.8217, "std": 0.0072})
        '0.822 ± 0.007'
    """
    if not METRICS[metric].is_fraction:
        return f"{value['mean']:.3f} ± {value['std']:.3f}"
    return f"{100 * value['mean']:.{digits}f} ± {100 * value['std']:.{digits}f} %"


def print_table(record: dict[str, Any], file: TextIO) -> None:
    """The record's numbers for a person: mean ± standard deviation over the seeds or folds."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    metric, seeds, folds = record["metric"], len(record["seeds"]), record["folds"]
    name = METRICS[metric].title
    table = Table(box=SIMPLE_HEAD, show_header=False, title_justify="left", title_style="bold")
    table.title = f"{record['model']} on {record['dataset']}, "
    table.title += "" if folds is None else f"{folds} folds, "
    table.title += f"{seeds} seed{'s' * (seeds > 1)}"
    table.add_row(f"validation {name}", spread(metric, record["val"]))
    table.add_row(f"[bold]test {name}[/]", f"[bold]{spread(metric, record['test'])}[/]")
    for other, value in record["metrics"].items():
        if other != metric:
            table.add_row(f"test {METRICS[other].title}", spread(other, value))
    table.add_row(
        "epochs", f"{record['epochs']:.0f}, {1000 * record['seconds_per_epoch']:.1f} ms each"
    )
    if record["converged"] is not None:
        table.add_row("fixed point converged", f"in {percent(record['converged'])} of the epochs")
    table.add_row("run folder", record["run_dir"])
    Console(file=file, highlight=False).print(table)
