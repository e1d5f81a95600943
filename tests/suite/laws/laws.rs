//! The laws, over the cases of the test that this is a module of.

use flowlet::{AffineCoupling, Chain, Flow, Forward, Int8, Inverse, Permute, StandardNormal, Standardize, Turned};
use flowlet_tests::models::{Case, Style, image};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal as Normal;
use zerocopy::FromBytes;

use super::{ALL_KINDS, cases};

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A point where the layer is smooth, and a context.
fn point(case: &Case, rng: &mut ChaCha8Rng) -> (Vec<f64>, Vec<f64>) {
    let mut value = || -> f64 {
        let value: f64 = rng.sample(Normal);
        if case.positive {
            return value.abs().min(4.0) + 0.3;
        }
        // Away from the cube's singularity.
        if case.singular { value + value.signum() * 0.3 } else { value }
    };
    let x = (0..case.features).map(|_| value()).collect();
    (x, (0..case.context).map(|_| value()).collect())
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
}

/// Every layer, in three styles.
fn every(mut law: impl FnMut(&Case, Style, &mut ChaCha8Rng)) {
    for (style, seed) in [(Style::Fitted, 1), (Style::Initial, 2), (Style::Hostile, 3)] {
        let mut rng = rng(seed);
        for case in cases(style, &mut rng) {
            law(&case, style, &mut rng);
        }
    }
}

#[test]
fn round_trips_return_and_log_determinants_cancel() {
    every(|case, style, rng| {
        if style == Style::Hostile || case.approximate || !case.is_bijector() {
            return;
        }
        for _ in 0..10 {
            let (start, context) = point(case, rng);
            for inverse_first in [true, false] {
                let mut there = start.clone();
                let (first, second);
                let mut back;
                if inverse_first {
                    first = case.double.inverse(&mut there, &context);
                    back = there.clone();
                    second = case.double.forward(&mut back, &context);
                } else {
                    first = case.double.forward(&mut there, &context);
                    back = there.clone();
                    second = case.double.inverse(&mut back, &context);
                }
                let bound = 1e-11 * (1.0 + largest(&there) + largest(&start));
                assert!(distance(&back, &start) < bound, "{}: {start:?} came back as {back:?}", case.name);
                assert!((first + second).abs() < 1e-11 * (1.0 + first.abs()), "{}: {first} and {second}", case.name);
            }
        }
    });
}

#[test]
fn round_trips_return_in_single_precision() {
    every(|case, style, rng| {
        if style == Style::Hostile || case.singular || case.approximate || !case.is_bijector() {
            return;
        }
        let (start, context) = point(case, rng);
        let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|value| *value as f32).collect() };
        let double = |values: &[f32]| -> Vec<f64> { values.iter().map(|value| f64::from(*value)).collect() };
        let (mut x, context) = (single(&start), single(&context));
        let first = case.single.inverse(&mut x, &context);
        let there = double(&x);
        let second = case.single.forward(&mut x, &context);
        // One layer passes on exactly what it conditions on. Several do not, and a step function may then step.
        let bound = if case.composed && case.steps { 1e-2 } else { 3e-5 };
        let bound = bound * (1.0 + largest(&there) + largest(&start));
        assert!(distance(&double(&x), &start) < bound, "{}: {start:?} came back as {x:?}", case.name);
        assert!((first + second).abs() < 1e-2_f32.min(bound as f32), "{}: {first} and {second}", case.name);
    });
}

#[test]
fn log_determinants_are_those_of_the_numerical_jacobian() {
    every(|case, style, rng| {
        if style == Style::Hostile {
            return;
        }
        // Short enough not to meet a step; long enough for the rounding of f64.
        let step = if case.steps { 1e-8 } else { 1e-6 };
        for _ in 0..3 {
            let (at, context) = point(case, rng);
            for direction in case.directions {
                let map = |x: &mut [f64]| case.double.map(*direction, x, &context);
                let determinant = |step: f64| {
                    let mut jacobian = DMatrix::<f64>::zeros(case.features, case.features);
                    for column in 0..case.features {
                        let (mut up, mut down) = (at.clone(), at.clone());
                        up[column] += step;
                        down[column] -= step;
                        let width = up[column] - down[column];
                        map(&mut up);
                        map(&mut down);
                        for row in 0..case.features {
                            jacobian[(row, column)] = (up[row] - down[row]) / width;
                        }
                    }
                    jacobian.lu().determinant()
                };
                let (determinant, shorter) = (determinant(step), determinant(step / 2.0));
                let numerical = determinant.abs().ln();
                // A step that was met shows itself: its slope depends on the length.
                if case.steps && (numerical - shorter.abs().ln()).abs() > 1e-3 {
                    continue;
                }
                // Without an inverse to try, this is what says that the map is one to one.
                assert!(case.is_bijector() || determinant > 0.0, "{}: turned over at {at:?}", case.name);
                let stated = map(&mut at.clone());
                let bound = 2e-5 * (1.0 + stated.abs());
                assert!((numerical - stated).abs() < bound, "{}, {direction:?}: {stated}, but {numerical}", case.name);
            }
        }
    });
}

