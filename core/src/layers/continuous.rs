//! Continuous flows: Chen, Rubanova, Bettencourt, Duvenaud, "Neural ordinary differential equations", 2018, and Lipman et
//! al., "Flow matching for generative modeling", 2023.
//!
//! A net of all features, of time and of the context is a velocity, and the flow follows it:
//!
//! > dx/dt = v(x, t; context), x(0) = z in the base, x(1) in the data.
//!
//! # Steps
//!
//! STEPS equal steps of the classical Runge-Kutta method, of order 4: no explicit method reaches that order with fewer
//! than its four evaluations (Hairer, Nørsett, Wanner, "Solving ordinary differential equations I", II.5). Data -> base
//! starts at t = 1 and steps back.
//!
//! # An exact density of the map that is computed
//!
//! The literature integrates the trace of ∂v/∂x for the log-determinant (Chen et al., equation 8), next to the features
//! and with an error of its own. A density so computed integrates to 1 up to that error. Here every step's Jacobian is
//! formed, by dual numbers, and the log-determinant is the sum of theirs: that of the steps taken, exactly, which has the
//! trace's integral as its limit. It needs the same D directional derivatives of the net. So with a few coarse steps the
//! density is one of another flow than the equation's, but it is a density, and integrates to 1, as long as no step is so
//! coarse that it folds space: while the step is well below the reciprocal of the velocity's Lipschitz constant.
//!
//! # Two directions
//!
//! A step back undoes a step only up to the error of the method, which falls with the fourth power of STEPS (smooth
//! activations: with ReLU, steps that cross a kink converge slower). So samples follow the density only up to that error
//! too, and base -> data after data -> base returns to the reading only as closely. A test of this module prints and
//! bounds it.

use core::marker::PhantomData;
use core::mem;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer};
use crate::conditioner::{Conditioner, Evaluate, Smooth, check_quads};
use crate::dual::Dual;
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Mixing, Parameter, Record, Schema, Value};
use crate::text::Text;

/// The most features of a continuous layer: the Jacobian of a step is on the stack.
pub const MOST_FEATURES: usize = 32;

/// The most steps, so that their number is an exact f32.
pub const MOST_STEPS: usize = 65_536;

/// The most context values of a layer whose shape is known at run time: what a net's widest layer takes.
const MOST_CONTEXT: usize = 4 * crate::conditioner::WIDEST;

/// Components of the velocity are clamped to this, so that no parameters and no reading make a step infinite.
pub const VELOCITY_LIMIT: f32 = 1e4;

/// The stages of a step, Runge-Kutta's: each is this fraction of the step behind the start, along the slope of the stage
/// before, and its own slope has this weight out of 6.
const STAGES: [(f32, f32); 4] = [(0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)];

/// A continuous flow of `D` features in `STEPS` steps.
///
/// `N` is the velocity: an unquantized net ([`Float`](crate::Float)) with D + 1 + C inputs, the features, t, and the
/// context, and D outputs.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Continuous<const D: usize, const STEPS: usize, N, E = Libm> {
    /// The velocity.
    pub conditioner: N,
    elementary: PhantomData<E>,
}

impl<const D: usize, const STEPS: usize, N, E> Continuous<D, STEPS, N, E> {
    /// A flow along the velocity `conditioner`.
    #[must_use]
    pub const fn new(conditioner: N) -> Self {
        Self { conditioner, elementary: PhantomData }
    }
}

impl<const D: usize, const STEPS: usize, N: Conditioner, E: ElementaryName> Layer for Continuous<D, STEPS, N, E> {
    const SCHEMA: Schema = Schema::Layer(
        &const {
            record(
                D,
                STEPS,
                N::INPUTS,
                &N::RECORD,
                &const { parameters(D, STEPS, &N::RECORD, E::NAME) },
                &const { fields(&N::RECORD) },
            )
        },
    );
}

