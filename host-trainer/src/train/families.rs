//! Which layers a family of flows is made of.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::permutation::orders;
use super::random::{Stream, stream};
use crate::base::{TrainedBase, TrainedMixture, TrainedStandardNormal, TrainedStudentT};
use crate::layers::{
    Sequence, Support, TrainedActNorm, TrainedContinuous, TrainedCoupling, TrainedLuLinear,
    TrainedMaskedAutoregressive, TrainedPermute, TrainedPlanar, TrainedRadial, TrainedSylvester,
};
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
    /// Activation normalization, LU-factored linear layers and affine couplings (Glow)
    Glow,
    /// Planar layers: densities only
    Planar,
    /// Radial layers: densities only
    Radial,
    /// Sylvester layers: densities only
    Sylvester,
    /// One velocity of all features (a continuous flow, fitted by flow matching): f32 only, many evaluations a density
    Continuous,
}

impl Family {
    /// Whether each of its layers conditions each feature on those before it.
    #[must_use]
    pub fn is_autoregressive(self) -> bool {
        matches!(self, Self::Maf | Self::MafSpline | Self::Naf)
    }

    /// Whether its layers go both ways, so that samples can be drawn.
    #[must_use]
    pub fn has_both_directions(self) -> bool {
        !matches!(self, Self::Planar | Self::Radial | Self::Sylvester)
    }

    /// Whether its layers have nets, and so can see a context.
    #[must_use]
    pub fn has_nets(self) -> bool {
        !matches!(self, Self::Planar | Self::Radial | Self::Sylvester)
    }
}

/// A base distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseFamily {
    /// Independent standard normal coordinates
    Normal,
    /// Independent Student-t coordinates with fitted degrees of freedom: heavy tails
    StudentT,
    /// A mixture of normal distributions
    Mixture,
}

/// In which order layers see the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureOrder {
    /// Each layer in another one
    #[default]
    Mixed,
    /// All layers in that of the columns (autoregressive families only): the density is a product of conditional ones
    Fixed,
}

impl FeatureOrder {
    fn is_mixed(&self) -> bool {
        *self == Self::Mixed
    }

    /// Whether a family's layers can see the features in this order, and still condition each feature on others.
    #[must_use]
    pub fn suits(self, family: Family) -> bool {
        self == Self::Mixed || family.is_autoregressive()
    }
}

/// Shape of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The family.
    pub family: Family,
    /// Layers that transform; of a continuous flow the solver's steps.
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
    /// The base.
    pub base: BaseFamily,
    /// Components of a mixture base.
    pub components: usize,
    /// Where each feature's readings can be; empty where all can be anywhere.
    pub supports: Vec<Support>,
    /// Flows of this shape that the model is a mixture of, each fitted from another seed.
    pub members: usize,
    /// In which order the layers see the features. A checkpoint of a fit with the usual one does not mention it.
    #[serde(default, skip_serializing_if = "FeatureOrder::is_mixed")]
    pub order: FeatureOrder,
}

/// zuko's smallest slope of a spline: what its soft clips are derived from.
const SPLINE_SLOPE: f32 = 1e-3;