#[test]
fn single_precision_is_close_to_double() {
    every(|case, style, rng| {
        if style == Style::Hostile || (case.composed && case.steps) {
            return;
        }
        let mut apart = Vec::new();
        for _ in 0..10 {
            let (at, context) = point(case, rng);
            // The same numbers in both.
            let single: Vec<f32> = at.iter().map(|value| *value as f32).collect();
            let mut double: Vec<f64> = single.iter().map(|value| f64::from(*value)).collect();
            let context: Vec<f32> = context.iter().map(|value| *value as f32).collect();
            let mut x = single.clone();
            let log_det = case.single.map(case.directions[0], &mut x, &context);
            let context: Vec<f64> = context.iter().map(|value| f64::from(*value)).collect();
            let expected = case.double.map(case.directions[0], &mut double, &context);
            let found: Vec<f64> = x.iter().map(|value| f64::from(*value)).collect();
            let bound = 1e-5 * (1.0 + largest(&double));
            if distance(&found, &double) >= bound || (f64::from(log_det) - expected).abs() >= 1e-4 {
                apart.push(format!("{found:?} and {log_det}, but {double:?} and {expected}"));
            }
        }
        // Once in a while a step lies between the two.
        assert!(apart.len() <= usize::from(case.steps), "{}: {apart:#?}", case.name);
    });
}

