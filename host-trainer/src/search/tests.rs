//! Plans against fits, budgets against costs, and the search as a whole.

use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use super::*;
use crate::cost::{Target, estimate};
use crate::data::Matrix;
use crate::export::planned;
use crate::model::architecture::{Arithmetic, Elementary, Numerics};
use crate::model::{Feature, Metadata, Training};
use crate::quantization::post_training;
use crate::train::{self, Architecture, Family, Options, TrainingData};

const FEATURES: usize = 5;

/// Rows around a curve.
fn rows(count: usize) -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let row = |_| {
        let t: f32 = rng.random_range(-2.0..2.0);
        (0..FEATURES).map(|power| t.powi(power as i32 % 3 + 1) + rng.random_range(-0.3..0.3)).collect::<Vec<f32>>()
    };
    let values: Vec<f32> = (0..count).flat_map(row).collect();
    Matrix::new(count, FEATURES, values)
}

fn budget(flash: Option<u64>, ram: Option<u64>, instructions: Option<u64>) -> Budget {
    Budget { flash, ram, instructions, target: Some(Target::CortexM4) }
}

const NOTHING: Chosen = Chosen { family: None, layers: None, hidden: None, hidden_layers: None, bins: None };

#[test]
fn a_plan_is_the_type_of_the_model_that_a_fit_gives() {
    let rows = rows(64);
    let data = TrainingData {
        features: FEATURES,
        training: &rows,
        stored: None,
        validation: &rows,
        quantization_steps: &[0.0; FEATURES],
    };
    let metadata = Metadata {
        architecture: String::new(),
        features: (0..FEATURES).map(|n| Feature { name: n.to_string(), unit: String::new() }).collect(),
        training: Training::default(),
    };
    for family in Family::value_variants().iter().filter(|family| **family != Family::Continuous) {
        let architecture = Architecture { layers: 3, hidden: 20, ..Architecture::of(*family, FEATURES) };
        let options = Options { architecture, steps: 2, ..Options::for_features(FEATURES) };
        let fitted = train::fit(data, &options, &mut (), &AtomicBool::new(false)).unwrap();
        let quantized = post_training(&fitted.model, &rows, &rows);
        let model = quantized.written.model(&quantized.flow, metadata.clone()).unwrap();
        assert_eq!(planned(FEATURES, 0, &options), *model.architecture(), "{family:?}");
    }
}

#[test]
fn every_candidate_has_a_cost_on_every_core_that_grows_with_its_sizes() {
    let options = Options::for_features(FEATURES);
    for target in Target::value_variants() {
        let endless = Budget { flash: Some(1 << 30), target: Some(*target), ..budget(None, None, None) };
        let all = candidates(FEATURES, 0, &options, &NOTHING, &endless).unwrap();
        let cost = |family, layers, hidden| {
            let wanted = |it: &&Candidate| {
                let shape = &it.shape;
                (shape.family, shape.layers, shape.hidden, shape.hidden_layers) == (family, layers, hidden, 2)
            };
            let candidate = all.iter().find(wanted).unwrap();
            (candidate.cost.flash_bytes(), candidate.cost.on_target.unwrap().instructions)
        };
        for family in [Family::Nice, Family::Realnvp, Family::Spline, Family::Maf, Family::MafSpline] {
            let (small, wide, deep) = (cost(family, 2, 16), cost(family, 2, 48), cost(family, 4, 16));
            assert!(small.0 < wide.0 && small.0 < deep.0, "{target:?} {family:?}: {small:?} {wide:?} {deep:?}");
            assert!(small.1 < wide.1 && small.1 < deep.1, "{target:?} {family:?}: {small:?} {wide:?} {deep:?}");
        }
    }
}