/// The most units of a Sylvester layer: its log-determinant costs as many.
const SYLVESTER_UNITS: usize = 8;

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
            Family::Nice | Family::Realnvp | Family::Spline | Family::Glow | Family::Continuous => 6,
            Family::Maf => 5,
            Family::MafSpline | Family::Naf => 3,
            Family::Planar | Family::Radial => 32,
            Family::Sylvester => 16,
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
            base: BaseFamily::Normal,
            components: 4,
            supports: Vec::new(),
            members: 1,
            order: FeatureOrder::Mixed,
        }
    }

    /// A single flow with all layers in one order of `features` features that come with `context` values, and nets that are wide
    /// enough for it.
    #[must_use]
    pub fn in_fixed_order(self, features: usize, context: usize) -> Self {
        let hidden = self.hidden.max(Self::narrowest_in_fixed_order(features, context));
        Self { order: FeatureOrder::Fixed, hidden, members: 1, ..self }
    }

    /// Units of a hidden layer with which every feature sees all before it: four for each degree. In other orders,
    /// narrower nets leave out different features in each layer, but in one order the same in all of them, and these
    /// would never interact.
    #[must_use]
    pub fn narrowest_in_fixed_order(features: usize, context: usize) -> usize {
        4 * (features - usize::from(context == 0 && features > 1))
    }

    fn net(&self) -> Hidden {
        let (units, body, activation) = (self.hidden, self.body, self.activation);
        let deep = match body {
            Body::Plain => self.hidden_layers - 1,
            Body::Residual | Body::Gated => 2 * self.hidden_layers,
        };
        Hidden { units, deep, body, activation }
    }

    fn affine(&self) -> MapValues {
        Affine { scale: Scale::softsign(self.bound) }.into()
    }

    fn spline(&self) -> MapValues {
        let parameterization = Parameterization::softclip(SPLINE_SLOPE);
        Spline { bins: self.bins, bound: self.interval, parameterization }.into()
    }

    fn sigmoidal(&self) -> MapValues {
        Sigmoidal { units: self.bins, inverse_bound: -1.0 / SPLINE_SLOPE.ln() }.into()
    }

    /// The layers behind the standardization of `features` features that come with `context` values.
    pub fn sequence(&self, features: usize, context: usize, seed: u64) -> Sequence {
        let kept = features / 2;
        let coupling = |map| TrainedCoupling::new(kept, features - kept, context, map, self.net());
        let masked = |map| TrainedMaskedAutoregressive::new(features, context, map, self.net());
        let orders = || orders(features, self.layers, &mut stream(seed, Stream::Permutations)).into_iter();
        let couplings = |map: MapValues| {
            orders().fold(Sequence::new(), |flow, order| flow.then(TrainedPermute::new(order)).then(coupling(map)))
        };
        let autoregressive = |map: MapValues| {
            orders().fold(Sequence::new(), |flow, order| match self.order {
                FeatureOrder::Mixed => flow.then(TrainedPermute::new(order)).then(masked(map)),
                FeatureOrder::Fixed => flow.then(masked(map)),
            })
        };
        let times = |more: &dyn Fn(Sequence) -> Sequence| (0..self.layers).fold(Sequence::new(), |flow, _| more(flow));
        match self.family {
            // Additive couplings keep volumes: the scales are a layer of their own ("NICE", section 3.3).
            Family::Nice => couplings(Additive.into()).then(TrainedActNorm { features }),
            Family::Realnvp => couplings(self.affine()),
            Family::Spline => couplings(self.spline()),
            Family::Maf => autoregressive(self.affine()),
            Family::MafSpline => autoregressive(self.spline()),
            Family::Naf => autoregressive(self.sigmoidal()),
            Family::Glow => times(&|flow| {
                let linear = TrainedLuLinear::new(features);
                flow.then(TrainedActNorm { features }).then(linear).then(coupling(self.affine()))
            }),
            Family::Planar => times(&|flow| flow.then(TrainedPlanar::new(features))),
            Family::Radial => times(&|flow| flow.then(TrainedRadial::new(features))),
            Family::Sylvester => {
                times(&|flow| flow.then(TrainedSylvester::new(features, features.min(SYLVESTER_UNITS))))
            }
            Family::Continuous => {
                Sequence::new().then(TrainedContinuous::new(features, context, self.layers, self.net()))
            }
        }
    }

    /// The base.
    pub fn base(&self, features: usize) -> Arc<dyn TrainedBase> {
        match self.base {
            BaseFamily::Normal => Arc::new(TrainedStandardNormal { features }),
            BaseFamily::StudentT => Arc::new(TrainedStudentT { features }),
            BaseFamily::Mixture => Arc::new(TrainedMixture { features, components: self.components }),
        }
    }
}
