//! The layers without nets against the matrices and equations of their papers, computed with nalgebra.

use flowlet::layers::planar::STEEPEST;
use flowlet::layers::sylvester::STEEPEST_DIAGONAL;
use flowlet::model_file::LoadError;
use flowlet::{
    Chain, Detector, Flow, Forward, Householder, Inverse, Layer, LuLinear, Micromath, Planar, Pointwise, Radial,
    Standardize, Sylvester, Turned,
};
use flowlet_tests::models::{Aligned, Style, body, host_model, image};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal as Normal;
use zerocopy::FromBytes;

const D: usize = 7;

fn parameters<L: Layer + FromBytes>(rng: &mut ChaCha8Rng) -> L {
    L::read_from_bytes(&image(&L::SCHEMA, Style::Fitted, rng)).expect("an image of the layer")
}

fn point<const N: usize>(rng: &mut ChaCha8Rng) -> [f64; N] {
    std::array::from_fn(|_| rng.sample(Normal))
}

fn vector(values: &[f32]) -> DVector<f64> {
    DVector::from_iterator(values.len(), values.iter().map(|value| f64::from(*value)))
}

/// Many layers of a type, each at a point.
fn every<L: Layer + FromBytes, const N: usize>(mut check: impl FnMut(L, [f64; N])) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        check(parameters(&mut rng), point(&mut rng));
    }
}

fn close(found: &[f64], expected: &DVector<f64>) {
    let distance = (DVector::from_column_slice(found) - expected).amax();
    assert!(distance < 1e-12 * (1.0 + expected.amax()), "{found:?}, but {expected}");
}

fn close_log(found: f64, determinant: f64) {
    let expected = determinant.ln();
    assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{found}, but {expected}");
}

/// H_1 … H_R.
fn reflections(vectors: &[[f32; D]]) -> DMatrix<f64> {
    vectors.iter().fold(DMatrix::identity(D, D), |product, normal| {
        let normal = vector(normal);
        product * (DMatrix::identity(D, D) - &normal * normal.transpose() * (2.0 / normal.norm_squared()))
    })
}

#[test]
fn lu_linear_is_the_product_of_its_factors() {
    every(|layer: LuLinear<D>, start| {
        let both = DMatrix::from_fn(D, D, |row, column| f64::from(layer.matrix[row][column]));
        let upper = both.upper_triangle();
        let lower = both.lower_triangle() - DMatrix::from_diagonal(&both.diagonal()) + DMatrix::identity(D, D);
        let (matrix, bias) = (lower * upper, vector(&layer.bias));

        let mut z = start;
        let log_det = layer.inverse(&mut z, &[]);
        close(&z, &(&matrix * DVector::from_column_slice(&start) + &bias));
        // It is stored in f32.
        assert!((log_det - matrix.determinant().ln()).abs() < 1e-6);

        let mut x = start;
        let log_det = layer.forward(&mut x, &[]);
        let solved = matrix.clone().lu().solve(&(DVector::from_column_slice(&start) - bias)).expect("regular");
        assert!(
            (DVector::from_column_slice(&x) - &solved).amax() < 1e-10 * (1.0 + solved.amax()),
            "{x:?}, but {solved}"
        );
        assert!((log_det + matrix.determinant().ln()).abs() < 1e-6);
    });
}

#[test]
fn matrices_with_a_diagonal_that_is_not_positive_are_refused() {
    let schema = LuLinear::<D>::SCHEMA;
    let good = image(&schema, Style::Fitted, &mut ChaCha8Rng::seed_from_u64(3));
    for n in 0..D * D {
        for (value, fits) in [(-1.0_f32, n % (D + 1) != 0), (0.0, n % (D + 1) != 0), (1.0, true), (f32::NAN, false)] {
            let mut image = good.clone();
            image[4 * n..4 * n + 4].copy_from_slice(&value.to_le_bytes());
            let expected = if fits { Ok(image.len()) } else { Err(LoadError::Field { name: "matrix", offset: 0 }) };
            assert_eq!(schema.check(&image, 0), expected, "{value} at {n}");
        }
    }
}

