//! How long it takes to a given held-out log-density: what a fast step is worth once it has learned something.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowlet_trainer::data::Matrix;
use flowlet_trainer::train::{self, Effort, Epoch, Family, Options, Progress, TrainingData, without_farthest};
use serde::{Deserialize, Serialize};

use super::{BATCH_ROWS, HIDDEN, LAYERS, name, peers};
use crate::alarms::Markdown;
use crate::sets::Set;
use crate::setup;

/// What the command line chose.
pub struct Request {
    /// The folder that holds `density`; without it, the bundled set alone.
    pub data: Option<PathBuf>,
    /// Families that are compared; those that a library does not have are left out there.
    pub families: Vec<Family>,
    /// Seconds of training that each flow of another library has.
    pub seconds: f64,
    /// Where the figures go.
    pub json: Option<PathBuf>,
}

/// The sets of `density` that are compared on.
const SETS: [&str; 2] = ["power", "gas"];

/// Targets lie this far below the best that another library comes to, in nats: the last bit is won by patience.
const BELOW: f64 = 0.05;

/// The efforts that flowlet is measured with, and what their curves are called.
const EFFORTS: [(Effort, &str); 2] = [(Effort::Normal, "flowlet, normal"), (Effort::Quick, "flowlet, quick")];

/// How a flow learned.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Curve {
    library: String,
    /// By our name.
    family: String,
    /// The highest one.
    learning_rate: f64,
    parameters: usize,
    /// Seconds of compilation, not counted.
    compilation: f64,
    /// Seconds of training, and nats of the held-out rows then.
    curve: Vec<(f64, f64)>,
}

impl Curve {
    fn best(&self) -> f64 {
        self.curve.iter().fold(f64::NEG_INFINITY, |best, (_, nats)| best.max(*nats))
    }

    /// Seconds to the first point at this log-density or above.
    fn seconds(&self, target: f64) -> Option<f64> {
        self.curve.iter().find(|(_, nats)| *nats >= target).map(|(seconds, _)| *seconds)
    }
}

/// The curves of one set.
#[derive(Serialize)]
struct Figure {
    set: String,
    training_rows: usize,
    curves: Vec<Curve>,
}

