//! Deep sigmoidal maps: Huang, Krueger, Lacoste, Courville, "Neural autoregressive flows", 2018, section 3.2.
//!
//! z = logit(Σ w_k sigmoid(t_k)), t_k = a_k x + b_k, with positive weights w_k of sum 1 and slopes a_k: a mixture of K sigmoids,
//! which can have as many steps, unsquashed. z lies between the lowest and the highest t_k, so the map is onto:
//! its tails are straight lines, of slopes between the bounds of the a_k.
//!
//! With S₊ = Σ w_k sigmoid(t_k) and S₋ = Σ w_k sigmoid(-t_k), z = ln S₊ - ln S₋, and with N = Σ w_k a_k sigmoid(t_k) sigmoid(-t_k)
//! and S₊ + S₋ = 1, dz/dx = N / (S₊ S₋). Each sum is taken with its largest power
//! of e outside, so that no tail underflows.
//!
//! Base -> data has no closed form. It is found between bounds that the parameters give, by Newton's method, or by halving
//! where that does not halve the step: in five evaluations on average over random mixtures (a test counts), in [`STEPS`] at
//! the most.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{MOST_PARTS, Monotone, Univariate};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// A mixture of `K` sigmoids, up to 32, unsquashed: K outputs of the net for the slopes a, K for the biases b and K for the
/// logarithms of the weights w, in this order.
///
/// ln a passes through the soft clip u / (1 + |u| / bound). With coarse elementary functions
/// ([`Micromath`](crate::Micromath)) neither the density nor samples are of use: the map is made of exponentials.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Sigmoidal<const K: usize> {
    /// 1 / bound of the logarithms of the slopes; positive.
    pub inverse_bound: f32,
}

/// A mixture whose number of sigmoids is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct SigmoidalView {
    /// K, up to 32; with more, or none, it is the identity.
    pub units: usize,
    /// 1 / bound of the logarithms of the slopes.
    pub inverse_bound: f32,
}

/// What describes the map.
#[must_use]
pub const fn parameters(units: usize) -> [Parameter; 1] {
    [("units", Value::Number(units))]
}

/// What the map stores.
pub const FIELDS: [Field; 1] =
    [Field::Data { name: "inverse_bound", format: Format::F32, count: 1, rule: Rule::Positive }];

/// The map's record. The slopes are scratch.
#[must_use]
pub const fn record(units: usize, parameters: &'static [Parameter]) -> Record {
    Record { scratch: size_of::<f32>() * units, ..Record::stored("Sigmoidal", parameters, &FIELDS) }
}

/// Outputs of the net for each feature.
#[must_use]
pub const fn outputs(units: usize) -> usize {
    3 * units
}

impl<const K: usize> Univariate for Sigmoidal<K> {
    const RECORD: Record = record(K, &const { parameters(K) });
    const OUTPUTS: usize = outputs(K);

    #[inline(always)]
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R {
        const { assert!(K >= 1 && K <= MOST_PARTS, "flowlet: a mixture has 1 to 32 sigmoids") };
        run([[T::ZERO; K]; 3].as_flattened_mut())
    }
}

impl<T: Real, E: Elementary<T>, const K: usize> Monotone<T, E> for Sigmoidal<K> {
    #[inline]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        match Mixture::new::<E>(self.inverse_bound, parameters, &mut [T::ZERO; K]) {
            Some(mixture) => mixture.evaluate::<E>(x),
            None => (x, T::ZERO),
        }
    }

    #[inline]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        match Mixture::new::<E>(self.inverse_bound, parameters, &mut [T::ZERO; K]) {
            Some(mixture) => mixture.solve::<E>(z),
            None => (z, T::ZERO),
        }
    }
}

impl<T: Real, E: Elementary<T>> Monotone<T, E> for SigmoidalView {
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        let mut slopes = [T::ZERO; MOST_PARTS];
        let slopes = slopes.get_mut(..self.units);
        match slopes.and_then(|slopes| Mixture::new::<E>(self.inverse_bound, parameters, slopes)) {
            Some(mixture) => mixture.evaluate::<E>(x),
            None => (x, T::ZERO),
        }
    }

    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        let mut slopes = [T::ZERO; MOST_PARTS];
        let slopes = slopes.get_mut(..self.units);
        match slopes.and_then(|slopes| Mixture::new::<E>(self.inverse_bound, parameters, slopes)) {
            Some(mixture) => mixture.solve::<E>(z),
            None => (z, T::ZERO),
        }
    }
}

