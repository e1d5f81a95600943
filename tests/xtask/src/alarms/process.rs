//! `cargo xtask bench process`: faults of a chemical process, by a flow and by the charts that process control knows.

mod delays;
mod rules;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use flowlet_trainer::calibrate::Calibrated;
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::metrics::auroc;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::tail::Tail;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use delays::Delays;

use super::plot::{Panel, svg};
use super::{FALSE_ALARM_RATE, Markdown, Output, percent, ratio, share_above};

/// The share of the variance that the retained components have.
const RETAINED: f64 = 0.9;

/// Alarms in a row that count as one that is sure.
const IN_A_ROW: usize = 3;

/// Rows at or below the threshold that end an alarm, for the extremal index.
const RUN: usize = 10;

/// What the command line chose.
pub struct Request {
    /// A folder with normal_train.csv, normal_test.csv and faults_test.csv.
    pub data: PathBuf,
    /// Between two rows.
    pub minutes: f64,
    pub output: Output,
}

/// A run: its name, its rows, and the first of them with the fault.
struct Run {
    name: String,
    rows: std::ops::Range<usize>,
    onset: usize,
}

/// A statistic of all rows, and the limit that normal rows set.
struct Chart {
    name: &'static str,
    calibration: Vec<f32>,
    scores: Vec<f32>,
    /// By the rows of the normal run.
    threshold: f32,
    /// For each run, by the rows of all others before their faults.
    by_others: Vec<f32>,
}

pub fn run(request: &Request) -> Result<()> {
    let read = |name: &str| Table::read(&request.data.join(name));
    let (train, normal, faults) = (read("normal_train.csv")?, read("normal_test.csv")?, read("faults_test.csv")?);
    let train = super::features(&train, label(&train).as_deref())?;
    let roles = |table: &Table| Roles { label: label(table), ..Roles::default() };
    let normal = Readings::with_features(&normal, &train.features, &roles(&normal))?;
    let all: Vec<usize> = (0..faults.rows()).collect();
    let rows = faults.matrix(&all, &faults.columns_of(&train.features, None)?)?;
    let runs = runs(&faults)?;

    let options = SplitOptions { false_alarm_rate: FALSE_ALARM_RATE, ..SplitOptions::default() };
    let split = Split::with_validation(&train, &normal, &options)?;
    let [model, _] = request.output.fitted("process", &train, &split, &normal.values, None)?;
    let scores = |rows: &Matrix| anyhow::Ok(assess(&model, rows)?.iter().map(flowlet::Assessment::score).collect());
    let flow = chart("flow, int8", scores(&normal.values)?, scores(&rows)?, &runs)?;
    let components = Components::new(&train.values)?;
    let (normal_t2, normal_spe) = components.charts(&normal.values);
    let (t2, spe) = components.charts(&rows);
    let charts = [flow, chart("T²", normal_t2, t2, &runs)?, chart("SPE", normal_spe, spe, &runs)?];
    let delays = Delays::new(&charts[0].scores, &runs)?;
    let counts = (train.values.rows(), normal.values.rows(), components.loadings.ncols());
    let table = table(request, &charts, &delays, &runs, counts);
    let picture = svg(&[panel(&charts, &runs), delays.panel(request.minutes)], 2)?;
    request.output.write("process", &table, &picture)
}

fn label(table: &Table) -> Option<String> {
    table.columns().iter().find(|name| *name == "anomaly").cloned()
}

/// The runs of a table: rows with the same `fault`, of which `anomaly` says where it begins.
fn runs(table: &Table) -> Result<Vec<Run>> {
    let (names, of_rows) = table.groups(table.column("fault", Some("the names of runs"))?);
    let anomalous = table.labels(table.column("anomaly", Some("where a fault begins"))?)?;
    let run = |(number, name): (usize, String)| {
        let rows: Vec<usize> = (0..of_rows.len()).filter(|row| of_rows[*row] == number).collect();
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        ensure!(
            last - first + 1 == rows.len(),
            "{}: the rows of fault {name} are not one after the other",
            table.file()
        );
        let onset = rows.iter().copied().find(|row| anomalous[*row]);
        let onset = onset.with_context(|| format!("{}: fault {name} has no row with anomaly 1", table.file()))?;
        ensure!(onset > first, "{}: fault {name} has no row before the fault", table.file());
        Ok(Run { name, rows: first..last + 1, onset })
    };
    let mut runs = names.into_iter().enumerate().map(run).collect::<Result<Vec<_>>>()?;
    runs.sort_by_key(|run| run.name.parse::<u32>().unwrap_or(u32::MAX));
    Ok(runs)
}

