//! Dual numbers: values that carry their derivatives, so that the crate's generic code differentiates itself.
//!
//! A dual number is v + Σ dᵢ εᵢ with εᵢ εⱼ = 0. Computing with it in place of v, a program gives its result and, in
//! dᵢ, the result's derivative in direction i, exact up to rounding: forward-mode automatic differentiation (Griewank
//! and Walther, "Evaluating derivatives", 2008, chapter 3). `N` directions share one evaluation of the values, and
//! duals of duals give second derivatives.
//!
//! ```
//! use flowlet::dual::{Dual, gradient};
//! use flowlet::{Elementary, Libm, Real};
//!
//! // The energy x² + y e^x and its gradient (2x + y e^x, e^x), at (0, 3).
//! let (energy, [dx, dy]) = gradient(&[0.0_f32, 3.0], |[x, y]| *x * *x + *y * Libm::exp(*x));
//! assert_eq!((energy, dx, dy), (3.0, 3.0, 1.0));
//!
//! // In one direction: d/dx ∛x at 8.
//! assert!((Libm::cbrt(Dual::<f32>::variable(8.0, 0)).derivatives[0] - 1.0 / 12.0).abs() < 1e-7);
//! ```

use core::array;
use core::cmp::Ordering;
use core::ops::{Add, Div, Mul, Neg, Sub};

use crate::elementary::Elementary;
use crate::real::{Real, sealed};

/// A value and its derivatives in `N` directions.
///
/// **Comparisons are of the values**, so code with branches takes the branch that it takes without derivatives, and
/// derives that one. At a kink the derivative is that of the branch taken: |x| has +1 at 0, a value clamped has 0, and
/// what was rounded to an integer has none.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dual<T, const N: usize = 1> {
    /// The value.
    pub value: T,
    /// Its derivatives.
    pub derivatives: [T; N],
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// A value that depends on nothing.
    #[inline(always)]
    #[must_use]
    pub const fn constant(value: T) -> Self {
        Self { value, derivatives: [T::ZERO; N] }
    }

    /// The variable of direction `direction`: its derivative is 1 there, and 0 in all others (in all when there is no
    /// such direction).
    #[inline(always)]
    #[must_use]
    pub fn variable(value: T, direction: usize) -> Self {
        Self { value, derivatives: array::from_fn(|i| if i == direction { T::ONE } else { T::ZERO }) }
    }

    /// The result of a function of `self`, of which `value` is the value here and `slope` the derivative.
    ///
    /// What does not change stays unchanged, also where the slope is infinite.
    #[inline(always)]
    fn map(self, value: T, slope: T) -> Self {
        let derivative = |d: T| if d == T::ZERO { T::ZERO } else { d * slope };
        Self { value, derivatives: self.derivatives.map(derivative) }
    }

    /// The derivatives of `self` and `other`, combined.
    #[inline(always)]
    fn zip(self, other: Self, value: T, derivative: impl Fn(T, T) -> T) -> Self {
        let mut derivatives = self.derivatives;
        for (d, e) in derivatives.iter_mut().zip(other.derivatives) {
            *d = derivative(*d, e);
        }
        Self { value, derivatives }
    }
}

/// The value of `function` at `at`, and its gradient: `D` directions at once, for a few times `D` the cost of the value.
#[inline]
pub fn gradient<T: Real, const D: usize>(
    at: &[T; D],
    function: impl FnOnce(&[Dual<T, D>; D]) -> Dual<T, D>,
) -> (T, [T; D]) {
    let mut variables = at.map(Dual::constant);
    for (direction, variable) in variables.iter_mut().enumerate() {
        *variable = Dual::variable(variable.value, direction);
    }
    let Dual { value, derivatives } = function(&variables);
    (value, derivatives)
}

impl<T: Real, const N: usize> PartialEq for Dual<T, N> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Real, const N: usize> PartialOrd for Dual<T, N> {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Real, const N: usize> Add for Dual<T, N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, self.value + other.value, |a, b| a + b)
    }
}

impl<T: Real, const N: usize> Sub for Dual<T, N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, self.value - other.value, |a, b| a - b)
    }
}

impl<T: Real, const N: usize> Mul for Dual<T, N> {
    type Output = Self;

    #[inline(always)]
    #[allow(clippy::suspicious_arithmetic_impl, reason = "the product rule")]
    fn mul(self, other: Self) -> Self {
        self.zip(other, self.value * other.value, |a, b| a * other.value + self.value * b)
    }
}

impl<T: Real, const N: usize> Div for Dual<T, N> {
    type Output = Self;

    #[inline(always)]
    #[allow(clippy::suspicious_arithmetic_impl, reason = "the quotient rule")]
    fn div(self, other: Self) -> Self {
        let quotient = self.value / other.value;
        self.zip(other, quotient, |a, b| (a - quotient * b) / other.value)
    }
}

impl<T: Real, const N: usize> Neg for Dual<T, N> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, derivatives: self.derivatives.map(|d| -d) }
    }
}

