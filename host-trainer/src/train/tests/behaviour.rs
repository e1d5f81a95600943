//! What a fit promises.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::data::Matrix;

fn matrix(features: usize, values: &[f32]) -> Matrix {
    Matrix::new(values.len() / features, features, values.to_vec())
}

/// Rows to fit to, rows to validate with, quantization steps.
struct Data {
    training: Matrix,
    validation: Matrix,
    steps: Vec<f32>,
}

impl Data {
    fn new(features: usize, training: &[f32], validation: &[f32]) -> Self {
        Self {
            training: matrix(features, training),
            validation: matrix(features, validation),
            steps: vec![0.0; features],
        }
    }

    fn borrow(&self) -> TrainingData<'_> {
        TrainingData {
            features: self.steps.len(),
            training: &self.training,
            stored: None,
            validation: &self.validation,
            quantization_steps: &self.steps,
        }
    }

    fn fit(&self, options: &Options) -> Result<Fit, FitError> {
        fit(self.borrow(), options, &mut (), &AtomicBool::new(false))
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

/// A known density: the fit comes within a few hundredths of a nat of its negative entropy, in raw units.
#[test]
fn reaches_the_entropy_of_a_correlated_gaussian() {
    let mut rows = normal(2 * 3000, 1);
    for row in rows.chunks_exact_mut(2) {
        // Standard deviations 50 and 0.01, correlation 0.9, and a mean far off.
        *<&mut [f32; 2]>::try_from(row).expect("two") =
            [1000.0 + 50.0 * row[0], 0.01 * (0.9 * row[0] + 0.19f32.sqrt() * row[1])];
    }
    let (training, rest) = rows.split_at(2 * 2000);
    let (validation, test) = rest.split_at(2 * 300);
    let result = Data::new(2, training, validation).fit(&Options { noise: Some(0.0), ..options(2) }).expect("fits");
    let entropy = 1.0 + (2.0 * std::f64::consts::PI).ln() + (50.0f64 * 0.01 * 0.19f64.sqrt()).ln();
    let found = mean(&result.model.log_probs(&matrix(2, test)));
    assert!((found + entropy).abs() < 0.08, "{found} against {}", -entropy);
    assert_eq!(result.summary.divergences, 0);
}

/// One feature has nothing to condition on: the fit is a normal distribution.
#[test]
fn one_feature_is_a_normal_distribution() {
    let rows: Vec<f32> = normal(600, 2).iter().map(|z| 7.0 + 3.0 * z).collect();
    let result = Data::new(1, &rows[..500], &rows[500..]).fit(&options(1)).expect("fits");
    for x in [1.0f32, 7.0, 12.0] {
        let z = (f64::from(x) - 7.0) / 3.0;
        let exact = -0.5 * z * z - 0.5 * (2.0 * std::f64::consts::PI).ln() - 3f64.ln();
        assert!((result.model.log_prob(&[x]) - exact).abs() < 0.3, "{x}");
    }
}

/// What a Gaussian cannot do: the curve costs a Gaussian 0.9 nats.
#[test]
fn bends() {
    let rows = banana(2, 3000, 3);
    let result = Data::new(2, &rows[..4800], &rows[4800..5400]).fit(&options(2)).expect("fits");
    let exact = -1.0 - (2.0 * std::f64::consts::PI).ln() - 0.3f64.ln();
    let found = mean(&result.model.log_probs(&matrix(2, &rows[5400..])));
    assert!(found > exact - 0.25, "{found} against {exact}");
}

#[test]
fn batched_f32_agrees_with_the_definition() {
    for features in [1, 2, 5, 33] {
        let rows = banana(features, 300, 4);
        let (training, validation) = rows.split_at(features * 250);
        let model = Data::new(features, training, validation)
            .fit(&Options { epochs: 3, ..options(features) })
            .expect("fits")
            .model;
        // 50 rows: no whole number of chunks.
        for (row, found) in validation.chunks(features).zip(model.log_probs(&matrix(features, validation))) {
            let exact = model.log_prob(row);
            assert!((f64::from(found) - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{features}: {found} {exact}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let rows = banana(5, 700, 5);
    let (training, validation) = rows.split_at(5 * 600);
    let fits: Vec<Fit> = [1, 2, 3]
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let options = Options { epochs: 4, ..options(5) };
            pool.install(|| Data::new(5, training, validation).fit(&options).expect("fits"))
        })
        .into();
    let bits = |fit: &Fit| fit.model.parameters.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&fits[0]), bits(&fits[1]));
    assert_eq!(bits(&fits[0]), bits(&fits[2]));
    assert_eq!(fits[0].summary, fits[2].summary);

    let other = Data::new(5, training, validation).fit(&Options { epochs: 4, seed: 1, ..options(5) }).expect("fits");
    assert_ne!(fits[0].model, other.model);
}

/// Values from one to a million standard deviations, a bounded scale and a finite result.
#[test]
fn far_off_rows_do_not_end_in_nan() {
    let mut rows = banana(4, 400, 6);
    rows[17] = 1e6;
    rows[42] = -3e7;
    let result = Data::new(4, &rows[..1200], &rows[1200..]).fit(&options(4)).expect("fits");
    assert!(result.model.parameters.iter().all(|value| value.is_finite()));
    assert!(result.summary.validation_loss.is_finite());
    assert!(result.model.log_prob(&[1e9, -1e9, 1e9, -1e9]).is_finite());
}

/// A learning rate at which everything explodes: the fit says so and still returns a usable model.
#[test]
fn divergence_restores_the_best_weights() {
    #[derive(Default)]
    struct Log(Vec<f32>);
    impl Progress for Log {
        fn diverged(&mut self, _: usize, learning_rate: f32) {
            self.0.push(learning_rate);
        }
    }
    let rows = banana(3, 400, 7);
    let mut log = Log::default();
    let wild = Options { learning_rate: 1e30, clip_norm: 1e30, warm_up: 0, ..options(3) };
    let result =
        fit(Data::new(3, &rows[..900], &rows[900..]).borrow(), &wild, &mut log, &AtomicBool::new(false)).expect("fits");
    assert!(result.summary.divergences > 0);
    assert!(log.0.iter().zip(&log.0[1..]).all(|(before, after)| *after == before / 2.0), "{:?}", log.0);
    assert!(result.model.log_probs(&matrix(3, &rows)).iter().all(|value| value.is_finite()));
}

#[test]
fn cancelling_keeps_the_best_so_far() {
    struct CancelAfter<'a>(usize, &'a AtomicBool);
    impl Progress for CancelAfter<'_> {
        fn epoch(&mut self, state: &Epoch) {
            assert!(state.epoch <= self.0, "cancelled, and still going on");
            self.1.store(state.epoch == self.0, Ordering::Relaxed);
        }
    }
    let rows = banana(3, 400, 8);
    let data = Data::new(3, &rows[..900], &rows[900..]);
    let cancel = AtomicBool::new(false);
    let result = fit(data.borrow(), &options(3), &mut CancelAfter(3, &cancel), &cancel).expect("fits");
    assert_eq!((result.summary.stop, result.summary.epochs), (Stop::Cancelled, 3));
    let whole = data.fit(&Options { epochs: 3, ..options(3) }).expect("fits");
    assert!(result.summary.best_epoch > 0 && whole.summary.stop == Stop::Finished);
}

