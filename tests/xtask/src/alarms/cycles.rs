//! `cargo xtask bench cycles`: whole load cycles of the bundled rig, scored and calibrated as groups.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use clap::ValueEnum;
use flowlet::Assessment;
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::groups::{Aggregate, GroupCalibration, folds, lowest_rate};
use flowlet_trainer::metrics::{auroc, average_precision};
use flowlet_trainer::model::Model;
use flowlet_trainer::realized::Exceedances;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::{Architecture, Family};

use super::plot::{Panel, svg};
use super::{FALSE_ALARM_RATE, Markdown, Output, percent, ratio};
use crate::setup;

/// Shifts of one sensor, in standard deviations, that aggregates are compared by.
const SHIFTS: [f32; 6] = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0];

/// Rates of groups that are realized.
const RATES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// The share of rows, the farthest off, that nats leave out.
const FARTHEST: usize = 100;

/// What other libraries' models give per cycle: constants, not run by this command.
const PEERS: &str = "zuko's masked autoregressive flow 0.912 and spline flow 0.899, a mixture of 32 normal distributions 0.896, five nearest \
neighbours 0.871, the Mahalanobis distance 0.686";

/// What the command line chose.
pub struct Request {
    /// Of these families the best is taken; all that are fitted well when there are none.
    pub families: Vec<Family>,
    /// Folds of the cross-conformal calibration.
    pub folds: usize,
    pub output: Output,
}

/// The test file.
struct Test {
    rows: Matrix,
    anomalous: Vec<bool>,
    of_rows: Vec<usize>,
    /// Of groups.
    group_anomalous: Vec<bool>,
    kinds: Vec<String>,
    group_kind: Vec<usize>,
}

/// A model of a family, and what it says.
struct Fit {
    family: Family,
    model: Model,
    /// Mean over the seconds of the held-back cycles, without the hundredth that is farthest off.
    nats: f64,
    test: Vec<Assessment>,
    held_back: Vec<Assessment>,
}

/// Scores of normal groups, and of the test's by the same model.
struct Promise {
    name: String,
    /// For each model that calibrates: normal groups, then test groups.
    scores: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Promise {
    fn groups(&self) -> usize {
        self.scores.iter().map(|(normal, _)| normal.len()).sum()
    }

    /// Which test groups raise the alarm: normal groups that score as high, each against its own model, are counted together.
    fn alarms(&self, rate: f64) -> Vec<bool> {
        let counted: Vec<GroupCalibration> =
            self.scores.iter().filter_map(|(normal, _)| GroupCalibration::new(normal, 1.0).ok()).collect();
        let all = self.groups() as f64;
        (0..self.scores[0].1.len())
            .map(|group| {
                let each = counted.iter().zip(&self.scores).map(|(calibration, (_, test))| {
                    calibration.p_value(test[group]) * (calibration.groups() as f64 + 1.0) - 1.0
                });
                (1.0 + each.sum::<f64>()) / (all + 1.0) <= rate * (1.0 + 1e-9)
            })
            .collect()
    }
}

pub fn run(request: &Request) -> Result<()> {
    let folder = setup::root().join("tests/data/hydraulic");
    let training = Table::read(&folder.join("train_normal.csv"))?;
    let roles = Roles { label: Some("anomaly".to_owned()), group: Some("cycle".to_owned()), ..Roles::default() };
    let readings = Readings::for_fitting(&training, &roles)?;
    let test = Test::new(&Table::read(&folder.join("test.csv"))?, &readings)?;
    let split = Split::new(&readings, &SplitOptions { false_alarm_rate: FALSE_ALARM_RATE, ..SplitOptions::default() })?;
    let held_back = readings.values.select(&split.calibration);
    let families = match &request.families[..] {
        [] => Family::value_variants().iter().copied().filter(|family| *family != Family::Continuous).collect(),
        some => some.to_vec(),
    };
    let mut fits = Vec::new();
    for family in families {
        let shape = Architecture::of(family, readings.features.len());
        let name = format!("cycles/{}", word(family));
        let [model, _] = request.output.fitted(&name, &readings, &split, &held_back, Some(shape))?;
        fits.push(Fit::new(family, model, &test, &held_back)?);
    }
    let best = fits.iter().max_by(|a, b| a.nats.total_cmp(&b.nats)).context("no family is named")?;
    let normal = Held::new(&readings, &split)?;
    let senses = senses(best, &held_back, &normal, &readings)?;
    let aggregate = senses.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Aggregate::default(), |best| best.0);
    let promises = promises(request, best, aggregate, &readings, &test, &normal)?;
    let text = table(&fits, best, &senses, aggregate, &promises, &test, &normal);
    request.output.write("cycles", &text, &svg(&[panel(best, &promises, &test)], 1, (0.005, 0.6))?)
}

