"""The `data:` section of `task: forecasting`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from gatesweep.config.section import Section
from gatesweep.data.rules import Rules

if TYPE_CHECKING:
    from gatesweep.models.forecaster_config import ForecastModel

Calendar = Literal["hour", "weekday", "monthday", "yearday"]
Share = Annotated[float, Field(gt=0, le=1)]
ETT = "ett"


class Splits(Section):
    """Shares of the series' rows, in the order of time: train, val, test. Rows beyond their sum are unused."""

    train: PositiveFloat = 0.7
    """Share of the rows to learn from; scaler, baseline and MASE's scale see these alone."""

    val: PositiveFloat = 0.15
    """Share of the rows that choose between epochs and between trials."""

    test: PositiveFloat = 0.15
    """Share of the rows that the chosen model is scored on once."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Splits:
        total = self.train + self.val + self.test
        if total > 1 + 1e-9:
            raise ValueError(f"train, val and test add up to {total:g}, more than the series has"
                             "\n\nhint: for example {train: 0.7, val: 0.15, test: 0.15}")
        return self


class ForecastingData(Section):
    """Which series, which windows of it, and in which units the model sees and is judged."""

    name: str | None = None
    """A set of the catalogue, e.g. `traffic` (`gatesweep data list` names them); or give `path`. `ett` is a published
    set in a file of yours, which `path` names: its rows are counted, its splits are 12, 4 and 4 months of 30 days."""

    series: str | None = None
    """Which of the set's series, e.g. `household` of `energy`; none takes its first."""

    path: str | None = None
    """A CSV file of your own, instead of `name`; relative to the folder you are in."""

    time: str | None = None
    """The CSV's column of timestamps; none takes the first column. Sets of the catalogue know theirs."""

    time_format: str | None = None
    """strptime's format of the CSV's timestamps, e.g. `%d/%m/%Y %H:%M`; none reads ISO 8601."""

    step: str | None = None
    """Time between two rows of the CSV (`1h`, `1D`), `rows` where each row is a step whatever its date (trading days);
    none finds it out."""

    rules: Rules | None = None
    """What cleaning may drop or fill; none takes the catalogue's rules, and for a CSV of your own refuses holes."""

    target: str | None = None
    """The column to forecast; none takes the catalogue's choice. A CSV of your own must name it, or `targets`."""

    targets: tuple[str, ...] = ()
    """Several columns to forecast, in place of `target`. `ett` takes all seven where neither is given."""

    channels: Literal["independent", "joint"] = "independent"
    """Of several targets. independent: one set of weights forecasts each of them from its own past, a window being one
    series at one time; so a model learns from many series at once. joint: all are read and forecast together."""

    static: dict[str, tuple[float, ...]] = {}
    """What is known of each of several series once and for all, e.g. `{shop_1: [0.3, 1], shop_2: [0.9, 0]}`: read
    beside every step of it. With `channels: independent`."""

    horizon: PositiveInt = 24
    """How many steps ahead every forecast reaches, all at once."""

    horizons: tuple[PositiveInt, ...] = ()
    """Shorter horizons to report besides: MAE, RMSE (and MSE) over their first steps, as `mae_h6`."""

    lookback: PositiveInt = 168
    """How many past steps the model reads."""

    stride: PositiveInt = 1
    """Steps from one training window to the next; larger is quicker and sees fewer examples."""

    eval_stride: PositiveInt = 1
    """Steps from one val or test window to the next; 1 scores every possible start."""

    fraction: Share = 1.0
    """Share of the training windows to use, the latest ones; less makes a cheap first trial."""

    splits: Splits = Splits()
    """How the rows are shared out, in the order of time. `ett` has its own."""

    calendar: tuple[Calendar, ...] = ("hour", "weekday")
    """What the clock tells of every step, past and future, as points on a circle: hour of the day, day of the week,
    day of the month, day of the year."""

    harmonics: Annotated[int, Field(ge=1, le=6)] = 1
    """Sine and cosine of 1, 2, … times round each calendar circle; more can draw sharper rush hours."""

    changes: tuple[PositiveInt, ...] = ()
    """Lags in steps: the model also reads how the target has changed since each (24: since yesterday, for hours), which
    an LSTM would else have to remember for that long. With `residual`, its own lag is the one to name."""

    covariates: tuple[str, ...] = ()
    """Further columns whose past the model reads, e.g. temperature."""

    known: tuple[str, ...] = ()
    """Columns that are known ahead, e.g. holidays: the model reads their past and their values over the horizon."""

    transform: Literal["none", "log", "difference", "log_return"] = "none"
    """What is learnt in place of the value x_t: ln x_t, x_t - x_(t-1) or ln(x_t / x_(t-1)). A price, which wanders out
    of the range seen in training, can be learnt by the last two alone. Covariates are changed alike. Forecasts and
    metrics return to the series' own units."""

    scaler: Literal["standard", "robust", "none"] = "standard"
    """Shift and divide by mean and deviation, or by median and interquartile range (robust), of the training rows."""

    residual: PositiveInt | None = None
    """Learn the difference to the value this many steps ago (24: to yesterday's, for hours), not the value itself."""

    loss: Literal["mse", "mae", "huber"] = "mse"
    """What training minimises, in scaled units; huber is squared below 1 and straight above. Quantiles and
    distributions (`model.output`) have their own."""

    scores: Literal["own", "standardised"] = "own"
    """Units of the metrics: the series' own, or those of `scaler`, in which several series can be averaged; then `mse`
    is reported too (the ETT protocol). Predictions are in the series' own units either way."""

    missing: Literal["filled", "masked"] = "filled"
    """What training does with target values that a rule has filled. They are never scored. filled: learnt like
    others. masked: left out of the loss, and the model reads which past values were not measured."""

    jitter: Annotated[float, Field(ge=0)] = 0.0
    """Deviation of the noise that is added to the target's past in training, in scaled units: augmentation."""

    seasonal: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (24, 168)
    """Lags of the seasonal-naive baselines, in steps. The one that is better on train is the baseline; the first one
    scales MASE."""

    @model_validator(mode="after")
    def _one_source(self) -> ForecastingData:
        if self.name == ETT:
            return self._published()
        if (self.name is None) == (self.path is None):
            said = "neither is given" if self.name is None else "both are given"
            raise ValueError(f"one of 'name' and 'path' says where the series comes from, and {said}"
                             "\n\nhint: `name: traffic`, or `path: my.csv` with `target: my_column`")
        if self.path is not None and self.target is None and not self.targets:
            raise ValueError("'target' is missing: which column of the CSV is to be forecast?"
                             "\n\nhint: `target: my_column`")
        other, fields = ("path", ("time", "time_format", "step")) if self.path is None else ("name", ("series",))
        for field in fields:
            if getattr(self, field) is not None:
                raise ValueError(f"'{field}' goes with '{other}', which is not given")
        return self

    def _published(self) -> ForecastingData:
        if self.path is None:
            raise ValueError("'path' is missing: the file of 'ett'\n\nhint: `path: ETT-small/ETTh1.csv`")
        for field in ("series", "time", "time_format", "step", "rules", "splits"):
            if getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"'{field}' does not go with 'ett', whose layout and protocol are published"
                                 "\n\nhint: for other splits leave data.name out and name data.targets")
        return self

    @model_validator(mode="after")
    def _lags_fit(self) -> ForecastingData:
        if self.residual is not None and self.residual > self.lookback:
            raise ValueError(f"residual {self.residual} reaches further back than lookback {self.lookback}"
                             f"\n\nhint: lookback of at least {self.residual}")
        if self.residual is not None and self.differenced:
            raise ValueError(f"residual and transform '{self.transform}' are both differences: choose one")
        if self.scores == "standardised" and (self.transform != "none" or self.scaler == "none"):
            raise ValueError("scores: standardised are those of a scaler alone\n\nhint: transform: none, and a scaler")
        for horizon in self.horizons:
            if horizon >= self.horizon:
                raise ValueError(f"horizons: {horizon} is not below horizon {self.horizon}")
        return self

    @model_validator(mode="after")
    def _columns_once(self) -> ForecastingData:
        columns = [*self.covariates, *self.known, *self.targets, *([self.target] if self.target else [])]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise ValueError(f"column '{twice[0]}' is named twice among target, covariates and known")
        if self.target and self.targets:
            raise ValueError("'target' and 'targets' are both given\n\nhint: name all of them in targets")
        return self

    @model_validator(mode="after")
    def _static_of_each(self) -> ForecastingData:
        if not self.static:
            return self
        if self.channels == "joint":
            raise ValueError("static tells series apart, and channels: joint reads all of them together")
        if set(self.static) != set(self.targets):
            odd = sorted(set(self.static) ^ set(self.targets))
            raise ValueError(f"static and targets do not name the same series: '{odd[0]}' is in one of them alone")
        if len({len(numbers) for numbers in self.static.values()}) > 1:
            raise ValueError("static: every series needs as many numbers as the others")
        return self

    @property
    def differenced(self) -> bool:
        """Whether steps are learnt, which add up from the last known value."""
        return self.transform in ("difference", "log_return")

    @property
    def history(self) -> int:
        """Rows that every window has before its first forecast step: enough for the model and for every baseline.

        So trials that differ in lookback alone, up to the longest seasonal lag, are scored on the same windows.
        """
        return max(self.lookback, *self.seasonal)

    def unreported(self, model: ForecastModel) -> frozenset[str]:
        """Metrics of the task that no training of this configuration reports."""
        return frozenset(("pinball", "crps", "coverage", "width") if model.output == "point" else ())
