//! `cargo xtask bench rates`: realized false-alarm rates beside those that were calibrated for, by data set.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flowlet_trainer::data::{Matrix, Places, Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::model::Model;
use flowlet_trainer::realized::Exceedances;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::tail::Tail;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::plot::{Panel, svg};
use super::{FALSE_ALARM_RATE, Markdown, Output, percent};
use crate::sets;

/// Rates that are promised.
const RATES: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// What part of the normal rows is neither trained nor selected on; one half of it calibrates, the other tests.
const HELD_BACK: f64 = 0.5;

/// The chance that the interval is to hold.
const LEVEL: f64 = 0.95;

/// What the command line chose.
pub struct Request {
    /// A folder that holds `anomaly`, or is it.
    pub data: PathBuf,
    /// Divisions of the rows that are held back into those that calibrate and those that test.
    pub divisions: u64,
    pub output: Output,
}

/// How often scores of one format passed their thresholds.
struct Realized {
    /// For each division and rate: alarms, and whether chance explains them, if it can be said.
    alarms: Vec<Vec<(usize, Option<bool>)>>,
}

struct Figure {
    set: String,
    fitted: usize,
    calibration: usize,
    test: usize,
    /// int8, f32.
    formats: [Realized; 2],
}

pub fn run(request: &Request) -> Result<()> {
    let folder = request.data.join("anomaly");
    let folders = sets::of_kind(if folder.exists() { &folder } else { &request.data })?;
    ensure!(!folders.is_empty(), "--data {}: has no anomaly/SET/test.csv", request.data.display());
    let figures = folders
        .iter()
        .map(|folder| measure(folder, request).with_context(|| folder.display().to_string()))
        .collect::<Result<Vec<_>>>()?;
    let picture = svg(&figures.iter().map(panel).collect::<Vec<_>>(), 4)?;
    request.output.write("rates", &table(&figures, request.divisions), &picture)
}

fn measure(folder: &Path, request: &Request) -> Result<Figure> {
    let set = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let readings = normal(folder)?;
    let rows = readings.values.rows();
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let held_back = order.split_off(rows - (rows as f64 * HELD_BACK) as usize);
    order.sort_unstable();
    let part = |rows: &[usize]| Readings { values: readings.values.select(rows), ..readings.clone() };
    let (fitting, held_back) = (part(&order), part(&held_back));
    let options = SplitOptions { false_alarm_rate: FALSE_ALARM_RATE, ..SplitOptions::default() };
    let split = Split::with_validation(&fitting, &held_back, &options)?;
    let models = request.output.fitted(&format!("rates/{set}"), &fitting, &split, &held_back.values, None)?;
    let calibration = held_back.values.rows() / 2;
    let test = held_back.values.rows() - calibration;
    let realized = |model: &Model| realized(model, &held_back.values, calibration, request.divisions);
    let [int8, f32] = models;
    Ok(Figure { set, fitted: order.len(), calibration, test, formats: [realized(&int8)?, realized(&f32)?] })
}

/// The normal rows of both files, by the columns that vary in the first.
fn normal(folder: &Path) -> Result<Readings> {
    let [training, test] = ["train.csv", "test.csv"].map(|name| folder.join(name));
    let (training, test) = (Table::read(&training)?, Table::read(&test)?);
    let label = test.columns().last().cloned();
    let mut readings = super::features(&training, label.as_deref())?;
    let more = Readings::with_features(&test, &readings.features, &Roles { label, ..Roles::default() })?;
    readings.values = readings.values.followed_by(&more.values);
    // Rows of two files have no places in one.
    readings.places = Places::default();
    Ok(readings)
}

/// Alarms among rows that test, by division of the rows that are held back and by rate.
fn realized(model: &Model, rows: &Matrix, calibration: usize, divisions: u64) -> Result<Realized> {
    let mut scores: Vec<f32> = assess(model, rows)?.iter().map(flowlet::Assessment::score).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let alarms = (0..divisions)
        .map(|_| {
            scores.shuffle(&mut rng);
            let (held_back, test) = scores.split_at(calibration);
            let mut highest = held_back.to_vec();
            highest.sort_unstable_by(|a, b| b.total_cmp(a));
            let tail = Tail::fit(held_back);
            let at = |rate: f64| {
                let chance = Exceedances::new(rate, held_back.len(), test.len());
                let threshold = match (chance.rank, &tail) {
                    (0, Ok(tail)) => tail.quantile(rate),
                    (0, Err(_)) => f64::INFINITY,
                    (rank, _) => highest[rank - 1].into(),
                };
                let count = test.iter().filter(|score| f64::from(**score) > threshold).count();
                (count, chance.interval(LEVEL).map(|(low, high)| (low..=high).contains(&count)))
            };
            RATES.into_iter().map(at).collect()
        })
        .collect();
    Ok(Realized { alarms })
}

impl Figure {
    /// The mean realized rate over divisions.
    fn mean(&self, format: usize, rate: usize) -> f64 {
        let alarms = &self.formats[format].alarms;
        alarms.iter().map(|division| division[rate].0 as f64).sum::<f64>() / (alarms.len() * self.test) as f64
    }

    fn interval(&self, rate: usize) -> Option<(f64, f64)> {
        let interval = Exceedances::new(RATES[rate], self.calibration, self.test).interval(LEVEL)?;
        Some((interval.0 as f64 / self.test as f64, interval.1 as f64 / self.test as f64))
    }
}

