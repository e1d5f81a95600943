//! What the compiler and the loaders say of interaction is what the flows do.
//!
//! They follow sets of features through the layers without running them. Here the layers run: a base coordinate depends
//! on a feature if moving the feature moves it.

use flowlet::model_file::LoadError;
use flowlet::{
    AffineCoupling, Chain, Cube, Detector, Elementwise, Float, Flow, Householder, Inverse, Layer, LuLinear, Permute,
    Planar, Pointwise, Power, Reverse, Sylvester, Turned,
};
use flowlet_tests::models::{Style, image};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use zerocopy::FromBytes;

/// What the checks should find, found by running the layers.
fn observed<L: Inverse<D, 0, f64>, const D: usize>(layers: &L, rng: &mut impl Rng) -> Result<(), LoadError> {
    // depends[k][i]: base coordinate k on feature i.
    let mut depends = [[false; D]; D];
    // A feature that no layer transforms comes out somewhere as it went in.
    let mut passes = [true; D];
    for _ in 0..40 {
        let start: [f64; D] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let mut here = start;
        layers.inverse(&mut here, &[]);
        for (feature, passes) in passes.iter_mut().enumerate() {
            *passes &= here.contains(&start[feature]);
            let mut there = start;
            there[feature] += 0.5;
            layers.inverse(&mut there, &[]);
            for (k, depends) in depends.iter_mut().enumerate() {
                depends[feature] |= here[k] != there[k];
            }
        }
    }
    for feature in 0..D {
        if passes[feature] {
            return Err(LoadError::NeverTransformed { feature });
        }
        for other in feature + 1..D {
            if !depends.iter().any(|on| on[feature] && on[other]) {
                return Err(LoadError::NeverInteract { first: feature, second: other });
            }
        }
    }
    Ok(())
}

/// Compares for many parameters; returns how many were sound, never transformed a feature, or kept a pair apart.
fn compare<L: Layer + Inverse<D, 0, f64> + FromBytes, const D: usize>(rng: &mut ChaCha8Rng) -> [u32; 3] {
    let architecture = &Detector::<Flow<D, L>, 1>::ARCHITECTURE;
    let mut found = [0; 3];
    for _ in 0..60 {
        let mut body = image(&L::SCHEMA, Style::Fitted, rng);
        let layers = L::read_from_bytes(&body).expect("an image of the layers");
        // A calibration of one knot.
        body.extend([1.0_f32.to_le_bytes(), [0; 4], [0; 4], 1.0_f32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat());
        let said = architecture.check_body::<D>(&body);
        assert_eq!(said, observed::<L, D>(&layers, rng), "{}", std::any::type_name::<L>());
        found[match said {
            Ok(()) => 0,
            Err(LoadError::NeverTransformed { .. }) => 1,
            Err(_) => 2,
        }] += 1;
    }
    found
}

type Coupling<const A: usize, const B: usize, const OUT: usize> = AffineCoupling<A, B, Float<1, 4, 0, OUT>>;
type Permuted<const D: usize, const A: usize, const B: usize, const OUT: usize> =
    Chain<Permute<D>, Coupling<A, B, OUT>>;

#[test]
fn checks_say_what_the_layers_do() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut sum = [0; 3];
    let mut add = |found: [u32; 3]| sum.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
    add(compare::<[Permuted<4, 1, 3, 2>; 2], 4>(&mut rng));
    add(compare::<[Permuted<4, 2, 2, 1>; 3], 4>(&mut rng));
    add(compare::<Turned<[Permuted<4, 1, 3, 2>; 2]>, 4>(&mut rng));
    add(compare::<Chain<Permuted<5, 3, 2, 1>, Chain<Turned<Permuted<5, 1, 4, 2>>, Reverse>>, 5>(&mut rng));
    add(compare::<[Chain<Turned<Chain<Permute<5>, Reverse>>, Coupling<4, 1, 1>>; 5], 5>(&mut rng));
    add(compare::<Chain<Permuted<4, 2, 2, 1>, Chain<Permute<4>, Permuted<4, 1, 3, 2>>>, 4>(&mut rng));
    add(compare::<Chain<Cube, [Permuted<6, 2, 4, 2>; 2]>, 6>(&mut rng));
    add(compare::<Chain<Chain<Permute<4>, Elementwise<4, Power>>, [Permuted<4, 2, 2, 1>; 2]>, 4>(&mut rng));
    add(compare::<Turned<Chain<Permuted<4, 2, 2, 1>, Chain<Permute<4>, Elementwise<4, Power>>>>, 4>(&mut rng));
    add(compare::<Householder<5, 1>, 5>(&mut rng));
    add(compare::<Chain<Turned<Planar<4>>, LuLinear<4>>, 4>(&mut rng));
    add(compare::<Turned<Chain<Permute<4>, Sylvester<4, 2>>>, 4>(&mut rng));
    add(compare::<Chain<Pointwise<2, 3, LuLinear<2>>, Permuted<6, 3, 3, 2>>, 6>(&mut rng));
    add(compare::<[Chain<Permute<6>, Turned<Pointwise<3, 2, Householder<3, 1>>>>; 2], 6>(&mut rng));
    add(compare::<[Chain<Permute<6>, Pointwise<3, 2, Coupling<1, 2, 1>>>; 3], 6>(&mut rng));
    add(compare::<Chain<Pointwise<3, 2, Permute<3>>, [Chain<Coupling<3, 3, 2>, Pointwise<2, 3, Reverse>>; 3]>, 6>(
        &mut rng,
    ));
    add(compare::<Chain<Pointwise<1, 4, Cube>, Pointwise<4, 1, Pointwise<2, 2, LuLinear<2>>>>, 4>(&mut rng));
    println!("{sum:?}: sound, a feature never transformed, a pair kept apart");
    assert!(sum.iter().all(|count| *count > 20), "{sum:?}: every outcome is to be seen");
}