/// What describes the layer.
#[must_use]
pub const fn parameters(
    features: usize,
    steps: usize,
    net: &'static Record,
    elementary: &'static str,
) -> [Parameter; 5] {
    [
        ("features", Value::Number(features)),
        ("steps", Value::Number(steps)),
        ("solver", Value::Word("Rk4")),
        ("net", Value::Record(net)),
        ("elementary", Value::Word(elementary)),
    ]
}

/// What the layer stores.
#[must_use]
pub const fn fields(net: &'static Record) -> [Field; 1] {
    [Field::Nested { times: 1, record: net }]
}

/// The layer's record, of a net with `inputs` quads of inputs.
#[must_use]
pub const fn record(
    features: usize,
    steps: usize,
    inputs: usize,
    net: &'static Record,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    let lanes = directions(features);
    let evaluations = STAGES.len() * features.div_ceil(lanes);
    // Of a point, in values: its features and t in pairs, its slope, the sum of slopes, the start, and the context.
    let values = 5 * features + (4 * inputs).saturating_sub(features + 1);
    Record {
        mixing: Mixing::Dense,
        macs: steps * (evaluations * (1 + lanes) * net.macs + features * features * features / 3),
        scratch: (1 + lanes) * (net.scratch + size_of::<f32>() * values) + size_of::<f32>() * features * features,
        ..Record::stored("Continuous", parameters, fields)
    }
}

/// How many directions of `features` one evaluation of the net derives: up to four, such that the evaluations needed
/// have as many each.
#[must_use]
pub const fn directions(features: usize) -> usize {
    match features.checked_sub(1) {
        Some(_) => features.div_ceil(features.div_ceil(4)),
        None => 1,
    }
}

/// A net that can be derived in the scalar `T`, in as many directions at once as [`directions`] says.
pub trait Differentiable<T: Real>:
    Smooth + Evaluate<Dual<T, 1>> + Evaluate<Dual<T, 2>> + Evaluate<Dual<T, 3>> + Evaluate<Dual<T, 4>>
{
}

impl<T: Real, N> Differentiable<T> for N where
    N: Smooth + Evaluate<Dual<T, 1>> + Evaluate<Dual<T, 2>> + Evaluate<Dual<T, 3>> + Evaluate<Dual<T, 4>>
{
}

/// The layer's mathematics, on slices of up to [`MOST_FEATURES`] features; of more it maps none.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousView<N> {
    /// Steps between the base and the data; at least 1.
    pub steps: usize,
    /// The velocity, lent.
    pub conditioner: N,
}

impl<N> ContinuousView<N> {
    /// Data -> base, in place; returns the log-determinant.
    #[inline]
    pub fn inverse<T: Real, E: Elementary<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        N: Differentiable<T>,
    {
        self.integrate::<T, E, MOST_FEATURES, MOST_CONTEXT>(x, context, true)
    }

    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        N: Differentiable<T>,
    {
        self.integrate::<T, E, MOST_FEATURES, MOST_CONTEXT>(z, context, false)
    }

    /// Integrates with room for `D` features and `C` context values.
    #[inline(always)]
    fn integrate<T: Real, E: Elementary<T>, const D: usize, const C: usize>(
        &self,
        x: &mut [T],
        context: &[T],
        back: bool,
    ) -> T
    where
        N: Differentiable<T>,
    {
        match directions(x.len()) {
            1 => self.derive::<T, E, 1, D, C>(x, context, back),
            2 => self.derive::<T, E, 2, D, C>(x, context, back),
            3 => self.derive::<T, E, 3, D, C>(x, context, back),
            _ => self.derive::<T, E, 4, D, C>(x, context, back),
        }
    }