fn chart(name: &'static str, calibration: Vec<f32>, scores: Vec<f32>, runs: &[Run]) -> Result<Chart> {
    let limit = |normal: &[f32]| anyhow::Ok(Calibrated::new(normal, FALSE_ALARM_RATE)?.threshold);
    let threshold = limit(&calibration)?;
    let others = |of: &Run| {
        let others = runs.iter().filter(|run| run.name != of.name);
        limit(&others.flat_map(|run| scores[run.rows.start..run.onset].to_vec()).collect::<Vec<_>>())
    };
    let by_others = runs.iter().map(others).collect::<Result<_>>()?;
    Ok(Chart { name, calibration, scores, threshold, by_others })
}

/// Principal components of standardized rows.
struct Components {
    moments: Vec<(f64, f64)>,
    /// A column for each retained component.
    loadings: DMatrix<f64>,
    variances: DVector<f64>,
}

impl Components {
    fn new(rows: &Matrix) -> Result<Self> {
        let count = rows.rows() as f64;
        let moments: Vec<(f64, f64)> = (0..rows.columns())
            .map(|column| {
                let mean = rows.column(column).map(f64::from).sum::<f64>() / count;
                let sum: f64 = rows.column(column).map(|value| (f64::from(value) - mean).powi(2)).sum();
                (mean, (sum / (count - 1.0)).sqrt())
            })
            .collect();
        let standardized = standardized(rows, &moments);
        let eigen = SymmetricEigen::new(standardized.transpose() * &standardized / (count - 1.0));
        let mut order: Vec<usize> = (0..moments.len()).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let all: f64 = eigen.eigenvalues.sum();
        let mut sum = 0.0;
        let below = order.iter().take_while(|component| {
            sum += eigen.eigenvalues[**component];
            sum < RETAINED * all
        });
        let retained = (below.count() + 1).min(order.len());
        ensure!(retained < order.len(), "all components are retained, so there is no SPE");
        order.truncate(retained);
        let variances = DVector::from_iterator(retained, order.iter().map(|component| eigen.eigenvalues[*component]));
        Ok(Self { moments, loadings: eigen.eigenvectors.select_columns(&order), variances })
    }

    /// Hotelling's T² of the retained components, and the squared prediction error, of each row.
    fn charts(&self, rows: &Matrix) -> (Vec<f32>, Vec<f32>) {
        let rows = standardized(rows, &self.moments);
        let scores = &rows * &self.loadings;
        let errors = &rows - &scores * self.loadings.transpose();
        let t2 = |row: usize| scores.row(row).iter().zip(&self.variances).map(|(t, v)| t * t / v).sum::<f64>() as f32;
        let spe = |row: usize| errors.row(row).norm_squared() as f32;
        ((0..rows.nrows()).map(t2).collect(), (0..rows.nrows()).map(spe).collect())
    }
}

fn standardized(rows: &Matrix, moments: &[(f64, f64)]) -> DMatrix<f64> {
    DMatrix::from_fn(rows.rows(), rows.columns(), |row, column| {
        let (mean, deviation) = moments[column];
        (f64::from(rows.row(row)[column]) - mean) / deviation
    })
}

impl Chart {
    fn before(&self, runs: &[Run]) -> Vec<f32> {
        runs.iter().flat_map(|run| self.scores[run.rows.start..run.onset].to_vec()).collect()
    }

    /// AUROC of the rows with the fault against those before any.
    fn auroc(&self, run: &Run, before: &[f32]) -> Option<f64> {
        let scores = [before, &self.scores[run.onset..run.rows.end]].concat();
        let anomalous: Vec<bool> = (0..scores.len()).map(|row| row >= before.len()).collect();
        auroc(&scores, &anomalous)
    }

