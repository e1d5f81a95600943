//! `cargo xtask bench cycles`: whole load cycles of the bundled rig, scored and calibrated as groups.

mod report;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::ValueEnum;
use flowlet::Assessment;
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::groups::{Aggregate, GroupCalibration, folds, lowest_rate};
use flowlet_trainer::metrics::auroc;
use flowlet_trainer::model::Model;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::{Architecture, Family};

use super::plot::{Panel, svg};
use super::{FALSE_ALARM_RATE, Output};
use crate::setup;

/// Shifts of one sensor, in standard deviations, that aggregates are compared by.
const SHIFTS: [f32; 6] = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0];

/// Rows for each of the farthest off that nats leave out.
const FARTHEST: usize = 100;

/// What another aggregate has to gain in AUROC over the default to be taken: less is chance among so few cycles.
const GAIN: f64 = 0.005;

/// Standard deviations that all sensors of one second are shifted by, to see what a single wild second does.
const WILD: f32 = 100.0;

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
    let usual = senses.iter().find(|sense| sense.aggregate == Aggregate::default()).map_or(0.0, |sense| sense.shifted);
    let gains = senses.iter().filter(|sense| sense.shifted > usual + GAIN);
    let most = gains.max_by(|a, b| a.shifted.total_cmp(&b.shifted));
    let aggregate = most.map_or(Aggregate::default(), |sense| sense.aggregate);
    let promises = promises(request, best, aggregate, &readings, &test, &normal)?;
    let by_seconds = by_seconds(request, best.family, &readings, &test)?;
    let text = report::table(&Results {
        fits: &fits,
        best,
        senses: &senses,
        aggregate,
        promises: &promises,
        by_seconds: &by_seconds,
        test: &test,
        normal: &normal,
    });
    request.output.write("cycles", &text, &svg(&[panel(best, &promises, &test)], 1)?)
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

/// How an aggregate does on held-back normal cycles.
struct Sense {
    aggregate: Aggregate,
    /// How well it tells them from the same ones with one sensor shifted: the mean AUROC over sensors and shifts.
    shifted: f64,
    /// The share of them that a single wild second lifts above all of them.
    wild: f64,
}

/// What each aggregate makes of held-back normal cycles, shifted. No fault and no test reading has a part in it.
fn senses(best: &Fit, held_back: &Matrix, normal: &Held, readings: &Readings) -> Result<Vec<Sense>> {
    let scorer = best.model.scorer();
    let columns = held_back.columns();
    let deviation = |column: usize| {
        let values: Vec<f64> = readings.values.column(column).map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt() as f32
    };
    let deviations: Vec<f32> = (0..columns).map(deviation).collect();
    let cycles = |aggregate: Aggregate, said: &[Assessment]| {
        aggregate.scores(said, &normal.of_rows, normal.count, scorer.calibration())
    };
    let mut senses = Aggregate::ALL.map(|aggregate| Sense { aggregate, shifted: 0.0, wild: 0.0 });
    for column in 0..columns {
        for shift in SHIFTS {
            let mut shifted = held_back.clone();
            for row in shifted.values_mut().chunks_exact_mut(columns) {
                row[column] += shift * deviations[column];
            }
            let said = assess(&best.model, &shifted)?;
            for sense in &mut senses {
                let scores = [cycles(sense.aggregate, &best.held_back), cycles(sense.aggregate, &said)].concat();
                let anomalous: Vec<bool> = (0..scores.len()).map(|group| group >= normal.count).collect();
                sense.shifted += auroc(&scores, &anomalous).unwrap_or(f64::NAN) / (columns * SHIFTS.len()) as f64;
            }
        }
    }
    let mut wild = held_back.clone();
    let first = (0..normal.count).filter_map(|group| normal.of_rows.iter().position(|other| *other == group));
    for row in first.collect::<Vec<_>>() {
        let cells = &mut wild.values_mut()[row * columns..(row + 1) * columns];
        cells.iter_mut().zip(&deviations).for_each(|(cell, deviation)| *cell += WILD * deviation);
    }
    let said = assess(&best.model, &wild)?;
    for sense in &mut senses {
        let most = cycles(sense.aggregate, &best.held_back).into_iter().fold(f32::MIN, f32::max);
        sense.wild = super::share_above(&cycles(sense.aggregate, &said), most);
    }
    Ok(senses.into())
}

/// What a flow says of the test that is calibrated by seconds drawn at random, as without `--group`.
fn by_seconds(request: &Request, family: Family, readings: &Readings, test: &Test) -> Result<Vec<Assessment>> {
    let readings = Readings { groups: None, ..readings.clone() };
    let split = Split::new(&readings, &SplitOptions { false_alarm_rate: FALSE_ALARM_RATE, ..SplitOptions::default() })?;
    let shape = Architecture::of(family, readings.features.len());
    let (name, held_back) = (format!("cycles/{}-seconds", word(family)), readings.values.select(&split.calibration));
    let [model, _] = request.output.fitted(&name, &readings, &split, &held_back, Some(shape))?;
    Ok(assess(&model, &test.rows)?)
}

/// What the report is made of.
struct Results<'a> {
    fits: &'a [Fit],
    best: &'a Fit,
    senses: &'a [Sense],
    aggregate: Aggregate,
    promises: &'a [Promise],
    by_seconds: &'a [Assessment],
    test: &'a Test,
    normal: &'a Held,
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
    let lines = [seconds].into_iter().chain(promises.iter().map(of)).collect();
    Panel::rates("healthy cycles of the test".to_owned(), (0.003, 0.6), lines)
}