/// Trains on all sets and prints a table.
pub fn run(request: &Request) -> Result<()> {
    let families = match &request.families[..] {
        [] => &[Family::Maf, Family::Spline][..],
        some => some,
    };
    let mut folders = vec![setup::root().join("tests/data/hydraulic")];
    if let Some(data) = &request.data {
        folders.extend(SETS.map(|set| data.join("density").join(set)));
    }
    let mut figures = Vec::new();
    for folder in folders {
        let set = Set::read(&folder, 0).with_context(|| format!("{}", folder.display()))?;
        eprintln!("{}", set.name);
        figures.push(measure(&set, families, request.seconds)?);
    }
    println!("{}", table(&figures, families));
    let Some(path) = &request.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&figures)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn measure(set: &Set, families: &[Family], seconds: f64) -> Result<Figure> {
    let (training, held_out) = set.training_and_selection();
    let mut curves = Vec::new();
    for family in families {
        for (effort, called) in EFFORTS {
            curves.push(ours((*family, effort, called), &training, &held_out)?);
        }
    }
    let folder = setup::target_directory().join("reach");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let files = ["training.csv", "held_out.csv"].map(|file| folder.join(file));
    // As a fit does: the hundredth that is farthest off has no say.
    for (file, rows) in files.iter().zip([&training, &without_farthest(&held_out, held_out.columns())]) {
        write(file, rows)?;
    }
    let names: Vec<String> = families.iter().map(|family| name(*family)).collect();
    let python = peers::python()?;
    for library in ["jax", "torch"] {
        let mut command = Command::new(&python);
        command.arg(setup::root().join("tests/peers/speed/reach.py")).arg(library).arg(names.join(","));
        command.args([LAYERS, HIDDEN, BATCH_ROWS].map(|number| number.to_string())).arg(seconds.to_string());
        let output = command.args(&files).stderr(Stdio::inherit()).output().context("cannot start Python")?;
        ensure!(output.status.success(), "tests/peers/speed/reach.py {library} failed ({})", output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines().filter(|line| line.starts_with('{')) {
            curves.push(serde_json::from_str(line).with_context(|| format!("not a curve: {line}"))?);
        }
    }
    Ok(Figure { set: set.name.clone(), training_rows: training.rows(), curves })
}

/// A fit with the defaults but for the shape and the batch of the fixed job.
fn ours((family, effort, called): (Family, Effort, &str), training: &Matrix, held_out: &Matrix) -> Result<Curve> {
    let features = training.columns();
    let mut options = Options::for_features(features);
    options.architecture = train::Architecture::of(family, features);
    (options.architecture.layers, options.architecture.hidden) = (LAYERS, HIDDEN);
    options.batch_rows = BATCH_ROWS;
    let options = options.candidates(effort, true, features, 0).swap_remove(0);
    // Rows of a grid are spread over its cells already, for all libraries alike.
    let quantization_steps = vec![0.0; features];
    let data = TrainingData {
        features,
        training,
        stored: None,
        validation: held_out,
        quantization_steps: &quantization_steps,
    };
    let mut clock = Clock { start: Instant::now(), points: Vec::new() };
    let fit = train::fit(data, &options, &mut clock, &AtomicBool::new(false)).context("a fit")?;
    // A fit tells losses in standardized units; in raw ones they differ by a constant, which the best of them has.
    let lowest = clock.points.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    let constant = fit.summary.validation_loss - lowest;
    let point = |(after, loss): (Duration, f64)| (after.as_secs_f64(), -(loss + constant));
    Ok(Curve {
        library: called.to_owned(),
        family: name(family),
        learning_rate: options.learning_rate.into(),
        parameters: fit.model.parameters.len(),
        compilation: 0.0,
        curve: clock.points.into_iter().map(point).collect(),
    })
}

/// The losses of a fit, and when they were reached.
struct Clock {
    start: Instant,
    points: Vec<(Duration, f64)>,
}

impl Progress for Clock {
    fn epoch(&mut self, state: &Epoch) {
        self.points.push((self.start.elapsed(), state.validation_loss));
    }
}

fn write(path: &Path, rows: &Matrix) -> Result<()> {
    let line = |row: &[f32]| row.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(",") + "\n";
    fs::write(path, rows.iter_rows().map(line).collect::<String>())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A line for each flow of another library: how long it took to nearly its best, and how long flowlet took to that.
fn table(figures: &[Figure], families: &[Family]) -> String {
    let mut text = Markdown::default();
    let mut lines = Vec::new();
    for (figure, family) in figures.iter().flat_map(|figure| families.iter().map(move |family| (figure, name(*family))))
    {
        let of = |library: &str| {
            figure.curves.iter().filter(|curve| curve.family == family && curve.library == library).collect::<Vec<_>>()
        };
        for library in ["flowjax", "zuko"] {
            // Of its learning rates the better one counts: for the target, and for the time.
            let theirs = of(library);
            let Some(best) = theirs.iter().copied().max_by(|a, b| a.best().total_cmp(&b.best())) else { continue };
            let target = best.best() - BELOW;
            let fastest =
                |curves: &[&Curve]| curves.iter().filter_map(|curve| curve.seconds(target)).min_by(f64::total_cmp);
            let said = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
            let [normal, quick] = EFFORTS.map(|(_, called)| of(called));
            let ratio = fastest(&theirs).zip(fastest(&normal)).map(|(theirs, ours)| format!("{:.1}", theirs / ours));
            let nats = |curves: &[&Curve]| curves.iter().map(|curve| curve.best()).fold(f64::NEG_INFINITY, f64::max);
            lines.push(vec![
                format!("{}, {} rows", figure.set, figure.training_rows),
                format!("`{family}`"),
                library.to_owned(),
                best.parameters.to_string(),
                format!("{:.3}", best.best()),
                said(fastest(&theirs)),
                format!("{:.1}", best.compilation),
                said(fastest(&normal)),
                ratio.unwrap_or_else(|| "-".to_owned()),
                said(fastest(&quick)),
                format!("{:.3}", nats(&normal)),
            ]);
        }
    }
    text.table(
        &[
            "set",
            "family",
            "library",
            "parameters",
            "its best nats",
            "seconds to nearly that",
            "besides, to compile",
            "flowlet to the same",
            "faster by",
            "`--effort quick`",
            "flowlet's best nats",
        ],
        lines,
    );
    text.0.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_to_the_first_point_that_is_good_enough() {
        let curve = vec![(0.0, -5.0), (1.0, -2.0), (2.0, -2.5), (3.0, -1.0)];
        let (library, family) = (String::new(), String::new());
        let curve = Curve { library, family, learning_rate: 0.001, parameters: 1, compilation: 0.0, curve };
        assert_eq!((curve.best(), curve.seconds(-2.2), curve.seconds(-1.0)), (-1.0, Some(1.0), Some(3.0)));
        assert_eq!(curve.seconds(0.0), None);
    }
}