    /// The share of rows with the fault above a limit, and the rows until the first of them and until the end of the first few in
    /// a row.
    fn detection(&self, run: &Run, threshold: f32) -> (f64, [Option<usize>; 2]) {
        let after = &self.scores[run.onset..run.rows.end];
        let alarms: Vec<bool> = after.iter().map(|score| *score > threshold).collect();
        let first = |length: usize| {
            alarms.windows(length).position(|alarms| alarms.iter().all(|alarm| *alarm)).map(|row| row + length - 1)
        };
        (share_above(after, threshold), [first(1), first(IN_A_ROW)])
    }

    /// The realized rate of each run before its fault.
    fn realized(&self, runs: &[Run], limit: impl Fn(usize) -> f32) -> Vec<f64> {
        let rate = |(number, run): (usize, &Run)| share_above(&self.scores[run.rows.start..run.onset], limit(number));
        runs.iter().enumerate().map(rate).collect()
    }
}

/// The correlation of scores with those one row before, by ranks, as scores have heavy tails.
fn autocorrelation(scores: &[f32]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut ranks = vec![0.0; scores.len()];
    order.iter().enumerate().for_each(|(rank, row)| ranks[*row] = rank as f64 - 0.5 * (scores.len() as f64 - 1.0));
    let products: f64 = ranks.windows(2).map(|pair| pair[0] * pair[1]).sum();
    products / ranks.iter().map(|rank| rank * rank).sum::<f64>()
}

fn panel(charts: &[Chart], runs: &[Run]) -> Panel {
    let line = |chart: &Chart| {
        let mut sorted = chart.calibration.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let before = chart.before(runs);
        let rates = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
        let point = |rate: &f64| {
            let rank = (rate * (sorted.len() as f64 + 1.0)) as usize;
            (*rate, share_above(&before, sorted[rank.max(1) - 1]))
        };
        (chart.name.to_owned(), rates.iter().map(point).collect())
    };
    Panel::rates("rows before the fault".to_owned(), (0.002, 0.4), charts.iter().map(line).collect())
}

fn table(
    request: &Request,
    charts: &[Chart],
    delays: &Delays,
    runs: &[Run],
    (train, normal, retained): (usize, usize, usize),
) -> String {
    let mut text = Markdown::default();
    text.text("# Faults of a process");
    text.text(
        "```\ncargo xtask bench process --data DIR   # DIR: normal_train.csv, normal_test.csv, faults_test.csv\n```",
    );
    text.text(&format!(
        "The Tennessee Eastman process, {} minutes a row. The flow (int8, defaults, seed 0) is fitted to the {train} rows of \
normal_train.csv, and so are the principal components of the standardized rows: {retained} that have {} of the variance make T², the others \
SPE. All limits are set alike, by ranks of normal rows at a nominal rate of {}, not by the charts' theory of normal distributions: by the {normal} \
rows of normal_test.csv, one run, or, for each run, by the rows of all other runs before their faults.",
        request.minutes,
        percent(RETAINED),
        percent(FALSE_ALARM_RATE.into()),
    ));
    realized(&mut text, charts, runs, normal);
    text.text("## By fault");
    text.text("AUROC is of the rows with the fault against all rows before any: it needs no limit.");
    let names = |measures: &[String]| -> Vec<String> {
        let each =
            measures.iter().flat_map(|measure| charts.iter().map(move |chart| format!("{measure}{}", chart.name)));
        ["fault".to_owned()].into_iter().chain(each).collect()
    };
    let before: Vec<Vec<f32>> = charts.iter().map(|chart| chart.before(runs)).collect();
    let area = |run: &Run| -> Vec<f64> {
        charts.iter().zip(&before).map(|(chart, before)| chart.auroc(run, before).unwrap_or(f64::NAN)).collect()
    };
    let areas: Vec<Vec<f64>> = runs.iter().map(area).collect();
    let row = |(run, areas): (&Run, &Vec<f64>)| -> Vec<String> {
        [run.name.clone()].into_iter().chain(areas.iter().map(|area| ratio(Some(*area)))).collect()
    };
    let mut rows: Vec<Vec<String>> = runs.iter().zip(&areas).map(row).collect();
    rows.push(means(&areas, |area| format!("{area:.3}"), 0));
    text.table(&names(&[String::new()]).iter().map(String::as_str).collect::<Vec<_>>(), rows);
    text.text(&format!(
        "Delay is from the onset, in minutes: to the first alarm, and to the end of the first {IN_A_ROW} in a row. A first alarm may be a \
false one; {IN_A_ROW} in a row seldom are."
    ));
    let heads = names(&["detected: ".to_owned(), "delay: ".to_owned(), format!("delay, {IN_A_ROW} in a row: ")]);
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    text.text("Limits by the other runs, at nearly the same realized rate:");
    text.table(&heads, detections(request, charts, runs, |chart, number| chart.by_others[number]));
    text.text("Limits by normal_test.csv:");
    text.table(&heads, detections(request, charts, runs, |chart, _| chart.threshold));
    delays.report(&mut text, runs, request.minutes);
    text.text(
        "![expected against realized rates before the fault, and median delays by rule over the realized rate of false alarms](process.svg)",
    );
    text.text("What is 0 or beyond an axis is drawn at its end.");
    text.0.trim_end().to_owned() + "\n"
}