fn word(family: Family) -> String {
    family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The held-back cycles: the group of each row, numbered anew.
struct Held {
    of_rows: Vec<usize>,
    count: usize,
}

impl Held {
    fn new(readings: &Readings, split: &Split) -> Result<Self> {
        let groups = readings.groups.as_ref().context("the readings have cycles")?;
        let mut numbers = BTreeMap::new();
        let number = |row: &usize| {
            let next = numbers.len();
            *numbers.entry(groups.of_rows[*row]).or_insert(next)
        };
        let of_rows = split.calibration.iter().map(number).collect();
        Ok(Self { of_rows, count: numbers.len() })
    }
}

impl Test {
    fn new(table: &Table, readings: &Readings) -> Result<Self> {
        let all: Vec<usize> = (0..table.rows()).collect();
        let rows = table.matrix(&all, &table.columns_of(&readings.features, None)?)?;
        let anomalous = table.labels(table.column("anomaly", None)?)?;
        let (cycles, of_rows) = table.groups(table.column("cycle", None)?);
        let (kinds, of_kinds) = table.groups(table.column("fault", None)?);
        let (mut group_anomalous, mut group_kind) = (vec![false; cycles.len()], vec![0; cycles.len()]);
        for (row, group) in of_rows.iter().enumerate() {
            group_anomalous[*group] |= anomalous[row];
            group_kind[*group] = of_kinds[row];
        }
        Ok(Self { rows, anomalous, of_rows, group_anomalous, kinds, group_kind })
    }

    /// AUROC of the groups of one kind, or of all anomalous ones, against all normal ones.
    fn auroc(&self, scores: &[f32], kind: Option<usize>) -> Option<f64> {
        let counts =
            |group: &usize| kind.is_none_or(|kind| !self.group_anomalous[*group] || self.group_kind[*group] == kind);
        let (scores, labels): (Vec<f32>, Vec<bool>) =
            (0..scores.len()).filter(counts).map(|group| (scores[group], self.group_anomalous[group])).unzip();
        auroc(&scores, &labels)
    }

    /// The share of groups that alarm: of normal ones, or of a kind's.
    fn rate(&self, alarms: &[bool], kind: Option<usize>) -> f64 {
        let of = |group: &usize| kind.map_or(!self.group_anomalous[*group], |kind| self.group_kind[*group] == kind);
        let groups: Vec<usize> = (0..alarms.len()).filter(of).collect();
        groups.iter().filter(|group| alarms[**group]).count() as f64 / groups.len() as f64
    }
}

impl Fit {
    fn new(family: Family, model: Model, test: &Test, held_back: &Matrix) -> Result<Self> {
        let (said, held_back) = (assess(&model, &test.rows)?, assess(&model, held_back)?);
        let mut log_probs: Vec<f64> = held_back.iter().map(|said| said.log_prob.into()).collect();
        log_probs.sort_by(f64::total_cmp);
        let kept = &log_probs[log_probs.len() / FARTHEST..];
        let nats = kept.iter().sum::<f64>() / kept.len() as f64;
        Ok(Self { family, model, nats, test: said, held_back })
    }

    fn cycles(&self, aggregate: Aggregate, test: &Test) -> Vec<f32> {
        aggregate.scores(&self.test, &test.of_rows, test.group_anomalous.len(), self.model.scorer().calibration())
    }

    fn seconds_alarm(&self) -> Vec<bool> {
        self.test.iter().map(|said| said.alarm).collect()
    }
}

/// How well each aggregate tells held-back normal cycles from the same ones with one sensor shifted: the mean AUROC over sensors
/// and shifts. No fault and no test reading has a part in it.
fn senses(best: &Fit, held_back: &Matrix, normal: &Held, readings: &Readings) -> Result<Vec<(Aggregate, f64)>> {
    let scorer = best.model.scorer();
    let mut sums = [0.0; Aggregate::ALL.len()];
    let columns = held_back.columns();
    for column in 0..columns {
        let values: Vec<f64> = readings.values.column(column).map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        for shift in SHIFTS {
            let mut shifted = held_back.clone();
            for row in shifted.values_mut().chunks_exact_mut(columns) {
                row[column] += shift * deviation as f32;
            }
            let said = assess(&best.model, &shifted)?;
            for (sum, aggregate) in sums.iter_mut().zip(Aggregate::ALL) {
                let of =
                    |said: &[Assessment]| aggregate.scores(said, &normal.of_rows, normal.count, scorer.calibration());
                let scores = [of(&best.held_back), of(&said)].concat();
                let anomalous: Vec<bool> = (0..scores.len()).map(|group| group >= normal.count).collect();
                *sum += auroc(&scores, &anomalous).unwrap_or(f64::NAN) / (columns * SHIFTS.len()) as f64;
            }
        }
    }
    Ok(Aggregate::ALL.into_iter().zip(sums).collect())
}

/// The ways to calibrate cycles: by those held back; by all, each scored by a model of the others.
fn promises(
    request: &Request,
    best: &Fit,
    aggregate: Aggregate,
    readings: &Readings,
    test: &Test,
    normal: &Held,
) -> Result<Vec<Promise>> {
    let own = aggregate.scores(&best.held_back, &normal.of_rows, normal.count, best.model.scorer().calibration());
    let cycles = best.cycles(aggregate, test);
    let mut promises = vec![Promise { name: "held-back cycles".to_owned(), scores: vec![(own, cycles.clone())] }];
    let parts = folds(readings, request.folds, 0).context("there are fewer cycles than --folds")?;
    let mut each = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let options = SplitOptions { false_alarm_rate: FALSE_ALARM_RATE, ..SplitOptions::default() };
        let held_back = Readings { values: part.held_back.clone(), ..part.rest.clone() };
        let split = Split::with_validation(&part.rest, &held_back, &options)?;
        let shape = Architecture::of(best.family, readings.features.len());
        let name = format!("cycles/{}-{}-of-{}", word(best.family), number + 1, parts.len());
        let [model, _] = request.output.fitted(&name, &part.rest, &split, &part.held_back, Some(shape))?;
        let mut numbers = BTreeMap::new();
        let of_rows: Vec<usize> = part
            .of_rows
            .iter()
            .map(|group| {
                let next = numbers.len();
                *numbers.entry(*group).or_insert(next)
            })
            .collect();
        let calibration = *model.scorer().calibration();
        let normal = aggregate.scores(&assess(&model, &part.held_back)?, &of_rows, numbers.len(), &calibration);
        let of_test = assess(&model, &test.rows)?;
        each.push((normal, aggregate.scores(&of_test, &test.of_rows, test.group_anomalous.len(), &calibration)));
    }
    let pooled = each.iter().flat_map(|(normal, _)| normal.clone()).collect();
    let count = parts.len();
    promises.push(Promise { name: format!("{count} folds, the flow left as it is"), scores: vec![(pooled, cycles)] });
    promises.push(Promise { name: format!("{count} folds, each by its own flow"), scores: each });
    Ok(promises)
}