/// Keeps what a fit tells of where it is, as a file would; ends the fit after a pass.
struct Keeper<'a> {
    kept: Vec<Vec<u8>>,
    begun: usize,
    passes: usize,
    cancel: &'a AtomicBool,
}

impl Progress for Keeper<'_> {
    fn resume(&mut self) -> Option<State> {
        self.begun += 1;
        self.kept.get(self.begun - 1).map(|bytes| postcard::from_bytes(bytes).expect("a state"))
    }

    fn keep(&mut self, state: &State) {
        self.kept.truncate(self.begun - 1);
        self.kept.push(postcard::to_allocvec(state).expect("a state"));
        self.passes -= 1;
        self.cancel.store(self.passes == 0, Ordering::Relaxed);
    }
}

/// As often as it is interrupted, and wherever: in a fit by likelihood, by flow matching, one that diverges, one that
/// has run out of patience.
#[test]
fn a_resumed_fit_gives_the_bits_of_an_uninterrupted_one() {
    let rows = banana(3, 400, 15);
    let data = Data { steps: vec![0.1; 3], ..Data::new(3, &rows[..900], &rows[900..]) };
    let usual = Options { epochs: 8, ..options(3) };
    let continuous = Architecture { layers: 1, ..Architecture::of(Family::Continuous, 3) };
    for options in [
        Options { architecture: continuous, ..usual.clone() },
        Options { learning_rate: 1e30, clip_norm: 1e30, warm_up: 0, ..usual.clone() },
        Options { patience: 1, learning_rate: 0.2, epochs: 500, ..usual.clone() },
        usual,
    ] {
        let whole = data.fit(&options).expect("fits");
        let (mut kept, mut runs) = (Vec::new(), 0);
        let resumed = loop {
            let cancel = AtomicBool::new(false);
            let mut keeper = Keeper { kept, begun: 0, passes: 3, cancel: &cancel };
            let fit = fit(data.borrow(), &options, &mut keeper, &cancel).expect("fits");
            (kept, runs) = (keeper.kept, runs + 1);
            if fit.summary.stop != Stop::Cancelled {
                break fit;
            }
        };
        assert!(runs > 1, "{options:?}");
        let bits = |fit: &Fit| fit.model.parameters.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&resumed), bits(&whole), "{options:?}");
        assert_eq!(resumed.summary, whole.summary);
    }
}