    /// Integrates, deriving in `L` directions at once.
    #[inline]
    fn derive<T: Real, E: Elementary<T>, const L: usize, const D: usize, const C: usize>(
        &self,
        x: &mut [T],
        context: &[T],
        back: bool,
    ) -> T
    where
        N: Evaluate<Dual<T, L>>,
    {
        let mut lifted = [Dual::constant(T::ZERO); C];
        for (lifted, value) in lifted.iter_mut().zip(context) {
            *lifted = Dual::constant(*value);
        }
        let mut scratch = Scratch::<Dual<T, L>, D>::new();
        let mut jacobian = [[T::ZERO; D]; D];
        let (Some(lifted), Some(mut stage), Some(columns)) =
            (lifted.get(..context.len()), scratch.of(x.len()), jacobian.get_mut(..x.len()))
        else {
            return T::ZERO;
        };
        let width = 1.0 / self.steps as f32;
        let mut log_det = T::ZERO;
        for n in 0..self.steps {
            let (start, width) = if back { (self.steps - n, -width) } else { (n, width) };
            let time = Dual::from_i32(start as i32).scale(width.abs());
            let mut first = 0;
            for columns in columns.chunks_mut(L) {
                for (i, (at, x)) in stage.start.iter_mut().zip(x.iter()).enumerate() {
                    *at = i.checked_sub(first).map_or(Dual::constant(*x), |lane| Dual::variable(*x, lane));
                }
                stage.step(&self.conditioner, time, width, lifted);
                for (row, end) in stage.start.iter().enumerate() {
                    for (column, derivative) in columns.iter_mut().zip(end.derivatives) {
                        if let Some(entry) = column.get_mut(row) {
                            *entry = derivative;
                        }
                    }
                }
                first += L;
            }
            for (x, end) in x.iter_mut().zip(stage.start.iter()) {
                *x = end.value;
            }
            log_det = log_det + log_abs_determinant::<T, E, D>(columns);
        }
        log_det
    }
}

/// What a step computes with, for up to `D` features.
struct Scratch<S, const D: usize> {
    start: [S; D],
    point: [[S; 2]; D],
    slope: [S; D],
    sum: [S; D],
}

impl<S: Real, const D: usize> Scratch<S, D> {
    #[inline(always)]
    fn new() -> Self {
        Self { start: [S::ZERO; D], point: [[S::ZERO; 2]; D], slope: [S::ZERO; D], sum: [S::ZERO; D] }
    }

    #[inline(always)]
    fn of(&mut self, features: usize) -> Option<Stage<'_, S>> {
        Some(Stage {
            start: self.start.get_mut(..features)?,
            // One more, for t: there are twice as many.
            point: self.point.as_flattened_mut().get_mut(..=features)?,
            slope: self.slope.get_mut(..features)?,
            sum: self.sum.get_mut(..features)?,
        })
    }
}

/// One step, on slices.
struct Stage<'a, S> {
    /// Where the step starts, and then where it ends.
    start: &'a mut [S],
    /// Where the velocity is asked for: features, then t.
    point: &'a mut [S],
    /// What it is there.
    slope: &'a mut [S],
    /// The weighted sum of the slopes.
    sum: &'a mut [S],
}

impl<S: Real> Stage<'_, S> {
    /// One step of `width` in time.
    #[inline(always)]
    fn step(&mut self, velocity: &impl Evaluate<S>, time: S, width: f32, context: &[S]) {
        let limit = S::from_f32(VELOCITY_LIMIT);
        self.slope.fill(S::ZERO);
        self.sum.fill(S::ZERO);
        for (fraction, weight) in STAGES {
            let ahead = fraction * width;
            let features = self.start.iter().zip(self.slope.iter()).map(|(start, slope)| *start + slope.scale(ahead));
            for (point, value) in self.point.iter_mut().zip(features.chain([time + S::from_f32(ahead)])) {
                *point = value;
            }
            let mut slopes = self.slope.iter_mut();
            velocity.evaluate(self.point, context, |quad| {
                for (value, slope) in quad.into_iter().zip(slopes.by_ref()) {
                    *slope = value.clamp_abs(limit);
                }
            });
            for (sum, slope) in self.sum.iter_mut().zip(self.slope.iter()) {
                *sum = *sum + slope.scale(weight);
            }
        }
        for (start, sum) in self.start.iter_mut().zip(self.sum.iter()) {
            *start = *start + sum.scale(width / 6.0);
        }
    }
}