/// The most evaluations of a solution. Halving alone takes as many in f64 from the widest bounds to neighbouring numbers of
/// ordinary size; Newton's method far fewer.
pub const STEPS: usize = 128;

/// Values and logarithms of weights up to this: their products with slopes are finite.
const LARGEST: f32 = 1e30;

/// Biases up to this.
const MOST_BIAS: f32 = 1e6;

/// Logarithms of slopes up to this, whatever bound is stored.
const STEEPEST: f32 = 14.0;

/// The parameters of one feature.
struct Mixture<'a, T> {
    slopes: &'a [T],
    biases: &'a [T],
    log_weights: &'a [T],
    /// The highest of the logarithms of weights.
    highest: T,
}

#[inline(always)]
fn lower<T: PartialOrd>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

#[inline(always)]
fn higher<T: PartialOrd>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

impl<'a, T: Real> Mixture<'a, T> {
    /// Of as many sigmoids as there are places for slopes; `None` for none, and where parameters are missing.
    #[inline(always)]
    fn new<E: Elementary<T>>(inverse_bound: f32, parameters: &'a [T], slopes: &'a mut [T]) -> Option<Self> {
        let (raw_slopes, rest) = parameters.split_at_checked(slopes.len())?;
        let (biases, rest) = rest.split_at_checked(slopes.len())?;
        let log_weights = rest.get(..slopes.len())?;
        log_weights.first()?;
        for (slope, raw) in slopes.iter_mut().zip(raw_slopes) {
            let raw = raw.clamp_abs(T::from_f32(LARGEST));
            let clipped = raw / (T::ONE + raw.abs() * T::from_f32(inverse_bound));
            *slope = E::exp(clipped.clamp_abs(T::from_f32(STEEPEST)));
        }
        let mut highest = T::from_f32(-LARGEST);
        for log_weight in log_weights {
            highest = higher(highest, log_weight.clamp_abs(T::from_f32(LARGEST)));
        }
        Some(Self { slopes, biases, log_weights, highest })
    }

    /// a, b and ln w + constant of every sigmoid.
    #[inline(always)]
    fn units(&self) -> impl Iterator<Item = (T, T, T)> {
        self.slopes.iter().zip(self.biases).zip(self.log_weights).map(|((slope, bias), log_weight)| {
            let log_weight = log_weight.clamp_abs(T::from_f32(LARGEST)) - self.highest;
            (*slope, bias.clamp_abs(T::from_f32(MOST_BIAS)), log_weight)
        })
    }

    /// z and ln dz/dx.
    #[inline(always)]
    fn evaluate<E: Elementary<T>>(&self, x: T) -> (T, T) {
        let x = x.clamp_abs(T::from_f32(LARGEST));
        // sigmoid(t) = e^min(t, 0) l with l = 1 / (1 + e^-|t|), and sigmoid(t) sigmoid(-t) = e^-|t| l².
        let mut powers: Option<[T; 3]> = None;
        for (a, b, log_weight) in self.units() {
            let t = a * x + b;
            let [up, down] = [lower(t, T::ZERO), lower(-t, T::ZERO)];
            let own = [log_weight + up, log_weight + down, log_weight - t.abs()];
            powers = Some(match powers {
                Some([above, below, both]) => [higher(above, own[0]), higher(below, own[1]), higher(both, own[2])],
                None => own,
            });
        }
        let Some([above, below, both]) = powers else { return (x, T::ZERO) };
        let (mut sum_above, mut sum_below, mut sum_both) = (T::ZERO, T::ZERO, T::ZERO);
        for (a, b, log_weight) in self.units() {
            let t = a * x + b;
            let l = T::ONE / (T::ONE + E::exp(-t.abs()));
            let [up, down] = [lower(t, T::ZERO), lower(-t, T::ZERO)];
            sum_above = sum_above + E::exp(log_weight + up - above) * l;
            sum_below = sum_below + E::exp(log_weight + down - below) * l;
            sum_both = sum_both + E::exp(log_weight - t.abs() - both) * l * l * a;
        }
        let z = (above - below) + E::ln(sum_above / sum_below);
        // The weights have not been divided by their sum: dz/dx = N (1 + e^-|z|) / the smaller of S₊ and S₋.
        let (smaller, sum_smaller) = if z > T::ZERO { (below, sum_below) } else { (above, sum_above) };
        let log_slope = (both - smaller) + E::ln(sum_both / sum_smaller) + E::ln_1p(E::exp(-z.abs()));
        (z, log_slope)
    }

