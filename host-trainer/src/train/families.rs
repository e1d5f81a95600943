//! Which layers a family of flows is made of.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::permutation::orders;
use super::random::{Stream, stream};
use crate::base::{TrainedBase, TrainedStandardNormal};
use crate::layers::{Sequence, TrainedContinuous, TrainedCoupling, TrainedMaskedAutoregressive, TrainedPermute};
use crate::net::{Activation, Body, Hidden};
use crate::univariate::{Additive, Affine, MapValues, Parameterization, Scale, Sigmoidal, Spline};

/// A family of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Additive couplings (NICE): no exponential anywhere
    Nice,
    /// Affine couplings (RealNVP)
    Realnvp,
    /// Rational-quadratic spline couplings (neural spline flow)
    Spline,
    /// Masked autoregressive, affine (MAF)
    Maf,
    /// Masked autoregressive, by rational-quadratic splines
    MafSpline,
    /// Masked autoregressive, by mixtures of sigmoids (neural autoregressive flow): sampling by bisection
    Naf,
    /// One velocity of all features (a continuous flow, fitted by flow matching): f32 only, many evaluations a density
    Continuous,
}

/// Shape of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The family.
    pub family: Family,
    /// Layers that transform, each after a permutation; of a continuous flow the solver's steps.
    pub layers: usize,
    /// Units of each hidden layer of the nets, a multiple of 4.
    pub hidden: usize,
    /// Hidden layers of plain nets; blocks of residual and gated ones, behind their first layer.
    pub hidden_layers: usize,
    /// How the hidden layers are connected.
    #[serde(with = "crate::net::BodyWord")]
    pub body: Body,
    /// Of the hidden units.
    #[serde(with = "crate::net::ActivationWord")]
    pub activation: Activation,
    /// Limit of |log_scale| of one affine layer. A reading is scaled by up to exp(bound) in each of the layers that
    /// transform it: what a wide bound gains in fit it loses many times over on the first far-off reading.
    pub bound: f32,
    /// Bins of a spline, or sigmoids of a mixture.
    pub bins: usize,
    /// Splines transform standardized values within ± this, and leave others as they are.
    pub interval: f32,
}

/// zuko's smallest slope of a spline: what its soft clips are derived from.
const SPLINE_SLOPE: f32 = 1e-3;

impl Architecture {
    /// Six couplings with two hidden layers of 32 to 64 units, by the number of features: about 12 kB of int8 weights
    /// for 8 features.
    pub fn for_features(features: usize) -> Self {
        Self::of(Family::Realnvp, features)
    }

    /// The default shape of a family.
    pub fn of(family: Family, features: usize) -> Self {
        let width = (24 + features).next_multiple_of(8).clamp(32, 64);
        let layers = match family {
            Family::Nice | Family::Realnvp | Family::Spline => 6,
            Family::Maf => 5,
            Family::MafSpline | Family::Naf => 3,
            Family::Continuous => 6,
        };
        // One net does it all, and its derivatives count.
        let continuous = family == Family::Continuous;
        Self {
            family,
            layers,
            hidden: if continuous { 64 } else { width },
            hidden_layers: 2,
            body: Body::Plain,
            activation: if continuous { Activation::Tanh } else { Activation::Relu },
            bound: 1.0,
            bins: 8,
            interval: 5.0,
        }
    }

    fn net(&self) -> Hidden {
        let (units, body, activation) = (self.hidden, self.body, self.activation);
        let deep = match body {
            Body::Plain => self.hidden_layers - 1,
            Body::Residual | Body::Gated => 2 * self.hidden_layers,
        };
        Hidden { units, deep, body, activation }
    }

    /// What a layer does to each feature; `None` where layers are not made of such maps.
    fn map(&self) -> Option<MapValues> {
        Some(match self.family {
            Family::Nice => Additive.into(),
            Family::Realnvp | Family::Maf => {
                Affine { scale: Scale::Softsign { inverse_bound: 1.0 / self.bound } }.into()
            }
            Family::Spline | Family::MafSpline => Spline {
                bins: self.bins,
                bound: self.interval,
                parameterization: Parameterization::Softclip { inverse_bound: -1.0 / SPLINE_SLOPE.ln() },
            }
            .into(),
            Family::Naf => Sigmoidal { units: self.bins, inverse_bound: -1.0 / SPLINE_SLOPE.ln() }.into(),
            Family::Continuous => return None,
        })
    }

    /// The layers behind the standardization of `features` features that come with `context` values.
    pub fn sequence(&self, features: usize, context: usize, seed: u64) -> Sequence {
        let Some(map) = self.map() else {
            return Sequence::new().then(TrainedContinuous::new(features, context, self.layers, self.net()));
        };
        let orders = orders(features, self.layers, &mut stream(seed, Stream::Permutations));
        orders.into_iter().fold(Sequence::new(), |sequence, order| {
            let sequence = sequence.then(TrainedPermute::new(order));
            let net = self.net();
            match self.family {
                Family::Nice | Family::Realnvp | Family::Spline => {
                    let kept = features / 2;
                    sequence.then(TrainedCoupling::new(kept, features - kept, context, map, net))
                }
                _ => sequence.then(TrainedMaskedAutoregressive::new(features, context, map, net)),
            }
        })
    }

    /// The base.
    pub fn base(&self, features: usize) -> Arc<dyn TrainedBase> {
        Arc::new(TrainedStandardNormal { features })
    }
}