/// ln |det| of a square matrix, by elimination with the largest pivot of each column; finite for any.
#[inline]
fn log_abs_determinant<T: Real, E: Elementary<T>, const D: usize>(matrix: &mut [[T; D]]) -> T {
    let (least, most) = (T::from_f32(f32::MIN_POSITIVE), T::from_f32(f32::MAX));
    let mut log_det = T::ZERO;
    let mut rows = matrix;
    let mut column = 0;
    while let Some((pivot_row, below)) = rows.split_first_mut() {
        let entry = |row: &[T; D]| row.get(column).map_or(T::ZERO, |entry| *entry);
        for row in below.iter_mut() {
            if entry(row).abs() > entry(pivot_row).abs() {
                mem::swap(row, pivot_row);
            }
        }
        let pivot = entry(pivot_row);
        let size = pivot.abs();
        if size >= least {
            for row in below.iter_mut() {
                let factor = entry(row) / pivot;
                for (entry, above) in row.iter_mut().zip(pivot_row.iter()).skip(column + 1) {
                    *entry = *entry - factor * *above;
                }
            }
        }
        let size = if size >= least { size } else { least };
        log_det = log_det + E::ln(if size <= most { size } else { most });
        column += 1;
        rows = below;
    }
    log_det
}

impl<const D: usize, const STEPS: usize, N: Conditioner, E> Continuous<D, STEPS, N, E> {
    /// The parameters, lent. Here the shapes are checked, since no use of the layer avoids it.
    #[inline(always)]
    fn view<const FEATURES: usize, const C: usize>(&self) -> ContinuousView<&N> {
        const {
            if D != FEATURES {
                let mut buffer = [0; 256];
                let mut text = Text::new(&mut buffer);
                text.word("flowlet: Continuous moves ");
                text.number(D as u64);
                text.word(" features, but the flow has ");
                text.number(FEATURES as u64);
                text.word(": write the flow's number in its type");
                panic!("{}", text.as_str());
            }
            assert!(D <= MOST_FEATURES, "flowlet: Continuous moves 32 features at the most: split them over two flows");
            assert!(
                STEPS > 0 && STEPS <= MOST_STEPS,
                "flowlet: Continuous takes 1 to 65536 steps: choose STEPS among them"
            );
            check_quads("inputs", N::INPUTS, D + 1 + C);
            check_quads("outputs", N::OUTPUTS, D);
        }
        ContinuousView { steps: STEPS, conditioner: &self.conditioner }
    }
}

impl<const D: usize, const STEPS: usize, N, E, const FEATURES: usize, const C: usize, T: Real> Inverse<FEATURES, C, T>
    for Continuous<D, STEPS, N, E>
where
    N: Conditioner + Differentiable<T>,
    E: Elementary<T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; FEATURES], context: &[T; C]) -> T {
        self.view::<FEATURES, C>().integrate::<T, E, FEATURES, C>(x, context, true)
    }
}

impl<const D: usize, const STEPS: usize, N, E, const FEATURES: usize, const C: usize, T: Real> Forward<FEATURES, C, T>
    for Continuous<D, STEPS, N, E>
