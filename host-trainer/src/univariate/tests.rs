//! Laws of every map: hand-written derivatives against central differences, and what hostile numbers do.

use flowlet::Libm;
use flowlet::univariate::Monotone;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Additive, Affine, BLOCK, MapValues, Parameterization, Scale, Sigmoidal, Spline, TrainMap, Turned};
use crate::image::Image;
use crate::train::Real;

const FLOORED: Parameterization = Parameterization::Floored { share: 1e-3, derivative: 1e-3 };

/// Every map by name, with every choice that it has.
fn all() -> Vec<(String, MapValues)> {
    let mut maps: Vec<MapValues> = vec![Additive.into(), Turned(Additive).into()];
    let (softplus, sigmoid) = (Scale::Softplus { floor: 1e-3 }, Scale::Sigmoid { floor: 1e-3 });
    for scale in [Scale::softsign(3.0), Scale::Exp, softplus, sigmoid, Scale::InverseSigmoid] {
        maps.extend([MapValues::from(Affine { scale }), Turned(Affine { scale }).into()]);
    }
    for parameterization in [Parameterization::softclip(1e-3), FLOORED] {
        maps.extend([1, 2, 5, 8].map(|bins| MapValues::from(Spline { bins, bound: 3.0, parameterization })));
    }
    maps.extend([1, 2, 7].map(|units| MapValues::from(Sigmoidal { units, inverse_bound: 0.2 })));
    maps.into_iter().map(|map| (format!("{map:?}"), map)).collect()
}

fn maps<T: Real>() -> Vec<(String, Box<dyn TrainMap<T>>)> {
    all().into_iter().map(|(name, map)| (name, Box::new(map) as Box<dyn TrainMap<T>>)).collect()
}

/// A batch of one feature.
#[derive(Clone)]
struct Rows<T> {
    parameters: Vec<T>,
    x: Vec<T>,
}

/// What a map makes of it, and of a loss with the given weights of z and of the log-determinants.
struct Passed<T> {
    z: Vec<T>,
    log_det: Vec<T>,
    by_x: Vec<T>,
    by_parameters: Vec<T>,
}

impl<T: Real> Rows<T> {
    fn pass(&self, map: &dyn TrainMap<T>, by_z: &[T], by_log_det: &[T]) -> Passed<T> {
        // Nothing may depend on what the buffers hold.
        let rows = self.x.len();
        let mut kept = vec![T::nan(); map.kept() * rows];
        let (mut z, mut log_det) = (self.x.clone(), vec![T::zero(); rows]);
        map.inverse(&self.parameters, &mut z, &mut log_det, &mut kept);
        let (mut by_x, mut by_parameters) = (by_z.to_vec(), vec![T::nan(); self.parameters.len()]);
        map.backward(&kept, &mut by_x, by_log_det, &mut by_parameters);
        Passed { z, log_det, by_x, by_parameters }
    }
}

/// Rows that leave neither a vector nor a block whole: parameters within ±`size` and readings within ±`reach`.
const ROWS: usize = 3 * BLOCK + 19;

fn rows(map: &dyn TrainMap<f64>, size: f64, reach: f64, rng: &mut ChaCha8Rng) -> Rows<f64> {
    let parameters = (0..map.outputs() * ROWS).map(|_| rng.random_range(-size..size)).collect();
    // Readings that the clamps and the identity tails see, too.
    let x = (0..ROWS).map(|row| rng.random_range(-reach..reach) * if row % 4 == 0 { 2.0 } else { 1.0 }).collect();
    Rows { parameters, x }
}

#[test]
fn derivatives_are_those_of_differences() {
    for (name, map) in maps::<f64>() {
        let map = &*map;
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        for size in [0.5, 3.0] {
            let start = rows(map, size, 3.0, &mut rng);
            let by_z: Vec<f64> = (0..ROWS).map(|_| rng.random_range(-1.0..1.0)).collect();
            let by_log_det: Vec<f64> = (0..ROWS).map(|_| rng.random_range(-1.0..1.0)).collect();
            let written = start.pass(map, &by_z, &by_log_det);
            // Each row has parameters of its own, so that one pass measures all rows at once.
            let check = |what: &str, written: &[f64], moved: &dyn Fn(&mut Rows<f64>) -> &mut [f64]| {
                const STEP: f64 = 1e-5;
                let by = |step: f64| {
                    let mut rows = start.clone();
                    moved(&mut rows).iter_mut().for_each(|value| *value += step);
                    rows
                };
                let (up, down) = (by(STEP), by(-STEP));
                let (up, down) = (up.pass(map, &by_z, &by_log_det), down.pass(map, &by_z, &by_log_det));
                for row in 0..ROWS {
                    let loss = |passed: &Passed<f64>| by_z[row] * passed.z[row] + by_log_det[row] * passed.log_det[row];
                    let measured = (loss(&up) - loss(&down)) / (2.0 * STEP);
                    let error = (written[row] - measured).abs() / (1e-2 + written[row].abs().max(measured.abs()));
                    assert!(error < 1e-5, "{name}: {what} of row {row}: {} or {measured}", written[row]);
                }
            };
            check("x", &written.by_x, &|rows| &mut rows.x);
            for parameter in 0..map.outputs() {
                let range = parameter * ROWS..(parameter + 1) * ROWS;
                let of = range.clone();
                check(&format!("parameter {parameter}"), &written.by_parameters[range], &move |rows| {
                    &mut rows.parameters[of.clone()]
                });
            }
        }
    }
}

