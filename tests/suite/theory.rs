//! Two exercises of the theory, solved by hand and by the code.
//!
//! **A cube.** Let z ~ N(0, 1) and x = z³. The inverse is z = ∛x with |dz/dx| = 1 / (3 |x|^(2/3)), so the change of
//! variables gives
//!
//! > p(x) = exp(-|x|^(2/3) / 2) / (3 √(2π) |x|^(2/3))
//!
//! The density is singular at 0, where the cube is flat, and still integrates to 1: probability is finite although its
//! density is not. A NaN or an overflow there would be taken for a fault or, worse, for a normal reading: it is a case of
//! its own, [`ReadingError::Singular`].
//!
//! **A coupling.** On R⁴, the first two coordinates of z = (1, 2, 3, 4) pass, the others become z · e^s + t with
//! s = (1, -½) and t = (0.3, 0.7):
//!
//! > x = (1, 2, 3e + 0.3, 4e^-½ + 0.7), log |det ∂x/∂z| = 1 - ½ = ½
//!
//! The log-scales are what remains after the soft clip s = a / (1 + |a| / bound). With a bound of 2, a = s / (1 - |s| / 2)
//! gives a = (2, -⅔), and a net without weights has these as biases.

use std::f64::consts::{E, PI};

use flowlet::conditioner::{Float, Int8, float, int8};
use flowlet::{AffineCoupling, Bijector, Cube, Flow, ReadingError, StandardNormal};

const CUBE: Flow<1, Cube> = Flow::new(Cube::new(), StandardNormal::new());

/// p(x), as derived above.
fn density_of_a_cube(x: f64) -> f64 {
    let root = x.abs().cbrt();
    (-root * root / 2.0).exp() / (3.0 * (2.0 * PI).sqrt() * root * root)
}

#[test]
fn a_cubed_normal_variable_has_the_derived_density() {
    for exponent in -60..=9 {
        for sign in [1.0, -1.0] {
            let x = sign * 1.7_f32 * 2.0_f32.powi(exponent);
            let found = f64::from(CUBE.log_prob(&[x], &[]).expect("a density"));
            let expected = density_of_a_cube(f64::from(x)).ln();
            assert!((found - expected).abs() < 2e-6 * (1.0 + expected.abs()), "{x}: {found}, but {expected}");
        }
    }
}

#[test]
fn the_singularity_of_a_cube_is_a_case_of_its_own() {
    for zero in [0.0, -0.0] {
        assert_eq!(CUBE.log_prob(&[zero], &[]), Err(ReadingError::Singular));
    }
    // Right beside it the density is high, and a number.
    let smallest = f32::from_bits(1);
    for x in [smallest, -smallest, f32::MIN_POSITIVE] {
        assert!(CUBE.log_prob(&[x], &[]).expect("a density") > 50.0, "{x:e}");
    }
    assert_eq!(CUBE.log_prob(&[f32::NAN], &[]), Err(ReadingError::NotFinite { feature: 0 }));
}

#[test]
fn the_density_of_a_cube_integrates_to_one_across_its_singularity() {
    // With x = ±t⁵ the integrand p(x) |dx/dt| is t^(2/3) near 0, and the midpoint rule does without the value at 0.
    const CELLS: u32 = 20_000;
    // Six standard deviations of z.
    let width = 6.0_f64.powi(3).powf(0.2) / f64::from(CELLS);
    let mut integral = 0.0;
    for cell in 0..CELLS {
        let t = (f64::from(cell) + 0.5) * width;
        for sign in [1.0, -1.0] {
            let log_prob = CUBE.log_prob(&[(sign * t.powi(5)) as f32], &[]).expect("a density");
            integral += f64::from(log_prob).exp() * 5.0 * t.powi(4) * width;
        }
    }
    assert!((integral - 1.0).abs() < 1e-5, "{integral}");
}

#[test]
fn a_coupling_on_four_coordinates_gives_the_derived_point() {
    let float: Float<1, 1, 0, 1> = Float::new(
        float::Dense { weights: [[float::Block([[0.0; 4]; 4])]], bias: [[0.0; 4]] },
        [],
        float::Dense { weights: [[float::Block([[0.0; 4]; 4])]], bias: [[0.3, 2.0, 0.7, -2.0 / 3.0]] },
    );
    check_coupling(&AffineCoupling::<2, 2, _>::new(2.0, float));

    // Quantized, the biases are accumulators in units of the output's scale.
    let zero = int8::Block::pack([[0; 4]; 4]);
    let nothing = int8::Requantization { multiplier: 0, shift: 0 };
    let int8: Int8<1, 1, 0, 1> = Int8::new(
        1.0,
        int8::Dense { weights: [[zero]], bias: [[0; 4]], scale: [[nothing; 4]] },
        [],
        int8::Dense { weights: [[zero]], bias: [[3_000_000, 20_000_000, 7_000_000, -6_666_667]], scale: [[1e-7; 4]] },
    );
    check_coupling(&AffineCoupling::<2, 2, _>::new(2.0, int8));
}

fn check_coupling(layer: &(impl Bijector<4, 0, f64> + Bijector<4, 0, f32>)) {
    let expected = [1.0, 2.0, 3.0 * E + 0.3, 4.0 * (-0.5_f64).exp() + 0.7];
    let close = |a: &[f64], b: &[f64], bound: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() < bound);

    let mut x = [1.0_f64, 2.0, 3.0, 4.0];
    let log_det: f64 = layer.forward(&mut x, &[]);
    // The parameters are stored in f32.
    assert!(close(&x, &expected, 2e-6), "{x:?}, but {expected:?}");
    assert!((log_det - 0.5).abs() < 1e-6, "{log_det}");
    let opposite: f64 = layer.inverse(&mut x, &[]);
    assert!(close(&x, &[1.0, 2.0, 3.0, 4.0], 1e-14), "{x:?}");
    assert_eq!(opposite, -log_det);

    let mut x = [1.0_f32, 2.0, 3.0, 4.0];
    let log_det: f32 = layer.forward(&mut x, &[]);
    assert!(close(&x.map(f64::from), &expected, 4e-6), "{x:?}, but {expected:?}");
    assert!((log_det - 0.5).abs() < 1e-6, "{log_det}");
    let opposite: f32 = layer.inverse(&mut x, &[]);
    assert!(close(&x.map(f64::from), &[1.0, 2.0, 3.0, 4.0], 1e-6), "{x:?}");
    assert_eq!(opposite, -log_det);
}