    /// x and ln dx/dz, where z is met up to its rounding.
    #[inline(always)]
    fn solve<E: Elementary<T>>(&self, z: T) -> (T, T) {
        let z = z.clamp_abs(T::from_f32(LARGEST));
        let quarter = T::from_f32(0.25);
        let half = T::from_f32(0.5);
        let limit = T::from_f32(f32::MAX);
        // Where all t_k are z or less, the mixture is too, and the same above.
        let (mut low, mut high) = (limit, -limit);
        for (a, b, _) in self.units() {
            let meets = (z - b) / a;
            (low, high) = (lower(low, meets), higher(high, meets));
        }
        let mut step = high - low;
        let mut x = low + half * step;
        let mut log_slope = T::ZERO;
        for _ in 0..STEPS {
            let (value, at) = self.evaluate::<E>(x);
            log_slope = at;
            let off = value - z;
            // As far off as z's own rounding.
            let size = T::ONE + z.abs();
            if size + off.abs() * quarter <= size {
                break;
            }
            (low, high) = if off < T::ZERO { (x, high) } else { (low, x) };
            let newton = x - off * E::exp(-log_slope);
            let trusted = newton > low && newton < high && (newton - x).abs() <= half * step;
            let next = if trusted { newton } else { low + half * (high - low) };
            if !(next > low && next < high) {
                break;
            }
            step = (next - x).abs();
            x = next;
        }
        (x, -log_slope)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Mixture, Sigmoidal, SigmoidalView};
    use crate::elementary::{Elementary, Libm};
    use crate::univariate::tests::{check, check_hostile, check_layout, numbers};
    use crate::univariate::{Monotone, Univariate};

    #[test]
    fn mixtures_obey_the_laws() {
        for size in [0.0, 1.0, 3.0] {
            check(&Sigmoidal::<1> { inverse_bound: 0.5 }, size, 5.0);
            check(&Sigmoidal::<3> { inverse_bound: 0.5 }, size, 5.0);
            check(&Sigmoidal::<8> { inverse_bound: 0.2 }, size, 5.0);
        }
        check(&Sigmoidal::<8> { inverse_bound: 0.2 }, 3.0, 1000.0);
        check_layout::<Sigmoidal<8>>();
    }

    #[test]
    fn hostile_mixtures_stay_monotone_and_finite() {
        for inverse_bound in [1e-40, 1e-3, 0.5, 1e30] {
            check_hostile(&Sigmoidal::<1> { inverse_bound }, 5.0);
            check_hostile(&Sigmoidal::<5> { inverse_bound }, 5.0);
        }
    }