/// Which counts among `fresh` chance explains, as text.
fn chance(rate: f64, held_back: usize, fresh: usize) -> String {
    let interval = Exceedances::new(rate, held_back, fresh).interval(0.95).map(|(low, high)| low..=high);
    let share = |count: usize| percent(count as f64 / fresh as f64);
    let text = |range: RangeInclusive<usize>| format!("{} .. {}", share(*range.start()), share(*range.end()));
    interval.map_or("-".to_owned(), text)
}

fn panel(best: &Fit, promises: &[Promise], test: &Test) -> Panel {
    let rates: Vec<f64> = (0..40).map(|step| 0.01 * 30_f64.powf(f64::from(step) / 39.0)).collect();
    let seconds = {
        let mut sorted: Vec<f32> = best.held_back.iter().map(Assessment::score).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let normal: Vec<f32> =
            best.test.iter().zip(&test.anomalous).filter(|(_, is)| !**is).map(|(said, _)| said.score()).collect();
        let realized = |rate: &f64| {
            let rank = (rate * (sorted.len() as f64 + 1.0)) as usize;
            (*rate, super::share_above(&normal, sorted[rank.max(1) - 1]))
        };
        ("seconds".to_owned(), rates.iter().map(realized).collect())
    };
    let of = |promise: &Promise| {
        let reached = rates.iter().filter(|rate| **rate >= lowest_rate(promise.groups()));
        let points = reached.map(|rate| (*rate, test.rate(&promise.alarms(*rate), None)));
        (promise.name.clone(), points.collect())
    };
    Panel {
        title: "healthy cycles of the test".to_owned(),
        lines: [seconds].into_iter().chain(promises.iter().map(of)).collect(),
        band: Vec::new(),
    }
}

