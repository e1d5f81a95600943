//! Normalizing flows small enough for a microcontroller: exact densities and samples from fixed-size,
//! const-generic models in static memory. No heap, no panic on the scoring path, no `unsafe` outside
//! two modules: values and their bytes, and the kernels for one kind of core.
//!
//! # How a score comes about
//!
//! A reading goes one way, and the modules carry the names of its stations in that order:
//!
//! ```text
//! reading -> layers (standardize, permute, couple, ..) -> base -> flow: log-density -> detector: score, p-value, alarm
//! ```
//!
//! A stream goes on: [`signal`] makes readings of windows over sampled channels, and [`monitor`] turns their scores into states, with
//! the sensors that an alarm is about.
//!
//! **Forward** goes base -> data (sampling), **inverse** goes data -> base (density). Half of the libraries mean the
//! opposite by "forward". With x = f(z) and the layers composed, the change of variables gives
//! log p(x) = log p_Z(f⁻¹(x)) + Σ log |det J of each inverse|, every term of which costs O(D).
//!
//! # Shapes are types, values are data
//!
//! ```
//! use flowlet::{AffineCoupling, Chain, Detector, Flow, Int8, Permute, Standardize};
//!
//! /// Eight features, six couplings; nets with 4 inputs, 32 hidden units twice, 8 outputs (counted in quads).
//! type Net = Int8<1, 8, 1, 2>;
//! type Pump = Detector<Flow<8, Chain<Standardize<8>, [Chain<Permute<8>, AffineCoupling<4, 4, Net>>; 6]>>, 128>;
//!
//! // All that the model needs, known before there is a model:
//! assert_eq!(Pump::MACS, 8448);
//! assert_eq!(Pump::FLASH, 13248);
//! assert!(Pump::RAM < 1024);
//! ```
//!
//! A wrong composition, a wrong shape, or a model file that does not fit its type stops the build.
//! `flowlet fit` writes such a type, with the static that holds the model, next to every model file.
//!
//! # Features
//!
//! - `defmt`: `defmt::Format` on the public types, for logs from the device.
#![no_std]

#[cfg(target_endian = "big")]
compile_error!("the model file is the little-endian image of the model: big-endian targets are not supported");

pub mod base;
pub mod bijector;
pub mod calibration;
pub mod conditioner;
pub mod detector;
pub mod dual;
pub mod elementary;
pub mod fixed;
pub mod flow;
mod image;
mod interaction;
pub mod layers;
pub mod model_file;
pub mod monitor;
pub mod real;
#[doc(hidden)]
pub mod registry;
pub mod schema;
pub mod signal;
pub mod terms;
pub mod text;
pub mod univariate;

pub use base::{Base, Ensemble, Member, Mixture, StandardNormal, StudentT};
pub use bijector::{Bijector, Chain, Forward, Inverse, Layer, Triangular, Turned};
pub use calibration::Calibration;
pub use conditioner::{
    Conditioner, Elu, Float, Gated, Int8, MaskedConditioner, MaskedFloat, MaskedInt8, Plain, Relu, Residual, Tanh,
};
pub use detector::{Assessment, Detector};
pub use dual::Dual;
pub use elementary::{Elementary, Fast, Libm, Micromath};
pub use fixed::Fixed;
pub use flow::{Flow, ReadingError};
pub use layers::{
    AffineCoupling, Continuous, Coupling, Cube, Householder, LuLinear, MaskedAutoregressive, Permute, Planar,
    Pointwise, Radial, Reverse, Standardize, StandardizeContext, Sylvester,
};
pub use layers::{Atanh, Elementwise, InverseSoftplus, Log, Logit, Power};
pub use model_file::LoadError;
pub use real::Real;
pub use terms::{NoOrder, Term, TermsError};
pub use univariate::{Additive, Affine, Monotone, Sigmoidal, Spline, Univariate, scale, spline};