/// A weight that is NaN can leave every density finite, where a rectified unit makes 0 of it.
#[test]
fn no_nan_gets_into_a_model() {
    use crate::export::Written;
    use crate::model::{Metadata, Training};
    let rows = banana(2, 200, 16);
    let data = Data::new(2, &rows[..300], &rows[300..]);
    let flow = data.fit(&Options { epochs: 2, ..options(2) }).expect("fits").model;
    let metadata = || {
        let features = ["a", "b"].map(|name| crate::model::Feature { name: name.to_owned(), unit: String::new() });
        Metadata { architecture: String::new(), features: features.into(), training: Training::default() }
    };
    assert!(Written::float(&flow).model(&flow, metadata()).is_ok());
    for at in 0..flow.parameters.len() {
        let mut spoilt = flow.clone();
        spoilt.parameters[at] = f32::NAN;
        assert!(Written::float(&spoilt).model(&spoilt, metadata()).is_err(), "parameter {at}");
    }
}

#[test]
fn patience_ends_a_fit_that_only_memorizes() {
    let training = normal(6 * 40, 9);
    let validation = normal(6 * 40, 10);
    let eager = Options {
        patience: 3,
        noise: Some(0.0),
        weight_decay: Some(0.0),
        learning_rate: 1e-2,
        epochs: 500,
        ..options(6)
    };
    let summary = Data::new(6, &training, &validation).fit(&eager).expect("fits").summary;
    assert_eq!(summary.stop, Stop::Patience);
    assert_eq!(summary.epochs, summary.best_epoch + 3);
}