#[test]
fn candidates_keep_to_the_budget_and_to_what_was_chosen() {
    let options = Options::for_features(FEATURES);
    let budget = budget(Some(9000), Some(800), Some(12_000));
    let chosen = Chosen { hidden: Some(12), hidden_layers: Some(1), ..NOTHING };
    let all = candidates(FEATURES, 0, &options, &chosen, &budget).unwrap();
    for Candidate { shape, cost } in &all {
        assert!(cost.at_most().flash_bytes() <= 9000 && cost.ram_bytes <= 800, "{cost:?}");
        assert!(cost.at_most().on_target.unwrap().instructions <= 12_000, "{cost:?}");
        assert!(!shape.family.has_nets() || (shape.hidden, shape.hidden_layers) == (12, 1), "{shape:?}");
    }
    let families = |context, chosen: &Chosen| -> Vec<Family> {
        let budget = Budget { flash: None, instructions: None, target: None, ..budget };
        candidates(FEATURES, context, &options, chosen, &budget).unwrap().iter().map(|it| it.shape.family).collect()
    };
    assert!(families(0, &NOTHING).contains(&Family::Planar));
    assert!(families(2, &NOTHING).iter().all(|family| family.has_nets()));
    assert!(families(0, &Chosen { family: Some(Family::Maf), ..NOTHING }).iter().all(|it| *it == Family::Maf));
}

#[test]
fn what_is_too_small_says_what_is_needed() {
    let options = Options::for_features(FEATURES);
    let message = |budget| candidates(FEATURES, 0, &options, &NOTHING, &budget).unwrap_err().to_string();
    let flash = message(budget(Some(2000), None, Some(1_000_000)));
    assert!(flash.starts_with("no model fits: the one that comes closest, "), "{flash}");
    assert!(flash.contains("bytes of flash of 2,000") && !flash.contains("instructions"), "{flash}");
    assert!(message(budget(None, Some(10), None)).contains("bytes of RAM of 10"));
    let none = candidates(
        FEATURES,
        0,
        &options,
        &Chosen { family: Some(Family::Radial), ..NOTHING },
        &budget(Some(1), None, None),
    );
    assert!(none.unwrap_err().to_string().contains("--family: under a budget it is one of nice, realnvp"));
}

#[test]
fn costs_that_were_not_measured_are_not_made_up() {
    let message = |numerics: Numerics, family| {
        let options =
            Options { numerics, architecture: Architecture::of(family, FEATURES), ..Options::for_features(FEATURES) };
        estimate(&planned(FEATURES, 0, &options).to_core(), Some(Target::CortexM0)).unwrap_err().to_string()
    };
    let default = Numerics::default();
    let fast = message(Numerics { elementary: Elementary::Fast, ..default }, Family::Realnvp);
    assert!(fast.starts_with("what Coupling of Fast costs a device has not been measured"), "{fast}");
    let fixed = message(Numerics { arithmetic: Arithmetic::Fixed16Saturating, ..default }, Family::Nice);
    assert!(fixed.starts_with("what Fixed16Saturating costs"), "{fixed}");
    assert!(message(default, Family::Continuous).contains("has not been measured"));
}

#[test]
fn a_search_finds_the_same_whatever_the_number_of_threads() {
    let (training, selection) = (rows(300), rows(100));
    let data = TrainingData {
        features: FEATURES,
        training: &training,
        stored: None,
        validation: &selection,
        quantization_steps: &[0.0; FEATURES],
    };
    let options = Options { epochs: 100, ..Options::for_features(FEATURES) };
    let budget = budget(Some(9000), None, None);
    let chosen = Chosen { hidden_layers: Some(1), bins: Some(4), ..NOTHING };
    let all = candidates(FEATURES, 0, &options, &chosen, &budget).unwrap();
    let found = |threads, cancelled| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let cancel = AtomicBool::new(cancelled);
        pool.install(|| search(all.clone(), data, &options, &budget, &(), &cancel)).unwrap()
    };
    let (one, three) = (found(1, false), found(3, false));
    assert_eq!(one, three);
    assert!(one.iter().any(|trial| trial.round == 3) && one.iter().any(|trial| trial.round == 1));
    let (report, shape) = Report::new(budget, all.len(), 0.0, &one);
    let chosen: Vec<&Entry> = report.trials.iter().filter(|entry| entry.chosen).collect();
    let [chosen] = chosen[..] else { panic!("{report:?}") };
    assert_eq!((chosen.family, chosen.layers), (shape.family, shape.layers));
    assert!(report.trials.iter().all(|entry| entry.round < 3 || entry.nats <= chosen.nats));
    let rows: Vec<&Entry> = report.front().collect();
    assert!(
        rows.windows(2).all(|pair| pair[0].nats < pair[1].nats),
        "a dearer one on the front has more nats: {rows:?}"
    );
    assert_eq!(svg(&report).unwrap().matches("<svg").count(), 1);
    assert!(found(2, true).is_empty(), "an interrupted search has found nothing");
}