/// A line for each chart: the rate before the faults.
fn realized(text: &mut Markdown, charts: &[Chart], runs: &[Run], normal: usize) {
    text.text("## Realized rates before the fault");
    let rates = charts.iter().map(|chart| {
        let of_runs = chart.realized(runs, |_| chart.threshold);
        let by_others = chart.realized(runs, |number| chart.by_others[number]);
        let mean = |rates: &[f64]| percent(rates.iter().sum::<f64>() / rates.len() as f64);
        let most = |rates: &[f64]| percent(rates.iter().copied().fold(0.0, f64::max));
        let none = by_others.iter().filter(|rate| **rate == 0.0).count();
        let index = Tail::fit_declustered(&chart.calibration, RUN);
        vec![
            chart.name.to_owned(),
            mean(&of_runs),
            most(&of_runs),
            mean(&by_others),
            most(&by_others),
            format!("{none} of {}", runs.len()),
            format!("{:.2}", autocorrelation(&chart.calibration)),
            index.map_or_else(|_| "-".to_owned(), |tail| format!("{:.2}", tail.extremal_index)),
        ]
    });
    text.table(
        &[
            "chart",
            "by normal_test.csv",
            "most, of a run",
            "by the other runs",
            "most, of a run",
            "runs without",
            "rank correlation with the row before",
            "extremal index",
        ],
        rates.collect::<Vec<_>>(),
    );
    text.text(&format!(
        "Rows are correlated in time. That leaves the expected rate as it is, as long as the process is the same, but alarms come in \
bursts: the {normal} rows of one run count for far fewer independent ones, so limits that they set are less certain than their number suggests, and the \
realized rate of a run scatters more widely than independent rows would have it. An extremal index below 1 says how many rows share a burst (rows no more \
than {RUN} apart; runs declustering on normal_test.csv). A p-value of one row promises nothing of the next."
    ));
}

/// A line for each run, by a limit for each chart and run, and one of means.
fn detections(
    request: &Request,
    charts: &[Chart],
    runs: &[Run],
    limit: impl Fn(&Chart, usize) -> f32,
) -> Vec<Vec<String>> {
    let minutes =
        |rows: Option<usize>| rows.map_or("-".to_owned(), |rows| format!("{:.0}", rows as f64 * request.minutes));
    let (mut rows, mut shares) = (Vec::new(), Vec::new());
    for (number, run) in runs.iter().enumerate() {
        let of: Vec<_> = charts.iter().map(|chart| chart.detection(run, limit(chart, number))).collect();
        let mut row = vec![run.name.clone()];
        row.extend(of.iter().map(|(detected, _)| percent(*detected)));
        row.extend(of.iter().map(|(_, delays)| minutes(delays[0])));
        row.extend(of.iter().map(|(_, delays)| minutes(delays[1])));
        rows.push(row);
        shares.push(of.iter().map(|(detected, _)| *detected).collect());
    }
    rows.push(means(&shares, percent, 2 * charts.len()));
    rows
}

/// The line of means over runs, and empty cells behind it.
fn means(of_runs: &[Vec<f64>], show: impl Fn(f64) -> String, empty: usize) -> Vec<String> {
    let charts = of_runs.first().map_or(0, Vec::len);
    let mean = |chart: usize| of_runs.iter().map(|row| row[chart]).sum::<f64>() / of_runs.len() as f64;
    let cells = (0..charts).map(|chart| format!("**{}**", show(mean(chart))));
    ["**mean**".to_owned()].into_iter().chain(cells).chain((0..empty).map(|_| String::new())).collect()
}