impl<T: Real, const N: usize> sealed::Sealed for Dual<T, N> {}

impl<T: Real, const N: usize> Real for Dual<T, N> {
    const ZERO: Self = Self::constant(T::ZERO);
    const ONE: Self = Self::constant(T::ONE);

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::constant(T::from_f32(value))
    }

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        Self::constant(T::from_i32(value))
    }

    /// The value alone.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.value.to_f32()
    }

    #[inline(always)]
    fn abs(self) -> Self {
        let derivatives = if self.value < T::ZERO { self.derivatives.map(|d| -d) } else { self.derivatives };
        Self { value: self.value.abs(), derivatives }
    }

    /// The value is neither infinite nor NaN.
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }

    #[inline(always)]
    fn round_i16(self) -> i16 {
        self.value.round_i16()
    }

    #[inline(always)]
    fn next_up(self) -> Self {
        Self { value: self.value.next_up(), ..self }
    }

    #[inline(always)]
    fn next_down(self) -> Self {
        Self { value: self.value.next_down(), ..self }
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        Self { value: self.value.scale(factor), derivatives: self.derivatives.map(|d| d.scale(factor)) }
    }
}

/// The values are those of the set on `T`; the derivatives are the analytic ones, computed from those values.
impl<T: Real, E: Elementary<T>, const N: usize> Elementary<Dual<T, N>> for E {
    #[inline]
    fn exp(x: Dual<T, N>) -> Dual<T, N> {
        let exp = E::exp(x.value);
        x.map(exp, exp)
    }

    #[inline]
    fn ln(x: Dual<T, N>) -> Dual<T, N> {
        x.map(E::ln(x.value), T::ONE / x.value)
    }

    #[inline]
    fn sqrt(x: Dual<T, N>) -> Dual<T, N> {
        let root = E::sqrt(x.value);
        x.map(root, T::ONE / (root + root))
    }

    #[inline]
    fn cbrt(x: Dual<T, N>) -> Dual<T, N> {
        let root = E::cbrt(x.value);
        x.map(root, T::ONE / (T::from_f32(3.0) * root * root))
    }

    #[inline]
    fn tanh(x: Dual<T, N>) -> Dual<T, N> {
        let tanh = E::tanh(x.value);
        // As a product, so that it does not lose its digits where tanh is nearly 1.
        x.map(tanh, (T::ONE - tanh) * (T::ONE + tanh))
    }

    #[inline]
    fn exp_m1(x: Dual<T, N>) -> Dual<T, N> {
        let exp_m1 = E::exp_m1(x.value);
        x.map(exp_m1, exp_m1 + T::ONE)
    }

    #[inline]
    fn ln_1p(x: Dual<T, N>) -> Dual<T, N> {
        x.map(E::ln_1p(x.value), T::ONE / (T::ONE + x.value))
    }

    #[inline]
    fn cos(x: Dual<T, N>) -> Dual<T, N> {
        // -sin x = cos(x + π/2), with π/2 to the digits of an f64.
        let quarter = T::from_f32(core::f32::consts::FRAC_PI_2) + T::from_f32(-4.371_139e-8);
        x.map(E::cos(x.value), E::cos(x.value + quarter))
    }

    #[inline]
    fn softplus(x: Dual<T, N>) -> Dual<T, N> {
        // The default is made of branches that have no derivative at 0, where this function has one.
        x.map(E::softplus(x.value), E::sigmoid(x.value))
    }