#[test]
fn householder_is_a_product_of_reflections() {
    every(|layer: Householder<D, 4>, start| {
        // z = H_4 … H_1 x.
        let matrix = reflections(&layer.vectors).transpose();
        assert!((&matrix * matrix.transpose() - DMatrix::identity(D, D)).amax() < 1e-12);
        let (mut z, mut x) = (start, start);
        let log_dets: [f64; 2] = [layer.inverse(&mut z, &[]), layer.forward(&mut x, &[])];
        close(&z, &(&matrix * DVector::from_column_slice(&start)));
        close(&x, &(matrix.transpose() * DVector::from_column_slice(&start)));
        assert_eq!(log_dets, [0.0; 2]);
    });
}

#[test]
fn reflections_without_a_direction_are_the_identity() {
    for length in [0.0, 1e-40, 1e30, f32::MAX] {
        let layer = Householder { vectors: [[length; D]] };
        let start = [1.5_f32; D];
        let mut z = start;
        let _: f32 = layer.inverse(&mut z, &[]);
        assert_eq!(z, start, "{length}");
    }
}

#[test]
fn planar_is_equation_10_of_its_paper() {
    let mut corrected = 0;
    every(|layer: Planar<D>, start| {
        let (w, bias) = (vector(&layer.w), f64::from(layer.bias));
        let mut u = vector(&layer.u);
        if w.dot(&u) < -f64::from(STEEPEST) {
            // The nearest that is allowed.
            u += &w * ((-f64::from(STEEPEST) - w.dot(&u)) / w.norm_squared());
            assert!((w.dot(&u) + f64::from(STEEPEST)).abs() < 1e-12);
            corrected += 1;
        }
        let z = DVector::from_column_slice(&start);
        let tanh = (w.dot(&z) + bias).tanh();
        let mut x = start;
        let log_det = layer.forward(&mut x, &[]);
        close(&x, &(z + &u * tanh));
        close_log(log_det, 1.0 + u.dot(&w) * (1.0 - tanh * tanh));
    });
    assert!((2..=48).contains(&corrected), "{corrected} of 50");
}

#[test]
fn planar_without_a_hyperplane_moves_everything() {
    let start = [0.5_f32, -2.0];
    for layer in [
        Planar::<2>::new([1.0, -3.0], [0.0; 2], 0.7),
        Planar::new([1.0, -3.0], [1e-40; 2], 0.7),
        Planar::new([1.0, -3.0], [f32::MAX, f32::MIN], 0.7),
    ] {
        let mut x = start;
        assert_eq!(layer.forward(&mut x, &[]), 0.0_f32);
        let tanh = 0.7_f32.tanh();
        assert!((x[0] - start[0] - tanh).abs() < 1e-6 && (x[1] - start[1] + 3.0 * tanh).abs() < 1e-6, "{x:?}");
    }
}

#[test]
fn radial_is_equation_14_of_its_paper() {
    every(|layer: Radial<D>, start| {
        let (center, alpha) = (vector(&layer.center), f64::from(layer.alpha));
        let beta = f64::from(layer.alpha_plus_beta) - alpha;
        let z = DVector::from_column_slice(&start);
        let r = (&z - &center).norm();
        let (h, slope) = (1.0 / (alpha + r), -1.0 / ((alpha + r) * (alpha + r)));
        let mut x = start;
        let log_det = layer.forward(&mut x, &[]);
        close(&x, &(&z + (&z - center) * (beta * h)));
        close_log(log_det, (1.0 + beta * h).powi(D as i32 - 1) * (1.0 + beta * h + beta * slope * r));
    });
}