/// The first division of a set; the band is of chance.
fn panel(figure: &Figure) -> Panel {
    let line = |name: &str, format: usize| {
        let first = &figure.formats[format].alarms[0];
        let points = RATES.iter().zip(first).map(|(rate, (count, _))| (*rate, *count as f64 / figure.test as f64));
        (name.to_owned(), points.collect())
    };
    let band = (0..RATES.len()).filter_map(|rate| figure.interval(rate).map(|(low, high)| (RATES[rate], low, high)));
    let title = format!("{} ({} and {} rows)", figure.set, figure.calibration, figure.test);
    let lines = vec![line("int8", 0), line("f32", 1)];
    Panel { band: band.collect(), ..Panel::rates(title, (RATES[0] / 3.0, 0.4), lines) }
}

fn table(figures: &[Figure], divisions: u64) -> String {
    let mut text = Markdown::default();
    text.text("# Realized false-alarm rates");
    text.text("```\ncargo xtask bench rates --data DIR   # DIR/anomaly/SET: train.csv, test.csv with a last column of labels\n```");
    text.text(&format!(
        "The normal rows of both files are pooled and divided at random, so that all of them are exchangeable: a half is fitted with \
the defaults (a tenth of all rows of that half selects), a quarter calibrates and a quarter tests. The interval is the beta-binomial one of 95 % for n \
rows that calibrate and m that test, and says what chance allows where the calibration is right. The same rows that are held back are \
divided anew {divisions} times; the first division is in the columns `realized`. Equal scores can make alarms fewer, never more."
    ));
    let one = RATES.iter().position(|rate| (rate - f64::from(FALSE_ALARM_RATE)).abs() < 1e-9).unwrap_or_default();
    let rows = figures.iter().map(|figure| {
        let first = |format: usize| figure.formats[format].alarms[0][one];
        let within = |format: usize| {
            let of = figure.formats[format].alarms.iter().filter(|division| division[one].1 == Some(true)).count();
            format!("{of}/{divisions}")
        };
        let rate = |format: usize| percent(first(format).0 as f64 / figure.test as f64);
        let said = |format: usize| first(format).1.map_or("-", |within| if within { "yes" } else { "no" }).to_owned();
        vec![
            figure.set.clone(),
            figure.fitted.to_string(),
            figure.calibration.to_string(),
            figure.test.to_string(),
            figure.interval(one).map_or("-".to_owned(), |(low, high)| format!("{} .. {}", percent(low), percent(high))),
            rate(0),
            rate(1),
            format!("{}, {}", said(0), said(1)),
            percent(figure.mean(0, one)),
            format!("{}, {}", within(0), within(1)),
        ]
    });
    text.text("## At 1 %");
    text.table(
        &[
            "set",
            "fitted",
            "n",
            "m",
            "interval",
            "realized, int8",
            "f32",
            "within",
            "mean over divisions, int8",
            "within, of divisions",
        ],
        rows.collect::<Vec<_>>(),
    );
    text.text("## By rate");
    text.text(
        "Means over all divisions, int8; in the last rows how often the count lies within its interval, over sets and over sets and divisions. \
With * the rate is below 1/(n + 1), which no held-back row reaches: the threshold is an estimate by the tail (generalized Pareto), and \
nothing is promised.",
    );
    let rates = RATES.map(percent);
    let heads: Vec<&str> = ["set"].into_iter().chain(rates.iter().map(String::as_str)).collect();
    let mut rows: Vec<Vec<String>> = figures
        .iter()
        .map(|figure| {
            let cell = |rate: usize| {
                let mark = if figure.interval(rate).is_none() { "*" } else { "" };
                percent(figure.mean(0, rate)) + mark
            };
            [figure.set.clone()].into_iter().chain((0..RATES.len()).map(cell)).collect()
        })
        .collect();
    for (name, format, all) in [
        ("within, sets, int8", 0, false),
        ("within, sets, f32", 1, false),
        ("within, sets and divisions, int8", 0, true),
        ("within, sets and divisions, f32", 1, true),
    ] {
        let cell = |rate: usize| {
            let divisions = |figure: &Figure| if all { figure.formats[format].alarms.len() } else { 1 };
            let said: Vec<bool> = figures
                .iter()
                .flat_map(|figure| figure.formats[format].alarms.iter().take(divisions(figure)))
                .filter_map(|division| division[rate].1)
                .collect();
            let within = said.iter().filter(|within| **within).count();
            if said.is_empty() { "-".to_owned() } else { format!("{within}/{}", said.len()) }
        };
        rows.push([name.to_owned()].into_iter().chain((0..RATES.len()).map(cell)).collect());
    }
    text.table(&heads, rows);
    let enough = |format: usize| {
        let within = |division: &usize| {
            let of = |figure: &&Figure| figure.formats[format].alarms[*division][one].1 == Some(true);
            figures.iter().filter(of).count()
        };
        (0..divisions as usize).filter(|division| within(division) as f64 >= 0.9 * figures.len() as f64).count()
    };
    text.text(&format!(
        "At {}, at least 90 % of the sets lie within their intervals in {} of {divisions} divisions with int8 weights, in {} with f32.",
        percent(FALSE_ALARM_RATE.into()),
        enough(0),
        enough(1),
    ));
    text.text("![expected against realized rates, with the band of chance](rates.svg)");
    text.text("The picture shows the first division, with the band that chance leaves in blue; where there is no band the rate is an estimate by the tail.");
    text.0.trim_end().to_owned() + "\n"
}
