//! The four energies of Rezende and Mohamed, "Variational inference with normalizing flows", 2015, table 1.
//!
//! The last three of them never end along the first axis. As in the paper's figures, only |z1| < 4 counts: beyond, a
//! steep parabola is added, which makes them densities.

use flowlet::elementary::Elementary;
use flowlet::{Libm, Real};

/// Their names.
pub const ENERGIES: [&str; 4] = ["energy 1", "energy 2", "energy 3", "energy 4"];

/// The energy U(z) of `index`, in nats, of a density proportional to e^-U; in any scalar, so that its gradient follows.
#[must_use]
pub fn energy<T: Real>(index: usize, [x, y]: [T; 2]) -> T
where
    Libm: Elementary<T>,
{
    let number = |value: f64| T::from_f32(value as f32);
    let squared = |value: T, width: f64| {
        let ratio = value / number(width);
        number(0.5) * ratio * ratio
    };
    let either = |a: T, b: T| {
        // -ln(e^-a + e^-b) without an overflow.
        let (least, most) = if a < b { (a, b) } else { (b, a) };
        least - Libm::ln_1p(Libm::exp(least - most))
    };
    let beyond = x.abs() - number(4.0);
    let wall = if beyond > T::ZERO { squared(beyond, 0.2) } else { T::ZERO };
    // sin(2πx/4)
    let wave = Libm::cos(number(std::f64::consts::FRAC_PI_2) * (x - T::ONE));
    let above = y - wave;
    wall + match index {
        0 => {
            let radius = Libm::sqrt(x * x + y * y);
            squared(radius - number(2.0), 0.4) + either(squared(x - number(2.0), 0.6), squared(x + number(2.0), 0.6))
        }
        1 => squared(above, 0.4),
        2 => {
            let bump = number(3.0) * Libm::exp(-squared(x - T::ONE, 0.6));
            either(squared(above, 0.35), squared(above + bump, 0.35))
        }
        _ => {
            let step = number(3.0) * Libm::sigmoid((x - T::ONE) / number(0.3));
            either(squared(above, 0.4), squared(above + step, 0.35))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::energy;

    /// As the paper writes them.
    #[test]
    fn energies_are_those_of_the_table() {
        for (x, y) in [(0.3_f64, -1.2_f64), (1.4, 0.2), (-2.5, 2.0), (3.0, -0.7)] {
            let part = |value: f64, width: f64| (-0.5 * (value / width).powi(2)).exp();
            let w1 = (std::f64::consts::TAU * x / 4.0).sin();
            let w2 = 3.0 * (-0.5 * ((x - 1.0) / 0.6).powi(2)).exp();
            let w3 = 3.0 / (1.0 + (-(x - 1.0) / 0.3).exp());
            let expected = [
                0.5 * ((x.hypot(y) - 2.0) / 0.4).powi(2) - (part(x - 2.0, 0.6) + part(x + 2.0, 0.6)).ln(),
                0.5 * ((y - w1) / 0.4).powi(2),
                -(part(y - w1, 0.35) + part(y - w1 + w2, 0.35)).ln(),
                -(part(y - w1, 0.4) + part(y - w1 + w3, 0.35)).ln(),
            ];
            for (index, expected) in expected.into_iter().enumerate() {
                let found = energy(index, [x, y]);
                assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{index}: {found} {expected}");
            }
        }
    }
}
