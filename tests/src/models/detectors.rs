//! A list of whole models, for laws that hold for each.

use std::borrow::Borrow;

use flowlet::base::BaseRecord;
use flowlet::model_file::{Architecture, LoadError};
use flowlet::real::Scalar;
use flowlet::{
    Additive, Affine, AffineCoupling, Assessment, Atanh, Base, Chain, Coupling, Cube, Detector, Elementwise, Ensemble,
    Fast, Fixed, Float, Flow, Forward, Householder, Int8, Inverse, InverseSoftplus, Layer, Log, Logit, LuLinear,
    Micromath, Mixture, Permute, Pointwise, Power, ReadingError, Reverse, Sigmoidal, Spline, StandardNormal,
    Standardize, StudentT, Turned, scale, spline,
};
use rand::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A type of model whose type has been forgotten. Every call loads the file in place first.
pub trait AnyDetector {
    /// What its type says.
    fn architecture(&self) -> &'static Architecture;
    /// Whether the file is accepted in place.
    ///
    /// # Errors
    /// Why not.
    fn load_in_place(&self, file: &[u8]) -> Result<(), LoadError>;
    /// Whether the file is accepted by postcard.
    ///
    /// # Errors
    /// Why not.
    fn load_by_postcard(&self, file: &[u8]) -> Result<(), LoadError>;
    /// As [`Detector::assess_slice`].
    ///
    /// # Errors
    /// As [`Detector::assess_slice`].
    fn assess(&self, file: &[u8], reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError>;
    /// As [`Flow::latent`].
    ///
    /// # Errors
    /// As [`Flow::latent`].
    fn latent(&self, file: &[u8], reading: &[f32], context: &[f32]) -> Result<Vec<f32>, ReadingError>;
    /// As [`Flow::sample`].
    fn sample(&self, file: &[u8], rng: &mut dyn Rng, context: &[f32]) -> Vec<f32>;
}

struct Typed<F, const N: usize>(std::marker::PhantomData<F>);

impl<const D: usize, L, B, const C: usize, T: Scalar, const N: usize> AnyDetector for Typed<Flow<D, L, B, C, T>, N>
where
    L: Layer + Inverse<D, C, T> + Forward<D, C, T> + FromBytes + KnownLayout + Immutable + 'static,
    B: Base<D, T> + Base<D> + BaseRecord + FromBytes + KnownLayout + Immutable + 'static,
{
    fn architecture(&self) -> &'static Architecture {
        const { &Detector::<Flow<D, L, B, C, T>, N>::ARCHITECTURE }
    }

    fn load_in_place(&self, file: &[u8]) -> Result<(), LoadError> {
        Detector::<Flow<D, L, B, C, T>, N>::from_flash(file).map(|_| ())
    }

    fn load_by_postcard(&self, file: &[u8]) -> Result<(), LoadError> {
        Detector::<Flow<D, L, B, C, T>, N>::from_postcard(file).map(|_| ())
    }

