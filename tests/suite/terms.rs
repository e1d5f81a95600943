//! Conditional terms: they add up to the log-density, each depends on its feature and on those before it alone, and
//! host and typed model give the same bits.

use std::fmt::Debug;

use flowlet::base::{BaseRecord, Independent};
use flowlet::real::Scalar;
use flowlet::{
    Chain, Cube, Detector, Elementwise, Fixed, Flow, Inverse, Layer, MaskedAutoregressive, NoOrder, Permute, Power,
    Real, Reverse, Sigmoidal, Spline, StandardNormal, Standardize, StandardizeContext, StudentT, Term, TermsError,
    Triangular,
};
use flowlet_tests::models::{Style, body, host_model, image};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal as Normal;
use zerocopy::FromBytes;

/// Of five features and so many values of context, with nets of 20 units: each feature sees all before it.
macro_rules! masked {
    ($net:ident, $c:literal, $map:ty) => {
        MaskedAutoregressive<5, flowlet::registry!(@masked $net, 5, $c, $map, 5, 1, flowlet::Plain), $map>
    };
}

type Affine = masked!(MaskedFloat, 0, flowlet::Affine);
type Splines = masked!(MaskedFloat, 0, Spline<4>);
type Sigmoids = masked!(MaskedInt8, 0, Sigmoidal<3>);
type Conditioned = masked!(MaskedInt8, 2, Spline<4>);
type Units<L> = Chain<Standardize<5>, L>;

fn point<T: Real>(rng: &mut ChaCha8Rng) -> [T; 5] {
    std::array::from_fn(|_| T::from_f32(rng.sample::<f32, _>(Normal)))
}

/// Layers of many parameters: with log-slopes, the same base coordinates to the bit, and sums that are the
/// log-determinant but for as much rounding.
fn slopes_add_up<L, T>(rounding: f64, rng: &mut ChaCha8Rng)
where
    L: Layer + Triangular<5, 0, T> + FromBytes,
    T: Real + Debug + Into<f64>,
{
    for _ in 0..40 {
        let layers = L::read_from_bytes(&image(&L::SCHEMA, Style::Fitted, rng)).expect("an image of the layers");
        for _ in 0..10 {
            let start = point::<T>(rng);
            let (mut z, mut there) = (start, start);
            let mut log_slopes = [T::ONE; 5];
            let log_det: f64 = layers.inverse(&mut z, &[]).into();
            layers.inverse_slopes(&mut there, &mut log_slopes, &[]);
            assert_eq!(z, there);
            let slopes = log_slopes.map(|slope| -> f64 { (slope - T::ONE).into() });
            let (sum, size) = (slopes.iter().sum::<f64>(), slopes.iter().map(|slope| slope.abs()).sum::<f64>());
            assert!((sum - log_det).abs() < rounding * (1.0 + size), "{log_det}, but {slopes:?} at {start:?}");
        }
    }
}

#[test]
fn log_slopes_add_up_to_the_log_determinant() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    macro_rules! law {
        ($($layers:ty),+ $(,)?) => {$(
            slopes_add_up::<$layers, f32>(3e-5, &mut rng);
            slopes_add_up::<$layers, f64>(1e-12, &mut rng);
        )+};
    }
    law!(Affine, Splines, Sigmoids, Cube, Reverse, Permute<5>, Elementwise<5, Power>);
    law!(Chain<Chain<Permute<5>, Splines>, Reverse>, Chain<[Affine; 3], Chain<Cube, [Chain<Permute<5>, Splines>; 2]>>);
    // A stored sum of logarithms has the digits of an f32.
    slopes_add_up::<Units<[Splines; 3]>, f32>(3e-5, &mut rng);
    slopes_add_up::<Units<[Splines; 3]>, f64>(3e-7, &mut rng);
}