fn table(
    fits: &[Fit],
    best: &Fit,
    senses: &[(Aggregate, f64)],
    aggregate: Aggregate,
    promises: &[Promise],
    test: &Test,
    normal: &Held,
) -> String {
    let mut text = Markdown::default();
    text.text("# Whole cycles of the rig");
    text.text("```\ncargo xtask bench cycles\n```");
    let healthy = test.group_anomalous.iter().filter(|anomalous| !**anomalous).count();
    text.text(&format!(
        "Flows are fitted as by `fit --group cycle --family NAME` (int8, seed 0) to the normal cycles of the bundled rig, of which {} are held back \
whole; the test file has {} cycles, {healthy} of them healthy. Family and aggregate are chosen without the test file.",
        normal.count,
        test.group_anomalous.len(),
    ));
    text.text("## Which flow");
    text.text(&format!(
        "Nats are the mean log-density of the held-back cycles' seconds, without the hundredth that is farthest off: they choose \
`{}`. Cycles score by `{}`; AUROC is over all faults. Other libraries per cycle (constants, not run by this command): {PEERS}.",
        word(best.family),
        aggregate.name(),
    ));
    let mut sorted: Vec<&Fit> = fits.iter().collect();
    sorted.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    let weak = test.kinds.iter().position(|kind| kind == "pump_leak_weak");
    let row = |fit: &&Fit| {
        let scores: Vec<f32> = fit.test.iter().map(Assessment::score).collect();
        let cycles = fit.cycles(aggregate, test);
        let own = aggregate.scores(&fit.held_back, &normal.of_rows, normal.count, fit.model.scorer().calibration());
        let promise = Promise { name: String::new(), scores: vec![(own, cycles.clone())] };
        let seconds = flowlet_trainer::metrics::alarm_rate(&fit.seconds_alarm(), &test.anomalous, false);
        let lowest = lowest_rate(normal.count);
        vec![
            format!("`{}`", word(fit.family)),
            format!("{:.3}", fit.nats),
            fit.model.body().len().to_string(),
            ratio(auroc(&scores, &test.anomalous)),
            ratio(test.auroc(&cycles, None)),
            ratio(average_precision(&cycles, &test.group_anomalous)),
            ratio(weak.and_then(|weak| test.auroc(&cycles, Some(weak)))),
            percent(seconds.unwrap_or(f64::NAN)),
            percent(test.rate(&promise.alarms(lowest), None)),
        ]
    };
    let lowest = percent(lowest_rate(normal.count));
    text.table(
        &[
            "family",
            "nats, held back",
            "bytes",
            "AUROC, seconds",
            "AUROC, cycles",
            "AP, cycles",
            "pump_leak_weak, cycles",
            "realized, seconds at 1 %",
            &format!("realized, cycles at {lowest}"),
        ],
        sorted.iter().map(row).collect::<Vec<_>>(),
    );
    text.text("## Which aggregate");
    text.text(
        "The choice is by the held-back normal cycles alone: how well each tells them from themselves with one sensor shifted by a half, one and two \
standard deviations up or down, as the mean AUROC over sensors and shifts. What it gives on the test is beside it, and chose nothing.",
    );
    let rows = senses.iter().map(|(aggregate, sense)| {
        let cycles = best.cycles(*aggregate, test);
        vec![
            format!("`{}`", aggregate.name()),
            format!("{sense:.4}"),
            ratio(test.auroc(&cycles, None)),
            ratio(weak.and_then(|weak| test.auroc(&cycles, Some(weak)))),
        ]
    });
    text.table(
        &["aggregate", "AUROC, shifted sensors", "AUROC, test", "pump_leak_weak, test"],
        rows.collect::<Vec<_>>(),
    );
    rates(&mut text, best, promises, test, healthy);
    faults(&mut text, best, aggregate, promises, test);
    text.text("![expected against realized rates of healthy cycles](cycles.svg)");
    text.0.trim_end().to_owned() + "\n"
}