/// A column of two values has an infinite density on its grid; dithered it has the density of its cells.
#[test]
fn dither_gives_a_grid_the_density_of_its_cells() {
    let rows: Vec<f32> = normal(1000, 11).iter().map(|z| (4.0 * z).round() / 4.0).collect();
    let grid = Data { steps: vec![0.25], ..Data::new(1, &rows[..800], &rows[800..]) };
    let result = grid.fit(&options(1)).expect("fits");
    let exact = -0.5 * (2.0 * std::f64::consts::PI).ln();
    assert!((result.model.log_prob(&[0.0]) - exact).abs() < 0.2, "{}", result.model.log_prob(&[0.0]));
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let good = banana(2, 40, 12);
    let refusal = |training: &[f32], validation: &[f32], options: &Options| {
        Data::new(2, training, validation).fit(options).expect_err("refused").to_string()
    };
    let usual = options(2);
    let with = |at: usize, value: f32| {
        let mut rows = good.clone();
        rows[at] = value;
        rows
    };
    let times = |scale: f32| good.chunks(2).flat_map(|row| [row[0].signum() * scale, row[1]]).collect::<Vec<f32>>();
    let constant: Vec<f32> = good.chunks(2).flat_map(|row| [row[0], 3.5]).collect();
    for (found, expected) in [
        (refusal(&good[..8], &good, &usual), "4 rows to fit to, at least 8"),
        (refusal(&good, &good[..2], &usual), "1 rows for validation, at least 2"),
        (refusal(&with(7, f32::NAN), &good, &usual), "row 3, feature 1"),
        (refusal(&with(0, f32::INFINITY), &good, &usual), "row 0, feature 0"),
        (refusal(&good, &with(6, f32::NEG_INFINITY), &usual), "row 3, feature 0"),
        (refusal(&constant, &good, &usual), "feature 1 has no spread"),
        (refusal(&times(2e38), &good, &usual), "which 32 bits cannot divide by: use another unit"),
        (refusal(&times(1e-41), &good, &usual), "which 32 bits cannot divide by: use another unit"),
    ] {
        assert!(found.contains(expected), "{found}");
    }
    for (bad, option) in [
        (Options { architecture: Architecture { layers: 1, ..usual.architecture.clone() }, ..usual.clone() }, "layers"),
        (
            Options { architecture: Architecture { hidden_layers: 0, ..usual.architecture.clone() }, ..usual.clone() },
            "hidden_layers",
        ),
        (Options { architecture: Architecture { hidden: 6, ..usual.architecture.clone() }, ..usual.clone() }, "hidden"),
        (Options { architecture: Architecture { bound: 0.0, ..usual.architecture.clone() }, ..usual.clone() }, "bound"),
        (
            Options { architecture: Architecture { members: 0, ..usual.architecture.clone() }, ..usual.clone() },
            "members",
        ),
        (
            Options {
                architecture: Architecture { members: 2, ..Architecture::of(Family::Planar, 2) },
                ..usual.clone()
            },
            "members",
        ),
        (Options { batch_rows: 0, ..usual.clone() }, "batch_rows"),
        (Options { learning_rate: f32::NAN, ..usual.clone() }, "learning_rate"),
        (Options { noise: Some(-1.0), ..usual.clone() }, "noise"),
    ] {
        let found = refusal(&good, &good, &bad);
        assert!(found.starts_with(&format!("option {option}: ")), "{found}");
    }
    let mismatch = Data { validation: matrix(1, &good), ..Data::new(2, &good, &good) };
    let expected = FitError::FeatureMismatch { what: "validation table", expected: 2, found: 1 };
    assert_eq!(mismatch.fit(&usual), Err(expected));
}

#[test]
fn the_widest_table_fits() {
    let rows = banana(128, 60, 13);
    let options = Options { epochs: 2, ..Options::for_features(128) };
    let result = Data::new(128, &rows[..128 * 40], &rows[128 * 40..]).fit(&options).expect("fits");
    assert!(result.summary.validation_loss.is_finite());
}

/// Without the trimmed mean the last row alone decides, and every step that fits the other rows makes it worse.
#[test]
fn one_wild_row_does_not_select_the_weights() {
    let mut rows = banana(2, 1000, 13);
    let last = rows.len() - 1;
    rows[last] = 1e7;
    let result = Data::new(2, &rows[..1600], &rows[1600..]).fit(&options(2)).expect("fits");
    let exact = -1.0 - (2.0 * std::f64::consts::PI).ln() - 0.3f64.ln();
    let found = mean(&result.model.log_probs(&matrix(2, &rows[1600..1990])));
    assert!(found > exact - 0.35, "{found} against {exact}");
}

/// The same numbers from the trainer's batches and from the device's kernels.
#[test]
fn batched_f32_agrees_with_the_core() {
    use crate::export::Written;
    use crate::model::{Feature, Metadata, Training};
    let rows = banana(5, 300, 14);
    let flow =
        Data::new(5, &rows[..1000], &rows[1000..]).fit(&Options { epochs: 3, ..options(5) }).expect("fits").model;
    let features = (0..5).map(|index| Feature { name: format!("x{index}"), unit: String::new() }).collect();
    let training = Training {
        seed: 0,
        training_rows: 200,
        selection_rows: 100,
        calibration_rows: 0,
        epochs: 3,
        calibration_log_prob: 0.0,
    };
    let metadata = Metadata { architecture: String::new(), features, training };
    let model = Written::float(&flow).model(&flow, metadata).expect("a model");
    let scorer = model.scorer();
    for (row, batched) in rows.chunks_exact(5).zip(flow.log_probs(&matrix(5, &rows))) {
        let core = scorer.log_prob(row, &[]).expect("a density");
        assert!((core - batched).abs() < 1e-4 * (1.0 + core.abs()), "{core} {batched}");
    }
}