/// The slope of each base coordinate by its own feature, measured.
#[test]
fn log_slopes_are_those_of_central_differences() {
    type Layers = Chain<Units<Permute<5>>, Chain<Splines, Chain<Cube, Affine>>>;
    let (mut rng, mut compared) = (ChaCha8Rng::seed_from_u64(2), 0);
    for _ in 0..40 {
        let layers = Layers::read_from_bytes(&image(&Layers::SCHEMA, Style::Fitted, &mut rng)).unwrap();
        let source = layers.0.1.source;
        let at = point::<f64>(&mut rng);
        let (mut z, mut log_slopes) = (at, [0.0; 5]);
        layers.inverse_slopes(&mut z, &mut log_slopes, &[]);
        for (coordinate, feature) in source.into_iter().enumerate() {
            let measured = |step: f64| {
                let moved = |by: f64| {
                    let mut x = at;
                    x[feature as usize] += by;
                    Inverse::<5, 0, f64>::inverse(&layers, &mut x, &[]);
                    x[coordinate]
                };
                ((moved(step) - moved(-step)) / (2.0 * step)).ln()
            };
            let (long, short) = (measured(2e-6), measured(1e-6));
            // Not across a knot or the cube's singularity.
            if (long - short).abs() < 1e-6 {
                let found = log_slopes[coordinate];
                assert!((found - short).abs() < 1e-4 * (1.0 + found.abs()), "{found}, but {short} of {feature}");
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "{compared} of 200 slopes are compared");
}

fn bits(terms: &[Term]) -> Vec<(usize, u32, u32)> {
    terms.iter().map(|term| (term.feature, term.log_prob.to_bits(), term.z.to_bits())).collect()
}

/// Flows of many parameters: returns how many have an order. What is said of each is what it does.
fn check<L, B, const C: usize, T>(rounding: f64, rng: &mut ChaCha8Rng) -> usize
where
    L: Layer + Triangular<5, C, T> + FromBytes,
    B: BaseRecord + Independent<5, T> + FromBytes,
    T: Scalar + Debug,
{
    let architecture = &Detector::<Flow<5, L, B, C, T>, 1>::ARCHITECTURE;
    let mut ordered = 0;
    for _ in 0..30 {
        let body = body(architecture, Style::Fitted, rng);
        let model = Detector::<Flow<5, L, B, C, T>, 1>::read_from_bytes(&body).expect("the body of the model");
        let host = host_model(architecture, &body);
        let order = match model.flow.order() {
            Ok(order) => order,
            Err(NoOrder { first, second }) => {
                let said = host.order().expect_err("the host has no order either").to_string();
                assert!(said.contains(&format!("`feature {first}` and `feature {second}`")), "{said}");
                let refused = model.conditional_terms(&[T::ZERO; 5], &[T::ZERO; C]);
                assert_eq!(refused, Err(TermsError::NoOrder(NoOrder { first, second })));
                continue;
            }
        };
        ordered += 1;
        let on_host = host.order().expect("the host has an order, too");
        let scorer = host.scorer();
        for _ in 0..10 {
            let x = point::<T>(rng);
            let context: [T; C] = std::array::from_fn(|_| T::from_f32(rng.sample::<f32, _>(Normal)));
            let terms = model.conditional_terms(&x, &context).expect("a density");
            let total: f64 = terms.iter().map(|term| f64::from(term.log_prob)).sum();
            let size: f64 = terms.iter().map(|term| f64::from(term.log_prob.abs())).sum();
            let log_prob = f64::from(model.flow.log_prob(&x, &context).unwrap().to_f32());
            assert!((total - log_prob).abs() < rounding * (1.0 + size), "{log_prob}, but {terms:?}");
            let (reading, given) = (x.map(T::to_f32), context.map(T::to_f32));
            let viewed = scorer.conditional_terms(&on_host, &reading, &given).expect("a density");
            assert_eq!(bits(&viewed), bits(&terms));
            for (n, term) in terms.iter().enumerate() {
                assert_eq!(term.feature, order.feature(n));
                // Whatever the later ones are.
                let mut other = x;
                for later in &terms[n + 1..] {
                    other[later.feature] = T::from_f32(rng.sample::<f32, _>(Normal));
                }
                let moved = model.conditional_terms(&other, &context).expect("a density");
                assert_eq!(bits(&moved[..=n]), bits(&terms[..=n]));
                // And the feature itself is seen: what is higher is further above.
                other = x;
                other[term.feature] = x[term.feature] + T::from_f32(0.5);
                let moved = model.conditional_terms(&other, &context).expect("a density");
                assert!(moved[n].z > term.z, "{} after {} at {x:?}", moved[n].z, term.z);
            }
        }
    }
    ordered
}

#[test]
fn terms_add_up_and_depend_on_what_is_before_them() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    type Plain = StandardNormal<5>;
    assert_eq!(check::<Units<[Splines; 3]>, Plain, 0, f32>(3e-5, &mut rng), 30);
    assert_eq!(check::<Units<Chain<Reverse, [Sigmoids; 2]>>, StudentT<5>, 0, f32>(3e-5, &mut rng), 30);
    assert_eq!(check::<StandardizeContext<2, Units<[Conditioned; 2]>>, Plain, 2, f32>(3e-5, &mut rng), 30);
    assert_eq!(check::<Units<[Splines; 2]>, Plain, 0, Fixed>(2e-3, &mut rng), 30);
    // One permutation is an order, whichever it is.
    assert_eq!(check::<Units<Chain<Permute<5>, [Splines; 2]>>, Plain, 0, f32>(3e-5, &mut rng), 30);
    // Two are seldom one.
    let of_two = check::<Units<[Chain<Permute<5>, Affine>; 2]>, Plain, 0, f32>(3e-5, &mut rng);
    assert!(of_two < 5, "{of_two} of 30");
}

#[test]
fn the_order_is_that_of_the_permutation() {
    type Layers = Chain<Permute<5>, Chain<Splines, Chain<Reverse, Chain<Cube, Reverse>>>>;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let layers = Layers::read_from_bytes(&image(&Layers::SCHEMA, Style::Fitted, &mut rng)).unwrap();
    let order = Flow::<5, Layers>::new(layers, StandardNormal::new()).order().expect("one order");
    assert_eq!(std::array::from_fn(|n| order.feature(n) as u32), layers.0.source);
}