    #[test]
    fn mixtures_are_the_published_ones() {
        let mixture = Sigmoidal::<8> { inverse_bound: 0.25 };
        for seed in 1..50 {
            let raw: Vec<f64> = numbers(seed, 24).iter().map(|number| 2.0 * number).collect();
            let sum: f64 = raw[16..].iter().map(|raw| libm::exp(*raw)).sum();
            for x in numbers(seed + 100, 30).iter().map(|x| 4.0 * x) {
                let (mut squashed, mut slope) = (0.0, 0.0);
                for k in 0..8 {
                    let a = libm::exp(raw[k] / (1.0 + raw[k].abs() / 4.0));
                    let sigmoid = 1.0 / (1.0 + libm::exp(-(a * x + raw[8 + k])));
                    let weight = libm::exp(raw[16 + k]) / sum;
                    squashed += weight * sigmoid;
                    slope += weight * a * sigmoid * (1.0 - sigmoid);
                }
                let (z, log_slope) = Monotone::<f64, Libm>::inverse(&mixture, &raw, x);
                assert!((z - libm::log(squashed / (1.0 - squashed))).abs() < 1e-9);
                assert!((log_slope - libm::log(slope / (squashed * (1.0 - squashed)))).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn tails_are_straight_lines_as_far_as_numbers_go() {
        let mixture = Sigmoidal::<2> { inverse_bound: 0.25 };
        // The unit of the smaller slope e^-0.8 decides both tails.
        let raw = [-1.0_f32, 1.0, 0.3, -0.4, 0.1, 0.2];
        for x in [1e3, 1e6, 1e15, 1e29] {
            for x in [x, -x] {
                let (z, log_slope) = Monotone::<f32, Libm>::inverse(&mixture, &raw, x);
                assert!((log_slope + 0.8).abs() < 1e-6, "{log_slope} at {x}");
                assert!((z / x - libm::expf(-0.8)).abs() < 2e-3, "{z} at {x}");
                let (back, opposite) = Monotone::<f32, Libm>::forward(&mixture, &raw, z);
                assert!((back / x - 1.0).abs() < 1e-6 && (opposite - 0.8).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn zero_outputs_are_the_identity() {
        let mixture = Sigmoidal::<8> { inverse_bound: 0.25 };
        for x in numbers(1, 100).iter().map(|x| 20.0 * x) {
            let (z, log_slope) = Monotone::<f64, Libm>::inverse(&mixture, &[0.0; 24], x);
            assert!((z - x).abs() < 1e-13 && log_slope.abs() < 1e-13, "{x}: {z}, {log_slope}");
        }
    }

    /// An evaluation takes two logarithms, and a solution none of its own.
    #[test]
    fn solutions_take_few_evaluations() {
        use core::cell::Cell;
        std::thread_local!(static LOGARITHMS: Cell<usize> = const { Cell::new(0) });
        struct Counting;
        impl Elementary<f32> for Counting {
            fn exp(x: f32) -> f32 {
                Libm::exp(x)
            }
            fn ln(x: f32) -> f32 {
                LOGARITHMS.set(LOGARITHMS.get() + 1);
                Libm::ln(x)
            }
            fn sqrt(x: f32) -> f32 {
                x
            }
            fn cbrt(x: f32) -> f32 {
                x
            }
            fn tanh(x: f32) -> f32 {
                x
            }
            fn exp_m1(x: f32) -> f32 {
                x
            }
            fn ln_1p(x: f32) -> f32 {
                Libm::ln_1p(x)
            }
            fn cos(x: f32) -> f32 {
                x
            }
        }
        let (mut sum, mut most, mut solutions) = (0, 0, 0);
        for seed in 1..200 {
            let raw: Vec<f32> = numbers(seed, 24).iter().map(|number| 3.0 * *number as f32).collect();
            let mut slopes = [0.0; 8];
            let mixture = Mixture::new::<Counting>(0.2, &raw, &mut slopes).expect("24 parameters");
            for z in numbers(seed, 50).iter().map(|z| 4.0 * *z as f32) {
                LOGARITHMS.set(0);
                let (x, _) = mixture.solve::<Counting>(z);
                let evaluations = LOGARITHMS.get() / 2;
                (sum, most, solutions) = (sum + evaluations, most.max(evaluations), solutions + 1);
                let (back, log_slope) = mixture.evaluate::<Counting>(x);
                // Met up to the rounding of z, or of x.
                let bound = 1e-6 * (1.0 + z.abs() + x.abs() * libm::expf(log_slope));
                assert!((back - z).abs() <= bound, "{back}, but {z}");
            }
        }
        std::println!("{} evaluations on average, {most} at the most", sum as f64 / solutions as f64);
        assert!(sum <= 8 * solutions && most <= 40, "{sum} in {solutions}, {most}");
    }

    #[test]
    fn views_have_the_bits_of_types() {
        fn same<const K: usize>() {
            let mixture = Sigmoidal::<K> { inverse_bound: 0.3 };
            let view = SigmoidalView { units: K, inverse_bound: 0.3 };
            let raw: Vec<f32> = numbers(K as u32, 96).iter().map(|number| 2.0 * *number as f32).collect();
            let raw = &raw[..Sigmoidal::<K>::OUTPUTS];
            for x in numbers(7, 50).iter().map(|x| 3.0 * *x as f32) {
                assert_eq!(
                    Monotone::<f32, Libm>::inverse(&mixture, raw, x),
                    Monotone::<f32, Libm>::inverse(&view, raw, x)
                );
                assert_eq!(
                    Monotone::<f32, Libm>::forward(&mixture, raw, x),
                    Monotone::<f32, Libm>::forward(&view, raw, x)
                );
            }
            assert_eq!(Monotone::<f32, Libm>::inverse(&view, &raw[1..], 0.5), (0.5, 0.0));
            let view = SigmoidalView { units: 33, ..view };
            assert_eq!(Monotone::<f32, Libm>::forward(&view, &[0.5; 300], 0.5), (0.5, 0.0));
        }
        same::<1>();
        same::<8>();
        same::<32>();
    }
}