#[test]
fn hostile_parameters_and_readings_are_mapped_without_a_panic() {
    let extremes = [
        0.0,
        -0.0,
        1.0,
        -1e-40,
        f32::MIN_POSITIVE,
        1e38,
        f32::MAX,
        f32::MIN,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    every(|case, _, rng| {
        for _ in 0..20 {
            let mut value = || extremes[rng.random_range(0..extremes.len())];
            let context: Vec<f32> = (0..case.context).map(|_| value()).collect();
            let mut x: Vec<f32> = (0..case.features).map(|_| value()).collect();
            for direction in case.directions {
                case.single.map(*direction, &mut x, &context);
            }
        }
    });
}

#[test]
fn maps_of_one_direction_are_nowhere_singular() {
    let mut tried = 0;
    every(|case, style, rng| {
        // A log-determinant that is a number says so, and its own law says that it is the map's.
        if case.is_bijector() || case.composed {
            return;
        }
        for size in [0.0, 1e-30, 1e-3, 1.0, 30.0, 1e5] {
            let (at, context) = point(case, rng);
            let mut double: Vec<f64> = at.iter().map(|value| size * value).collect();
            let mut single: Vec<f32> = double.iter().map(|value| *value as f32).collect();
            let context_single: Vec<f32> = context.iter().map(|value| *value as f32).collect();
            let log_det = case.double.map(case.directions[0], &mut double, &context);
            let log_det_single = case.single.map(case.directions[0], &mut single, &context_single);
            assert!(log_det.is_finite(), "{}, {style:?}: {log_det} at {size} times {at:?}", case.name);
            assert!(log_det_single.is_finite(), "{}, {style:?}: {log_det_single} at {size} times {at:?}", case.name);
            tried += 1;
        }
    });
    assert!(tried > 1000 || !ALL_KINDS);
}

#[test]
fn log_scales_of_hostile_quantized_nets_stay_within_their_bound() {
    let mut rng = rng(4);
    let hostile = cases(Style::Hostile, &mut rng);
    for case in
        hostile.iter().filter(|case| case.steps && !case.composed && case.name.contains("map:Affine(scale:Softsign"))
    {
        for _ in 0..10 {
            let (mut x, context) = point(case, &mut rng);
            let log_det = case.double.inverse(&mut x, &context);
            // The largest bound that a hostile image has is 20.
            assert!(log_det.abs() <= 20.0 * case.features as f64, "{}: {log_det}", case.name);
        }
    }
}

#[test]
fn conditioned_layers_begin_as_the_identity() {
    // Where a fit starts, with a last layer of zeros, a flow is its base. Maps of many parameters round on the way.
    let mut rng = rng(6);
    let (mut exact, mut close) = (0, 0);
    for case in &cases(Style::Initial, &mut rng) {
        let maps = |maps: &[&str]| maps.iter().any(|map| case.name.contains(map));
        let (start, context) = point(case, &mut rng);
        let mut x = start.clone();
        if maps(&["Chain(", "Repeat("]) {
            continue;
        } else if maps(&["map:Affine(scale:Softsign", "map:Affine(scale:Exp", "map:Additive"]) {
            assert_eq!((case.double.inverse(&mut x, &context), &x), (0.0, &start), "{}", case.name);
            exact += 1;
        } else if maps(&["Softclip", "map:Sigmoidal"]) {
            let log_det = case.double.inverse(&mut x, &context);
            assert!(log_det.abs() < 1e-12 && distance(&x, &start) < 1e-12, "{}: {start:?} became {x:?}", case.name);
            close += 1;
        }
    }
    assert!(exact > 20 && close > 20 || !ALL_KINDS, "{exact}, {close}");
}

#[test]
fn a_context_conditions_the_layers_that_take_one() {
    let mut rng = rng(5);
    let mut conditioned = 0;
    for case in cases(Style::Fitted, &mut rng).iter().filter(|case| case.context > 0) {
        // A net of a few rectified units may be flat around many a point, but not around them all.
        let conditions = (0..30).any(|_| {
            let (x, context) = point(case, &mut rng);
            let (mut here, mut there) = (x.clone(), x);
            let other: Vec<f64> = context.iter().map(|value| value + 2.0).collect();
            case.double.map(case.directions[0], &mut here, &context);
            case.double.map(case.directions[0], &mut there, &other);
            here != there
        });
        assert!(conditions, "{}: the context changes nothing", case.name);
        conditioned += 1;
    }
    assert!(conditioned >= 32 || !ALL_KINDS);
}

type Coupling = AffineCoupling<2, 3, Int8<1, 2, 1, 2>>;

fn parameters<L: flowlet::Layer + FromBytes>(seed: u64) -> L {
    L::read_from_bytes(&image(&L::SCHEMA, Style::Fitted, &mut rng(seed))).expect("an image of the layer")
}

#[test]
fn no_context_costs_nothing() {
    assert_eq!(size_of::<Flow<5, Coupling>>(), size_of::<Coupling>());
    assert_eq!(
        size_of::<Flow<5, Coupling, StandardNormal<5>, 0>>(),
        size_of::<Flow<5, Coupling, StandardNormal<5>, 2>>()
    );
}

#[test]
fn chains_and_arrays_are_compositions() {
    let (a, b): (Standardize<5>, Coupling) = (parameters(1), parameters(2));
    let permute: Permute<5> = parameters(3);
    let couplings: [Chain<Permute<5>, Coupling>; 3] = parameters(4);
    let start = [0.3_f32, -1.5, 2.0, 0.1, -0.7];

    let (mut chained, mut one_by_one) = (start, start);
    let log_det: f32 = Chain(a, Chain(b, permute)).inverse(&mut chained, &[]);
    let parts: [f32; 3] =
        [a.inverse(&mut one_by_one, &[]), b.inverse(&mut one_by_one, &[]), permute.inverse(&mut one_by_one, &[])];
    assert_eq!((chained, log_det), (one_by_one, parts[0] + (parts[1] + parts[2])));

    let (mut chained, mut one_by_one) = (start, start);
    let log_det: f32 = Chain(a, b).forward(&mut chained, &[]);
    let parts: [f32; 2] = [b.forward(&mut one_by_one, &[]), a.forward(&mut one_by_one, &[])];
    assert_eq!((chained, log_det), (one_by_one, parts[0] + parts[1]), "forward goes from the base");

    let (mut repeated, mut one_by_one) = (start, start);
    let log_det: f32 = couplings.inverse(&mut repeated, &[]);
    let mut sum = 0.0_f32;
    for coupling in &couplings {
        sum += Inverse::<5>::inverse(coupling, &mut one_by_one, &[]);
    }
    assert_eq!((repeated, log_det), (one_by_one, sum));
}

#[test]
fn turned_layers_swap_their_directions() {
    let layer: Coupling = parameters(6);
    let start = [0.3_f32, -1.5, 2.0, 0.1, -0.7];
    let (mut turned, mut straight) = (start, start);
    let (a, b): (f32, f32) = (Turned(layer).inverse(&mut turned, &[]), layer.forward(&mut straight, &[]));
    assert_eq!((turned, a), (straight, b));
    let (mut twice, mut straight) = (start, start);
    let (a, b): (f32, f32) = (Turned(Turned(layer)).inverse(&mut twice, &[]), layer.inverse(&mut straight, &[]));
    assert_eq!((twice, a), (straight, b));
}
