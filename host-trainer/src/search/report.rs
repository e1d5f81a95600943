//! What a search has found.

use std::fmt::{self, Display};

use clap::ValueEnum;
use serde::Serialize;

use super::{Budget, Trial};
use crate::cost::{Cost, Target};
use crate::report::thousands;
use crate::train::{Architecture, Family};

/// The front of nats against cost, and what was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What the device has to give.
    pub budget: Budget,
    /// Shapes whose predicted cost is within it.
    pub candidates: usize,
    /// Seconds that the search took.
    pub seconds: f64,
    /// Every shape that was fitted, the cheapest first.
    pub trials: Vec<Entry>,
}

/// A shape that was fitted for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The family.
    pub family: Family,
    /// Layers that transform.
    pub layers: usize,
    /// Units of a hidden layer; `None` without nets.
    pub hidden: Option<usize>,
    /// Hidden layers of a net; `None` without nets.
    pub hidden_layers: Option<usize>,
    /// Bins; `None` without splines.
    pub bins: Option<usize>,
    /// Mean log-density of the selection rows without the hundredth that is farthest off, in nats.
    pub nats: f64,
    /// The last round that it took part in, from 1: in a later one fits are longer, and give more nats.
    pub round: usize,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
    /// No other has as many nats at no higher cost.
    pub front: bool,
    /// It has the most nats of the last round.
    pub chosen: bool,
}

impl Report {
    /// Of these trials, of which the last round's best is chosen; at least one.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(budget: Budget, candidates: usize, seconds: f64, trials: &[Trial]) -> (Self, Architecture) {
        let last = trials.iter().map(|trial| trial.round).max().unwrap_or(0);
        let in_last = || trials.iter().filter(|trial| trial.round == last);
        // The first of equals is the cheapest.
        let chosen = in_last().reduce(|best, trial| if trial.nats > best.nats { trial } else { best });
        let chosen = chosen.expect("there is a trial");
        let entry = |trial: &Trial| {
            let (shape, cost) = (&trial.candidate.shape, &trial.candidate.cost);
            let nets = shape.family.has_nets();
            Entry {
                family: shape.family,
                layers: shape.layers,
                hidden: nets.then_some(shape.hidden),
                hidden_layers: nets.then_some(shape.hidden_layers),
                bins: has_splines(shape.family).then_some(shape.bins),
                nats: trial.nats,
                round: trial.round,
                cost: *cost,
                front: !trials.iter().any(|other| other.beats(trial, &budget)),
                chosen: trial.candidate == chosen.candidate,
            }
        };
        let report = Self { budget, candidates, seconds, trials: trials.iter().map(entry).collect() };
        (report, chosen.candidate.shape.clone())
    }

    /// The trials on the front, the cheapest first.
    pub fn front(&self) -> impl Iterator<Item = &Entry> {
        self.trials.iter().filter(|entry| entry.front)
    }
}

/// Whether a family's maps are splines, which have bins.
pub(super) fn has_splines(family: Family) -> bool {
    matches!(family, Family::Spline | Family::MafSpline)
}

/// A shape in the words of the command line.
#[must_use]
pub fn name(shape: &Architecture) -> String {
    let mut name = format!("{} --layers {}", word(shape.family), shape.layers);
    if shape.family.has_nets() {
        name += &format!(" --hidden {} --hidden-layers {}", shape.hidden, shape.hidden_layers);
    }
    if has_splines(shape.family) {
        name += &format!(" --bins {}", shape.bins);
    }
    name
}

/// A value as the command line has it.
pub(super) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, candidates, seconds, trials } = self;
        let limits: Vec<String> =
            budget.quantities().map(|quantity| format!("{} {}", thousands(quantity.limit), quantity.name)).collect();
        let on = budget.target.map_or_else(String::new, |target: Target| format!(" on {}", word(target)));
        writeln!(
            f,
            "{:<14}{} shapes fit {}{on}; {} of them fitted for a while, in {seconds:.0} s",
            "search",
            thousands(*candidates as u64),
            limits.join(", "),
            trials.len(),
        )?;
        writeln!(
            f,
            "  {:<12}{:>7}{:>9}{:>6}{:>7}{:>10}{:>9}{:>8}{:>9}{:>7}{:>14}",
            "family", "layers", "hidden", "bins", "round", "nats", "model", "code", "flash", "RAM", "instructions"
        )?;
        let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), thousands);
        for entry in self.front() {
            let hidden = entry.hidden.zip(entry.hidden_layers).map(|(units, layers)| format!("{layers} x {units}"));
            writeln!(
                f,
                "{} {:<12}{:>7}{:>9}{:>6}{:>7}{:>10.3}{:>9}{:>8}{:>9}{:>7}{:>14}",
                if entry.chosen { '*' } else { ' ' },
                word(entry.family),
                entry.layers,
                hidden.unwrap_or_else(|| "-".to_owned()),
                or_dash(entry.bins.map(|bins| bins as u64)),
                entry.round,
                entry.nats,
                thousands(entry.cost.model_bytes),
                or_dash(entry.cost.on_target.map(|it| it.code_bytes)),
                thousands(entry.cost.flash_bytes()),
                thousands(entry.cost.ram_bytes),
                or_dash(entry.cost.on_target.map(|it| it.instructions)),
            )?;
        }
        writeln!(f, "  * is chosen and now fitted in full; nats are of short fits, the shorter the lower the round")
    }
}