#[test]
fn sylvester_is_equation_13_of_its_paper() {
    const M: usize = 4;
    every(|layer: Sylvester<D, M>, start| {
        let q = reflections(&layer.vectors).columns(0, M).into_owned();
        assert!((q.transpose() * &q - DMatrix::identity(M, M)).amax() < 1e-12);
        let limit = |value: f32| f64::from(value.clamp(-STEEPEST_DIAGONAL, STEEPEST_DIAGONAL));
        let stored = |row: usize, column: usize| f64::from(layer.triangles[row][column]);
        let r = DMatrix::from_fn(M, M, |row, column| match row.cmp(&column) {
            std::cmp::Ordering::Less => stored(column, row),
            std::cmp::Ordering::Equal => limit(layer.triangles[row][row]),
            std::cmp::Ordering::Greater => 0.0,
        });
        let r_tilde = DMatrix::from_fn(M, M, |row, column| match row.cmp(&column) {
            std::cmp::Ordering::Less => stored(row, column),
            std::cmp::Ordering::Equal => limit(layer.diagonal[row]),
            std::cmp::Ordering::Greater => 0.0,
        });
        let z = DVector::from_column_slice(&start);
        let tanh = (&r_tilde * q.transpose() * &z + vector(&layer.bias)).map(f64::tanh);
        let slopes = DMatrix::from_diagonal(&tanh.map(|tanh| 1.0 - tanh * tanh));
        let mut x = start;
        let log_det = layer.forward(&mut x, &[]);
        close(&x, &(z + q * &r * tanh));
        close_log(log_det, (DMatrix::identity(M, M) + slopes * r_tilde * r).determinant());
    });
}

/// A list of whole models asks for samples too, which these do not give.
#[test]
fn the_host_scores_turned_layers_as_the_device_does() {
    type Layers =
        Turned<Chain<Planar<6>, Chain<Radial<6, Micromath>, Chain<Sylvester<6, 3>, Pointwise<2, 3, Planar<2>>>>>>;
    type Model = Detector<Flow<6, Chain<Standardize<6>, Layers>>, 4>;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for style in [Style::Fitted, Style::Hostile] {
        let body = body(&Model::ARCHITECTURE, style, &mut rng);
        let model = host_model(&Model::ARCHITECTURE, &body);
        let file = Aligned::new(&model.to_bytes());
        let typed = Model::from_flash(file.bytes()).expect("a file of the type");
        assert!(!model.scorer().samples());
        for _ in 0..50 {
            let reading = point(&mut rng).map(|value: f64| value as f32);
            let found = typed.flow.log_prob(&reading, &[]).map(f32::to_bits);
            assert_eq!(model.scorer().log_prob(&reading, &[]).map(f32::to_bits), found);
        }
    }
}

/// The integral of the density of a flow of one layer over all that it reaches.
fn mass<L: Layer + Inverse<2>>(layer: L) -> f64 {
    let flow: Flow<2, L> = Flow::new(layer, flowlet::StandardNormal::new());
    let (cells, half) = (1600, 16.0);
    let width = 2.0 * half / f64::from(cells);
    let coordinate = |n: i32| (width * (f64::from(n) + 0.5) - half) as f32;
    let mut sum = 0.0;
    for i in 0..cells {
        for j in 0..cells {
            let log_prob = flow.log_prob(&[coordinate(i), coordinate(j)], &[]).expect("a density");
            sum += f64::from(log_prob).exp();
        }
    }
    sum * width * width
}

/// A map that folds the plane, or leaves a part of it out, has another integral: this is independent of every formula.
#[test]
fn densities_of_turned_layers_integrate_to_1() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..3 {
        let close = |name, mass: f64| assert!((mass - 1.0).abs() < 2e-3, "{name}: {mass}");
        close("planar", mass(Turned(parameters::<Planar<2>>(&mut rng))));
        close("steep planar", mass(Turned(Planar::<2>::new([-3.0, 1.0], [1.0, -2.0], rng.random()))));
        close(
            "radial",
            mass(Turned(Radial::<2>::new([0.5, -1.0], rng.random_range(0.5..2.0), rng.random_range(0.2..5.0)))),
        );
        close("sylvester, 1 unit", mass(Turned(parameters::<Sylvester<2, 1>>(&mut rng))));
        close("sylvester, 2 units", mass(Turned(parameters::<Sylvester<2, 2>>(&mut rng))));
    }
}