#[test]
fn log_determinants_are_those_of_differences() {
    const STEP: f64 = 1e-5;
    for (name, map) in maps::<f64>() {
        let mut rng = ChaCha8Rng::seed_from_u64(22);
        let start = rows(&*map, 2.0, 3.0, &mut rng);
        let zeros = [0.0; ROWS];
        let moved = |step: f64| {
            let x = start.x.iter().map(|x| x + step).collect();
            Rows { x, ..start.clone() }.pass(&*map, &zeros, &zeros).z
        };
        let (up, down) = (moved(STEP), moved(-STEP));
        for (row, log_det) in start.pass(&*map, &zeros, &zeros).log_det.iter().enumerate() {
            let measured = ((up[row] - down[row]) / (2.0 * STEP)).ln();
            assert!((log_det - measured).abs() < 1e-5, "{name}: {log_det}, but {measured} at {}", start.x[row]);
        }
    }
}

#[test]
fn maps_rise() {
    for (name, map) in maps::<f64>() {
        let mut rng = ChaCha8Rng::seed_from_u64(23);
        for size in [1.0, 10.0] {
            let parameters: Vec<f64> = (0..map.outputs()).map(|_| rng.random_range(-size..size)).collect();
            let parameters = parameters.iter().flat_map(|parameter| [*parameter; ROWS]).collect();
            let x: Vec<f64> = (0..ROWS).map(|row| 8.0 * row as f64 / ROWS as f64 - 4.0).collect();
            let passed = Rows { parameters, x }.pass(&*map, &[0.0; ROWS], &[0.0; ROWS]);
            assert!(passed.z.is_sorted_by(|low, high| low < high), "{name}: {:?}", passed.z);
        }
    }
}

#[test]
fn start_close_to_the_identity() {
    for (name, map) in maps::<f64>() {
        let start = map.start();
        assert_eq!(start.len(), map.outputs(), "{name}");
        let parameters = start.iter().flat_map(|parameter| [*parameter; ROWS]).collect();
        let x: Vec<f64> = (0..ROWS).map(|row| 6.0 * row as f64 / ROWS as f64 - 3.0).collect();
        let passed = Rows { parameters, x: x.clone() }.pass(&*map, &[0.0; ROWS], &[0.0; ROWS]);
        for (x, z) in x.iter().zip(&passed.z) {
            assert!((x - z).abs() < 0.25 * x.abs() + 1e-9, "{name}: {z} of {x}");
        }
    }
}

/// Logits of ±1e3, readings of ±1e6: every combination of such parameters that a small random choice makes.
#[test]
fn hostile_numbers_leave_values_and_gradients_finite() {
    fn check<T: Real>() {
        for (name, map) in maps::<T>() {
            let mut rng = ChaCha8Rng::seed_from_u64(24);
            // A scale of e^80 takes no more in f32, here as in the core.
            let far = if name.contains("Exp") || name.contains("InverseSigmoid") { 1e3 } else { 1e6 };
            let mut pick = |choices: &[f64]| T::of(choices[rng.random_range(0..choices.len())]);
            for _ in 0..20 {
                let parameters = (0..map.outputs() * ROWS).map(|_| pick(&[-1e3, -30.0, -1.0, 0.0, 2.0, 1e3])).collect();
                let x = (0..ROWS).map(|_| pick(&[-far, -3.0, -2.9, -1.0, 0.0, 1e-30, 0.5, 3.0, far])).collect();
                let passed = Rows { parameters, x }.pass(&*map, &[T::of(0.5); ROWS], &[T::of(-1.0); ROWS]);
                let all = [&passed.z, &passed.log_det, &passed.by_x, &passed.by_parameters];
                for (what, values) in ["z", "log-determinant", "gradient", "parameters' gradient"].iter().zip(all) {
                    for (at, value) in values.iter().enumerate() {
                        assert!(value.is_finite(), "{name}: {what} {at} of row {} is {value:?}", at % ROWS);
                    }
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// A diverged fit has to show.
#[test]
fn nan_stays_nan() {
    for (name, map) in maps::<f32>() {
        let rows = Rows { parameters: vec![0.1; map.outputs()], x: vec![f32::NAN] };
        assert!(rows.pass(&*map, &[1.0], &[1.0]).z[0].is_nan(), "{name}");
    }
}

/// The core's values on the bytes that a map writes.
#[test]
fn values_are_the_cores() {
    for (name, map) in all() {
        let mut image = Image::default();
        map.write(&mut image);
        assert_eq!(image.0.len(), map.map().record().size(), "{name}");
        let view = map.map().view(&mut &image.0[..]).expect("all bytes");
        let mut rng = ChaCha8Rng::seed_from_u64(25);
        for (size, reach) in [(0.5, 3.0), (3.0, 3.0), (10.0, 3.0), (2.0, 1e6)] {
            let start = rows(&map, size, reach, &mut rng);
            let passed = start.pass(&map, &[0.0; ROWS], &[0.0; ROWS]);
            for row in 0..ROWS {
                let parameters: Vec<f64> = start.parameters.iter().skip(row).step_by(ROWS).copied().collect();
                let (z, log_det) = Monotone::<f64, Libm>::inverse(&view, &parameters, start.x[row]);
                let (own, own_log_det) = (passed.z[row], passed.log_det[row]);
                let close = |own: f64, core: f64| (own - core).abs() < 1e-12 * (1.0 + core.abs());
                assert!(close(own, z), "{name}: {own}, but {z} at {}, {parameters:?}", start.x[row]);
                assert!(close(own_log_det, log_det), "{name}: ln {own_log_det}, but {log_det} at {}", start.x[row]);
            }
        }
    }
}