    #[inline]
    fn sigmoid(x: Dual<T, N>) -> Dual<T, N> {
        x.map(E::sigmoid(x.value), E::sigmoid(x.value) * E::sigmoid(-x.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Dual, gradient};
    use crate::elementary::{Elementary, Libm};
    use crate::real::Real;

    type One = Dual<f64>;

    fn derivative(function: impl Fn(One) -> One, at: f64) -> f64 {
        function(One::variable(at, 0)).derivatives[0]
    }

    type Case = (&'static str, fn(One) -> One, fn(Dual<f32>) -> Dual<f32>, fn(f64) -> f64, &'static [f64]);

    /// Functions, their derivatives, and where.
    const CASES: &[Case] = &[
        ("exp", Libm::exp, Libm::exp, |x| libm::exp(x), &[-20.0, -0.3, 0.0, 1.7, 30.0]),
        ("ln", Libm::ln, Libm::ln, |x| 1.0 / x, &[1e-6, 0.3, 1.0, 77.0]),
        ("sqrt", Libm::sqrt, Libm::sqrt, |x| 0.5 * libm::pow(x, -0.5), &[1e-6, 0.3, 1.0, 77.0]),
        ("cbrt", Libm::cbrt, Libm::cbrt, |x| libm::pow(x * x, -1.0 / 3.0) / 3.0, &[-9.0, 1e-6, 0.3, 1.0, 77.0]),
        ("tanh", Libm::tanh, Libm::tanh, |x| libm::pow(libm::cosh(x), -2.0), &[-3.0, -0.2, 0.0, 1.0, 4.0]),
        ("exp_m1", Libm::exp_m1, Libm::exp_m1, |x| libm::exp(x), &[-3.0, -1e-9, 0.0, 1.0, 4.0]),
        ("ln_1p", Libm::ln_1p, Libm::ln_1p, |x| 1.0 / (1.0 + x), &[-0.9, -1e-9, 0.0, 1.0, 4.0]),
        ("cos", Libm::cos, Libm::cos, |x| -libm::sin(x), &[-7.0, -1e-3, 0.0, 1.0, 3.0, 50.0]),
        (
            "softplus",
            Libm::softplus,
            Libm::softplus,
            |x| 1.0 / (1.0 + libm::exp(-x)),
            &[-9.0, -0.1, 0.0, -0.0, 0.1, 9.0],
        ),
        (
            "sigmoid",
            Libm::sigmoid,
            Libm::sigmoid,
            |x| libm::exp(-x) / libm::pow(1.0 + libm::exp(-x), 2.0),
            &[-9.0, -0.1, 0.0, 0.1, 9.0],
        ),
        ("abs", |x| x.abs(), |x| x.abs(), |x| if x < 0.0 { -1.0 } else { 1.0 }, &[-3.0, 0.0, 2.0]),
        (
            "a clamp",
            |x| x.clamp_abs(One::ONE),
            |x| x.clamp_abs(Dual::ONE),
            |x| if x * x > 1.0 { 0.0 } else { 1.0 },
            &[-1.5, -0.9, 0.0, 0.9, 1.5],
        ),
        ("scaled", |x| x.scale(2.5), |x| x.scale(2.5), |_| 2.5, &[-1.5, 0.0, 3.0]),
        (
            "a rational function",
            |x| (x * x - One::ONE) / (x * x + One::ONE),
            |x| (x * x - Dual::ONE) / (x * x + Dual::ONE),
            |x| 4.0 * x / libm::pow(x * x + 1.0, 2.0),
            &[-1.5, 0.0, 0.5, 3.0],
        ),
        (
            "a rounding",
            |x| One::from_i32(x.round_i16().into()),
            |x| Dual::from_i32(x.round_i16().into()),
            |_| 0.0,
            &[0.7],
        ),
    ];

    #[test]
    fn derivatives_are_the_analytic_ones() {
        for (name, double, single, expected, places) in CASES {
            for at in *places {
                let exact = expected(*at);
                let found = derivative(double, *at);
                assert!((found - exact).abs() <= 1e-14 + 4e-15 * exact.abs() * (1.0 + at.abs()), "{name} at {at}");
                // The place is rounded too, and the derivative may be steep.
                let found = single(Dual::variable(*at as f32, 0)).derivatives[0];
                let bound = 2e-7 * (1.0 + at.abs()) * (1.0 + exact.abs());
                assert!((f64::from(found) - exact).abs() <= bound, "{name} at {at} in single precision: {found}");
            }
        }
    }

    #[test]
    fn values_are_those_without_derivatives() {
        for (name, _, single, _, places) in CASES {
            for at in *places {
                let (constant, variable) = (Dual::<f32>::constant(*at as f32), Dual::<f32>::variable(*at as f32, 0));
                assert_eq!(single(constant).value.to_bits(), single(variable).value.to_bits(), "{name} at {at}");
                assert_eq!(single(constant).derivatives, [0.0], "{name} of a constant");
            }
        }
    }

    #[test]
    fn constants_stay_constant_where_slopes_are_infinite() {
        for function in [Libm::sqrt, Libm::cbrt, Libm::ln] as [fn(Dual<f64>) -> Dual<f64>; 3] {
            assert_eq!(function(One::constant(0.0)).derivatives, [0.0]);
            assert_eq!(derivative(function, 0.0), f64::INFINITY);
        }
    }

    #[test]
    fn gradients_have_a_direction_for_each_variable() {
        let at = [0.3_f64, -1.2, 2.0];
        let (value, found) = gradient(&at, |[x, y, z]| *x * *y * *z + Libm::exp(*x - *z));
        let e = libm::exp(0.3 - 2.0);
        assert!((value - (0.3 * -1.2 * 2.0 + e)).abs() < 1e-15);
        for (found, expected) in found.into_iter().zip([-2.4 + e, 0.6, -0.36 - e]) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn duals_of_duals_give_second_derivatives() {
        // d²/dx² tanh x = -2 tanh x (1 - tanh² x).
        let x = Dual::<One>::variable(One::variable(0.7, 0), 0);
        let tanh = libm::tanh(0.7);
        let found = Libm::tanh(x).derivatives[0].derivatives[0];
        assert!((found + 2.0 * tanh * (1.0 - tanh * tanh)).abs() < 1e-14, "{found}");
    }

    #[test]
    fn comparisons_are_of_the_values() {
        let (a, b) = (One::variable(1.0, 0), One::constant(1.0));
        assert!(a == b && a <= b && a >= b && a < One::constant(1.5));
        assert!(a.partial_cmp(&One::constant(f64::NAN)).is_none());
    }
}