where
    N: Conditioner + Differentiable<T>,
    E: Elementary<T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; FEATURES], context: &[T; C]) -> T {
        self.view::<FEATURES, C>().integrate::<T, E, FEATURES, C>(z, context, false)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use zerocopy::FromBytes;

    use super::{Continuous, ContinuousView, MOST_FEATURES, VELOCITY_LIMIT, directions};
    use crate::bijector::{Forward, Inverse, Layer};
    use crate::conditioner::float::FloatView;
    use crate::conditioner::{Activation, Body, Evaluate, Float, Plain, Shape, Smooth, Tanh};
    use crate::elementary::{Elementary, Libm};
    use crate::real::Real;

    /// A velocity that is smooth and not linear, for any number of features: of feature i,
    /// strength (tanh(next feature + t) - 0.4 cos(i t) this one + 0.3 context).
    struct Swirl {
        features: usize,
        strength: f32,
    }

    impl Smooth for Swirl {}

    impl<S: Real> Evaluate<S> for Swirl
    where
        Libm: Elementary<S>,
    {
        fn evaluate(&self, input: &[S], context: &[S], mut output: impl FnMut([S; 4])) {
            let (x, time) = input.split_at(self.features);
            let time = time[0];
            let context = context.iter().fold(S::ZERO, |sum, value| sum + *value);
            let velocity = |i: usize| {
                let Some(this) = x.get(i) else { return S::ZERO };
                let next = x[(i + 1) % x.len()];
                let rate = Libm::cos(time.scale(i as f32)).scale(0.4);
                (Libm::tanh(next + time) - rate * *this + context.scale(0.3)).scale(self.strength)
            };
            for quad in 0..self.features.div_ceil(4) {
                output(core::array::from_fn(|i| velocity(4 * quad + i)));
            }
        }
    }

    fn swirl(features: usize, strength: f32, steps: usize) -> ContinuousView<Swirl> {
        ContinuousView { steps, conditioner: Swirl { features, strength } }
    }

    /// Some point.
    fn point(features: usize) -> Vec<f64> {
        (0..features).map(|i| 1.3 * libm::sin(2.1 * i as f64 + 0.4)).collect()
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).fold(0.0, |largest, (a, b)| libm::fmax(largest, (a - b).abs()))
    }

    #[test]
    fn linear_velocities_have_the_growth_of_runge_kutta() {
        // v = a x, by two hidden units: a step multiplies by 1 + r + r^2/2 + r^3/6 + r^4/24 with r = a h.
        let mut net = Float::<1, 1, 0, 1>::read_from_bytes(&[0; 160]).expect("a net");
        net.first.weights[0][0].0 = [[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0; 4], [0.0; 4]];
        net.last.weights[0][0].0 = [[0.75, -0.75, 0.0, 0.0], [0.0; 4], [0.0; 4], [0.0; 4]];
        let layer = Continuous::<1, 3, _>::new(net);
        let growth = |r: f64| 1.0 + r + r * r / 2.0 + r * r * r / 6.0 + r * r * r * r / 24.0;
        for start in [1.5_f64, -0.3, 0.0] {
            let (mut x, mut z) = ([start], [start]);
            let back: f64 = layer.inverse(&mut x, &[]);
            let ahead: f64 = layer.forward(&mut z, &[]);
            for (found, log_det, r) in [(x, back, -0.25), (z, ahead, 0.25)] {
                let third = libm::pow(growth(r), 3.0);
                assert!((found[0] - start * third).abs() <= 1e-7 * start.abs(), "{found:?}");
                // At 0 both hidden units are off, and nothing moves.
                let expected = if start == 0.0 { 0.0 } else { libm::log(third) };
                assert!((log_det - expected).abs() < 1e-7, "{log_det} {expected}");
            }
        }
    }

    #[test]
    fn time_and_context_are_the_inputs_behind_the_features() {
        // v = (t, 2 context): x_0 gains 1/2 and x_1 gains 2 context.
        let mut net = Float::<1, 1, 0, 1>::read_from_bytes(&[0; 160]).expect("a net");
        net.first.weights[0][0].0 = [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0; 4], [0.0; 4]];
        net.last.weights[0][0].0 = [[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0; 4], [0.0; 4]];
        let layer = Continuous::<2, 5, _>::new(net);
        let (mut z, mut x) = ([1.0_f64, 1.0], [1.0_f64, 1.0]);
        let log_dets = (layer.forward(&mut z, &[0.25]), layer.inverse(&mut x, &[0.25]));
        assert!(distance(&z, &[1.5, 1.5]) < 1e-6 && distance(&x, &[0.5, 0.5]) < 1e-6, "{z:?} {x:?}");
        assert_eq!(log_dets, (0.0, 0.0));
    }

    #[test]
    fn the_two_directions_and_the_trace_agree_to_fourth_order() {
        let (start, context) = (point(3), [0.7]);
        // Chen et al., equation 8: d log p / dt = -trace, the trace of this velocity in closed form, by the midpoints
        // of many short steps.
        let mut at = start.clone();
        let (mut trace, fine) = (0.0, 4000);
        for n in (0..fine).rev() {
            let time = (n as f64 + 0.5) / fine as f64;
            let rates: f64 = (0..3).map(|i| -0.4 * libm::cos(i as f64 * time)).sum();
            trace -= 1.5 * rates / fine as f64;
        }
        let exact_log_det = swirl(3, 1.5, 512).inverse::<f64, Libm>(&mut at, &context);
        assert!((exact_log_det - trace).abs() < 1e-7, "{exact_log_det}, but the trace gives {trace}");
        let mut previous = [0.0; 3];
        for steps in [4, 8, 16, 32] {
            let view = swirl(3, 1.5, steps);
            let mut x = start.clone();
            let log_det = view.inverse::<f64, Libm>(&mut x, &context);
            let position = distance(&x, &at);
            view.forward::<f64, Libm>(&mut x, &context);
            let errors = [distance(&x, &start), position, (log_det - exact_log_det).abs()];
            std::println!(
                "{steps} steps: round trip {:.2e}, position {:.2e}, log-determinant {:.2e}",
                errors[0],
                errors[1],
                errors[2]
            );
            if steps > 8 {
                for (error, previous) in errors.iter().zip(previous) {
                    assert!((12.0..40.0).contains(&(previous / error)), "{steps} steps: {error} after {previous}");
                }
            }
            previous = errors;
        }
        assert!(previous.iter().all(|error| *error < 1e-6), "{previous:?}");
    }

    #[test]
    fn log_determinants_are_those_of_the_steps_taken() {
        // For any number of steps, one that is far too coarse too, and for every number of directions at once. The
        // Jacobian is numerical and eliminated without this module's code: the product of the volumes that the columns
        // add (Gram and Schmidt).
        for features in 1..=9 {
            for (steps, strength) in [(1, 0.9), (3, 1.5)] {
                for back in [true, false] {
                    let view = swirl(features, strength, steps);
                    let map = |x: &mut [f64]| {
                        if back {
                            view.inverse::<f64, Libm>(x, &[0.2, 0.1])
                        } else {
                            view.forward::<f64, Libm>(x, &[0.2, 0.1])
                        }
                    };
                    let start = point(features);
                    let mut columns: Vec<Vec<f64>> = Vec::new();
                    let mut numerical = 0.0;
                    for column in 0..features {
                        let (mut up, mut down) = (start.clone(), start.clone());
                        up[column] += 1e-5;
                        down[column] -= 1e-5;
                        map(&mut up);
                        map(&mut down);
                        let mut slopes: Vec<f64> = up.iter().zip(&down).map(|(up, down)| (up - down) / 2e-5).collect();
                        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
                        for other in &columns {
                            let share = dot(&slopes, other) / dot(other, other);
                            slopes.iter_mut().zip(other).for_each(|(slope, other)| *slope -= share * other);
                        }
                        numerical += 0.5 * libm::log(dot(&slopes, &slopes));
                        columns.push(slopes);
                    }
                    let stated = map(&mut start.clone());
                    assert!(
                        (stated - numerical).abs() < 1e-7,
                        "{features} features, {steps} steps: {stated} {numerical}"
                    );
                }
            }
        }
    }

    #[test]
    fn densities_integrate_to_one_in_a_single_step() {
        // The equation's density would be off by far more: a step of this size is wrong in the second digit.
        for steps in [1, 2, 8] {
            let view = swirl(2, 0.9, steps);
            let (cells, width) = (240, 14.0 / 240.0);
            let mut integral = 0.0;
            for i in 0..cells {
                for j in 0..cells {
                    let mut x = [i, j].map(|index| (index as f64 + 0.5) * width - 7.0);
                    let log_det = view.inverse::<f64, Libm>(&mut x, &[]);
                    let square: f64 = x.iter().map(|z| z * z).sum();
                    integral += libm::exp(log_det - 0.5 * square) / (2.0 * core::f64::consts::PI) * width * width;
                }
            }
            std::println!("{steps} steps: {integral}");
            assert!((integral - 1.0).abs() < 1e-6, "{steps} steps: {integral}");
        }
    }

    #[test]
    fn single_precision_is_close_to_double() {
        for features in [1, 2, 5, 16, MOST_FEATURES] {
            let view = swirl(features, 1.5, 8);
            let mut single: Vec<f32> = point(features).into_iter().map(|value| value as f32).collect();
            let mut double: Vec<f64> = single.iter().map(|value| f64::from(*value)).collect();
            let log_det = view.inverse::<f32, Libm>(&mut single, &[0.2]);
            let expected = view.inverse::<f64, Libm>(&mut double, &[f64::from(0.2_f32)]);
            let single: Vec<f64> = single.into_iter().map(f64::from).collect();
            assert!(distance(&single, &double) < 3e-6, "{single:?} {double:?}");
            assert!((f64::from(log_det) - expected).abs() < 2e-6 * features as f64, "{log_det} {expected}");
        }
    }

    #[test]
    fn typed_layers_and_views_have_the_same_bits() {
        type Typed = Continuous<5, 3, Float<2, 3, 1, 2, Plain<Tanh>>>;
        let words = (0..Typed::SCHEMA.size() / 4).map(|i| 0.4 * libm::sinf(1.7 * i as f32));
        let bytes: Vec<u8> = words.flat_map(f32::to_le_bytes).collect();
        let layer = Typed::read_from_bytes(&bytes).expect("an image");
        let mut aligned = std::vec![0_u32; bytes.len() / 4];
        for (word, bytes) in aligned.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        let bytes = zerocopy::IntoBytes::as_bytes(&aligned[..]);
        let (body, activation) = (Body::Plain, Activation::Tanh);
        let shape = Shape { inputs: 2, hidden: 3, deep: 1, outputs: 2, body, activation };
        let (conditioner, rest) = FloatView::from_prefix(bytes, shape).expect("a net");
        assert!(rest.is_empty());
        let view = ContinuousView { steps: 3, conditioner };
        let context = [0.3_f32, -2.0];
        let start = [0.5_f32, -1.0, 2.0, 0.0, 0.7];
        let (mut typed, mut run_time) = (start, start);
        let pair = (layer.inverse(&mut typed, &context), view.inverse::<f32, Libm>(&mut run_time, &context));
        assert_eq!((pair.0.to_bits(), typed.map(f32::to_bits)), (pair.1.to_bits(), run_time.map(f32::to_bits)));
        assert_ne!(typed, start);
        let pair = (layer.forward(&mut typed, &context), view.forward::<f32, Libm>(&mut run_time, &context));
        assert_eq!((pair.0.to_bits(), typed.map(f32::to_bits)), (pair.1.to_bits(), run_time.map(f32::to_bits)));
    }

    #[test]
    fn far_off_readings_and_wild_velocities_stay_finite() {
        for strength in [1.0, f32::MAX, f32::INFINITY, f32::NAN] {
            for at in [0.0, -1e-40, 1e6, f32::MAX, f32::MIN] {
                for back in [true, false] {
                    let view = swirl(3, strength, 4);
                    let mut x = [at, 1.0, at];
                    let start = x;
                    let log_det = if back {
                        view.inverse::<f32, Libm>(&mut x, &[at])
                    } else {
                        view.forward::<f32, Libm>(&mut x, &[at])
                    };
                    assert!(log_det.is_finite(), "{strength}, {at}: {log_det}");
                    for (x, start) in x.iter().zip(start) {
                        let bound = VELOCITY_LIMIT * 1.001 + 1e-6 * start.abs();
                        assert!(x.is_finite() && (x - start).abs() <= bound, "{strength}, {at}: {x}");
                    }
                }
            }
        }
    }

    #[test]
    fn evaluations_derive_equally_many_directions() {
        let expected = [1, 1, 2, 3, 4, 3, 3, 4, 4, 3];
        assert_eq!(core::array::from_fn(directions), expected);
    }
}