    fn assess(&self, file: &[u8], reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError> {
        Detector::<Flow<D, L, B, C, T>, N>::from_flash(file).expect("a good file").assess_slice(reading, context)
    }

    fn latent(&self, file: &[u8], reading: &[f32], context: &[f32]) -> Result<Vec<f32>, ReadingError> {
        let model = Detector::<Flow<D, L, B, C, T>, N>::from_flash(file).expect("a good file");
        let (reading, context) = (reading.try_into().expect("D values"), context.try_into().expect("C values"));
        let latent = model.flow.latent(T::read(reading).borrow(), T::read(context).borrow())?;
        Ok(latent.map(T::to_f32).to_vec())
    }

    fn sample(&self, file: &[u8], rng: &mut dyn Rng, context: &[f32]) -> Vec<f32> {
        let model = Detector::<Flow<D, L, B, C, T>, N>::from_flash(file).expect("a good file");
        let context = context.try_into().expect("C values");
        model.flow.sample(rng, T::read(context).borrow()).map(T::to_f32).to_vec()
    }
}

macro_rules! list {
    ($($name:literal: $flow:ty, $knots:literal;)*) => {
        vec![$(($name, Box::new(Typed::<$flow, $knots>(std::marker::PhantomData)) as Box<dyn AnyDetector>)),*]
    };
}

/// The couplings of `flowlet fit`, `$n` times.
type Couplings<const D: usize, const A: usize, const B: usize, N, const TIMES: usize> =
    Chain<Standardize<D>, [Chain<Permute<D>, AffineCoupling<A, B, N>>; TIMES]>;

type Scaled<U> = Coupling<1, 2, Float<1, 2, 0, 1>, U>;

/// One of every kind: both number formats, 1 to 16 features, all layers, both sets of elementary functions, a context.
pub fn detectors() -> Vec<(&'static str, Box<dyn AnyDetector>)> {
    list! {
        "int8, 8 features": Flow<8, Couplings<8, 4, 4, Int8<1, 8, 1, 2>, 6>>, 128;
        "f32, 8 features": Flow<8, Couplings<8, 4, 4, Float<1, 8, 1, 2>, 6>>, 128;
        "int8, 2 features": Flow<2, Couplings<2, 1, 1, Int8<1, 4, 1, 1>, 6>>, 16;
        "f32, 3 features": Flow<3, Couplings<3, 1, 2, Float<1, 3, 2, 1>, 8>>, 7;
        "int8, 16 features": Flow<16, Couplings<16, 8, 8, Int8<2, 4, 0, 4>, 10>>, 3;
        "int8, odd": Flow<5, Chain<Standardize<5>, [Chain<AffineCoupling<2, 3, Int8<1, 4, 0, 2>>, Reverse>; 4]>>, 1;
        "cube": Flow<1, Chain<Standardize<1>, Cube>>, 4;
        "cubes in between": Flow<5, Chain<[Chain<Chain<AffineCoupling<2, 3, Float<1, 2, 0, 2>>, Cube>, Reverse>; 3], Standardize<5>>>, 4;
        "fast": Flow<5, Chain<Standardize<5>, [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 4, 1, 2>, Fast>>; 4]>>, 4;
        "fixed point": Flow<8, Couplings<8, 4, 4, Int8<1, 8, 1, 2>, 6>, StandardNormal<8>, 0, Fixed>, 128;
        "fixed point, f32 nets, a context": Flow<3, Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Float<1, 2, 0, 1>>>; 4]>, StudentT<3>, 2, Fixed>, 16;
        "micromath": Flow<5, Chain<[Chain<AffineCoupling<2, 3, Int8<1, 4, 1, 2>, Micromath>, Reverse>; 4], Standardize<5>>, StandardNormal<5, Micromath>>, 4;
        "splines": Flow<5, Chain<Standardize<5>, [Chain<Permute<5>, Coupling<2, 3, Int8<1, 4, 1, 18>, Spline<8>>>; 3]>>, 4;
        "floored splines": Flow<5, Chain<Coupling<2, 3, Float<1, 2, 0, 9>, Turned<Spline<4, spline::Floored>>>, Chain<Reverse, Coupling<3, 2, Float<2, 2, 0, 48>, Spline<32, spline::Floored>>>>, StandardNormal<5>, 2>, 4;
        "mixtures of sigmoids": Flow<5, Chain<Standardize<5>, [Chain<Permute<5>, Coupling<2, 3, Int8<1, 4, 0, 9>, Sigmoidal<4>>>; 3]>>, 4;
        "additive": Flow<3, [Chain<Chain<Coupling<1, 2, Float<1, 2, 1, 1>, Additive>, Cube>, Reverse>; 4]>, 4;
        "scales": Flow<3, Chain<
            Chain<Scaled<Affine<scale::Exp>>, Chain<Reverse, Scaled<Affine<scale::Softplus>>>>,
            Chain<Chain<Reverse, Scaled<Turned<Affine<scale::Sigmoid>>>>, Chain<Reverse, Scaled<Turned<Affine<scale::InverseSigmoid>>>>>
        >>, 4;
        "linear": Flow<6, Chain<Standardize<6>, Chain<[Chain<Permute<6>, LuLinear<6>>; 2], Turned<Chain<Householder<6, 3>, Pointwise<3, 2, LuLinear<3>>>>>>>, 5;
        "turned, with context": Flow<5, Chain<[Turned<Chain<AffineCoupling<2, 3, Int8<2, 4, 1, 2>>, Reverse>>; 4], AffineCoupling<2, 3, Float<2, 4, 3, 2>>>, StandardNormal<5>, 3>, 32;
        "log-normal": Flow<1, Chain<Elementwise<1, Log>, Standardize<1>>>, 4;
        "positive and bounded": Flow<5, Chain<Elementwise<5, InverseSoftplus>, Chain<Elementwise<5, Logit>, Chain<Standardize<5>, [Chain<AffineCoupling<2, 3, Float<1, 2, 0, 2>>, Reverse>; 4]>>>>, 16;
        "bounded, rooted, heavy tails": Flow<3, Chain<Elementwise<3, Atanh>, Chain<Elementwise<3, Power, Micromath>, Couplings<3, 1, 2, Int8<1, 2, 1, 1>, 6>>>, StudentT<3>>, 16;
        "mixture": Flow<5, Couplings<5, 2, 3, Int8<1, 4, 1, 2>, 6>, Mixture<5, 3>>, 16;
        "ensemble": Flow<5, Standardize<5>, Ensemble<5, 3, [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 4, 1, 2>>>; 4]>>, 16;
        "ensemble, heavy tails": Flow<3, Chain<Elementwise<3, Atanh>, Standardize<3>>, Ensemble<3, 2, [Chain<Reverse, AffineCoupling<1, 2, Float<1, 2, 0, 1>>>; 3], StudentT<3>, Fast>>, 16;
        "one component": Flow<2, Chain<Standardize<2>, [Chain<AffineCoupling<1, 1, Float<1, 2, 0, 1>>, Reverse>; 2]>, Mixture<2, 1, Micromath>>, 4;
    }
}