/// What is realized on healthy cycles, by the way of calibration.
fn rates(text: &mut Markdown, best: &Fit, promises: &[Promise], test: &Test, healthy: usize) {
    text.text("## Realized rates");
    let alarms = best.seconds_alarm();
    let seconds = flowlet_trainer::metrics::alarm_rate(&alarms, &test.anomalous, false).unwrap_or(f64::NAN);
    let mut any = vec![false; test.group_anomalous.len()];
    alarms.iter().zip(&test.of_rows).for_each(|(alarm, group)| any[*group] |= *alarm);
    text.text(&format!(
        "Calibrated by seconds at a nominal {}, {} of the healthy seconds of the test alarm, and {} of the healthy cycles have a second \
that does. Calibrated by cycles, with the 95 % interval that chance leaves for as many cycles and {healthy} healthy ones:",
        percent(FALSE_ALARM_RATE.into()),
        percent(seconds),
        percent(test.rate(&any, None)),
    ));
    let nominal: Vec<String> = RATES.iter().map(|rate| percent(*rate)).collect();
    let heads: Vec<&str> = ["calibrated by", "cycles", "lowest rate", "realized there"]
        .into_iter()
        .chain(nominal.iter().map(String::as_str))
        .collect();
    let row = |promise: &Promise| {
        let lowest = lowest_rate(promise.groups());
        let at = |rate: f64| {
            let realized = percent(test.rate(&promise.alarms(rate), None));
            format!("{realized} ({})", chance(rate, promise.groups(), healthy))
        };
        let cell = |rate: &f64| if *rate < lowest { "-".to_owned() } else { at(*rate) };
        let first = vec![promise.name.clone(), promise.groups().to_string(), percent(lowest), at(lowest)];
        first.into_iter().chain(RATES.iter().map(cell)).collect::<Vec<_>>()
    };
    text.table(&heads, promises.iter().map(row).collect::<Vec<_>>());
    text.text(
        "Folds: every cycle is scored by a flow that was fitted without it. Left as it is, the flow that is deployed is compared with the scores of the \
folds' flows, which assumes that it scores a new cycle as they do; by its own flow, each fold's cycles are compared with the test by the same flow \
(cross-conformal), for as many evaluations. Among the normal cycles of the training file 19 % are marked stable by the rig's authors, among the healthy \
ones of the test 48 %, so the two are not quite exchangeable, whatever calibrates.",
    );
}

/// A line for each fault.
fn faults(text: &mut Markdown, best: &Fit, aggregate: Aggregate, promises: &[Promise], test: &Test) {
    text.text("## By fault");
    let cycles = best.cycles(aggregate, test);
    let seconds = best.seconds_alarm();
    let held_back = (&promises[0], lowest_rate(promises[0].groups()));
    let folded = (&promises[1], f64::from(FALSE_ALARM_RATE));
    let [by_held_back, by_folds] = [held_back, folded].map(|(promise, rate)| promise.alarms(rate));
    let scores: Vec<f32> = best.test.iter().map(Assessment::score).collect();
    let row = |kind: usize| {
        let of_kind: Vec<usize> = (0..scores.len()).filter(|row| test.group_kind[test.of_rows[*row]] == kind).collect();
        let against: Vec<usize> = (0..scores.len())
            .filter(|row| !test.anomalous[*row] || test.group_kind[test.of_rows[*row]] == kind)
            .collect();
        let pick = |rows: &[usize]| -> (Vec<f32>, Vec<bool>) {
            rows.iter().map(|row| (scores[*row], test.anomalous[*row])).unzip()
        };
        let (against, labels) = pick(&against);
        let alarming = of_kind.iter().filter(|row| seconds[**row]).count() as f64 / of_kind.len() as f64;
        let healthy = !of_kind.iter().any(|row| test.anomalous[*row]);
        let area = |value: Option<f64>| if healthy { "-".to_owned() } else { ratio(value) };
        vec![
            test.kinds[kind].clone(),
            (0..cycles.len()).filter(|group| test.group_kind[*group] == kind).count().to_string(),
            area(auroc(&against, &labels)),
            area(test.auroc(&cycles, Some(kind))),
            percent(alarming),
            percent(test.rate(&by_held_back, Some(kind))),
            percent(test.rate(&by_folds, Some(kind))),
        ]
    };
    let mut kinds: Vec<usize> = (0..test.kinds.len()).collect();
    kinds.sort_by_key(|kind| &test.kinds[*kind]);
    text.table(
        &[
            "fault",
            "cycles",
            "AUROC, seconds",
            "AUROC, cycles",
            "seconds alarming at 1 %",
            &format!("cycles alarming at {}", percent(held_back.1)),
            "cycles alarming at 1 %, folds",
        ],
        kinds.into_iter().map(row).collect::<Vec<_>>(),
    );
}
